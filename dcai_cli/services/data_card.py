"""The data card of an exported data set: README.md, as the Hugging Face Hub reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcai_cli.domain import iso_time

if TYPE_CHECKING:
    from dcai_cli.services.history import History

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)

_DTYPES = {
    "text": "string",
    "int": "int64",
    "int16": "int16",
    "bool": "bool",
    "time": "timestamp[ms, tz=UTC]",
}
_LISTS = {"texts": "string", "indices": "int32", "values": "int16", "numbers": "float64"}

_MARKUP = frozenset("\\`|<>&[]*")

_SPECS = {
    "text": "Texts were turned into features by hashing or by a vocabulary.",
    "tabular": "The cells of tables were named and hashed.",
    "dense": "Vectors were multiplied by a scale and rounded.",
}


def data_card(history: History, columns: Sequence[tuple[str, str, str]]) -> str:
    """Write a data card: front matter for programs, and words for people.

    Args:
        history: what is in the data set.
        columns: name, type and meaning of each of its columns.
    """
    return f"---\n{_front_matter(history, columns)}---\n\n{_body(history, columns)}"


def _front_matter(history: History, columns: Sequence[tuple[str, str, str]]) -> str:
    """The YAML; strings are written as JSON has them, which YAML reads alike."""
    model = history.model
    task = "text-classification" if model.spec.kind == "text" else "tabular-classification"
    size = next((name for limit, name in _SIZES if history.samples < limit), "n>10M")
    lines = [
        f"pretty_name: {_quoted(f'{model.name}: contributions to a model on a blockchain')}",
        "license: unknown",
        f"task_categories:\n- {task}",
        f"size_categories:\n- {size}",
        "tags:\n- dcai\n- ethereum",
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*.parquet",
        "dataset_info:\n  features:",
    ]
    for name, kind, _ in columns:
        lines.append(f"  - name: {_quoted(name)}")
        if kind == "class":
            lines.append("    dtype:\n      class_label:\n        names:")
            lines += [f"          '{at}': {_quoted(label)}" for at, label in enumerate(model.spec.labels)]
        elif kind in _LISTS:
            lines.append(f"    list: {_LISTS[kind]}")
        else:
            lines.append(f"    dtype: {_DTYPES[kind]}")
    lines += [
        "dcai:",
        f"  chain_id: {history.chain_id}",
        f"  model: {_quoted(model.address)}",
        f"  first_block: {max(history.from_block, model.from_block)}",
        f"  last_block: {history.to_block}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # Escapes stand for whatever YAML does not let stand as it is.
    return json.dumps(text)


def _body(history: History, columns: Sequence[tuple[str, str, str]]) -> str:
    model, spec = history.model, history.model.spec
    contributors = len({batch.contributor for batch in history.batches})
    labels = ", ".join(_cell(label) for label in spec.labels)
    table = "\n".join(f"| {_cell(name)} | {_cell(meaning)} |" for name, _, meaning in columns)
    first_block = max(history.from_block, model.from_block)
    return f"""\
# {_cell(model.name)}

{history.samples:,} labelled samples in {len(history.batches):,} batches, contributed by {contributors:,}
addresses to a machine-learning model that lives in a smart contract.

| what | value |
|---|---|
| chain id | {history.chain_id} |
| model | `{model.address}` ({model.params.model_type}, {model.incentive_type}) |
| owner | `{model.owner}` |
| labels | {labels} |
| features | {spec.n_features:,} ({spec.kind}) |
| blocks | {first_block:,} to {history.to_block:,} |
| state as of | {iso_time(history.to_time)} |

## How it was made

`dcai data export` read the events of the model's contract, which hold every sample that was ever
contributed, and replayed what became of its deposit. {_SPECS[spec.kind]}
`feature-spec.json` says exactly how, so that the same row can be turned into the same features again. The
original rows are not on the chain.

Anybody can contribute anything: labels are what contributors say. `state` tells whether the model still
agreed with a sample after some days (`refunded`), or others took its deposit since it disagreed (`reported`).

    from datasets import load_dataset

    samples = load_dataset("PATH OF THIS FOLDER", split="train")

## Columns

| column | meaning |
|---|---|
{table}

Amounts are whole numbers of wei, as strings, since they may have more than 64 bits. Times are in UTC.

## Licence

No licence is stated on the chain, so `license` is `unknown`. What was contributed is public for ever, which
is not a licence to use it: ask whoever invited the contributions.
"""


def _cell(text: str) -> str:
    """A text in a table of markdown: labels and names are anybody's."""
    kept = (letter if letter.isprintable() else " " for letter in text)
    return "".join(f"&#{ord(letter)};" if letter in _MARKUP else letter for letter in kept)
