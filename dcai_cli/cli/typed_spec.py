"""What is typed about features, as a feature spec: columns, analyzers, vocabularies."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcai_cli.cli.typed_dense import Vectors, check_not_dense, dense_spec
from dcai_cli.errors import BadInput, UsageError

if TYPE_CHECKING:
    from dcai_cli.features.readers import Source
    from dcai_cli.features.spec import FeatureSpec

_HINT_LABELS = """Write for instance --labels ham,spam, or --labels '"yes, please",no'."""
_HINT_TYPED = "See what each option takes: dcai model deploy --help"
_HINT_ANALYZER = f"--analyzer is word, char or char_wb. {_HINT_TYPED}"
_N_FEATURES = 16_384


@dataclass(frozen=True, slots=True)
class Reading:
    """How texts are read, as it was typed; None where it was not."""

    analyzer: str | None
    ngrams: str | None
    lowercase: bool | None
    alternate_sign: bool
    vocabulary: Path | None
    vocabulary_from: Source | None
    vocabulary_size: int | None

    def options(self) -> dict[str, object]:
        """The options by their names."""
        return {
            "--analyzer": self.analyzer,
            "--ngrams": self.ngrams,
            "--lowercase": self.lowercase,
            "--alternate-sign": self.alternate_sign or None,
            "--vocabulary": self.vocabulary,
            "--vocabulary-from": self.vocabulary_from,
            "--vocabulary-size": self.vocabulary_size,
        }


def typed_spec(
    kind: str,
    *,
    labels: str | None,
    schema: Path | None,
    n_features: int | None,
    max_features: int | None,
    text_column: str | None,
    label_column: str | None,
    counts: bool,
    reading: Reading,
    vectors: Vectors,
    quantiles_from: Source | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> FeatureSpec:
    """Make the spec of what was typed; `note` is told of an encoding that was found.

    Raises:
        UsageError: options contradict each other, or say what no spec can have.
        BadInput: a file cannot be used.
    """
    from dcai_cli.features.schema import tabular_spec_from_schema
    from dcai_cli.features.spec import FeatureSpec

    names = None if labels is None else typed_labels(labels)
    if kind == "dense":
        foreign = {
            "--schema": schema,
            "--quantiles-from": quantiles_from,
            "--counts": counts or None,
            **reading.options(),
        }
        return dense_spec(
            labels=names,
            n_features=n_features,
            max_features=max_features,
            text_column=text_column,
            label_column=label_column,
            vectors=vectors,
            foreign=foreign,
            note=note,
        )
    check_not_dense(vectors, n_features)
    if kind == "tabular":
        if schema is None:
            raise UsageError("A tabular model needs its columns.", hint="Add --schema SCHEMA.toml.")
        named = {"--text-column": text_column, "--label-column": label_column}
        for option, value in {**named, **reading.options()}.items():
            if value is not None:
                raise UsageError(
                    f"{option} is for text models.", hint="Leave it out; the schema names the columns."
                )
        return tabular_spec_from_schema(
            schema,
            labels=names,
            n_features=n_features or _N_FEATURES,
            max_features=max_features,
            valued=counts,
            quantiles_from=quantiles_from,
            note=note,
        )
    if kind != "text":
        raise UsageError(f"There is no kind {kind!r}.", hint="Choose --kind text, tabular or dense.")
    _refuse_tabular({"--schema": schema, "--quantiles-from": quantiles_from})
    if names is None:
        raise UsageError("A text model needs its labels.", hint="Add for instance --labels ham,spam.")
    column = "text" if text_column is None else text_column
    analyzer = "word" if reading.analyzer is None else reading.analyzer
    ngram_range = (1, 1) if reading.ngrams is None else _ngram_range(reading.ngrams)
    common: dict[str, Any] = {
        "labels": names,
        "max_features": max_features,
        "valued": counts,
        "text_column": column,
        "label_column": "label" if label_column is None else label_column,
        "analyzer": analyzer,
        "ngram_range": ngram_range,
        "lowercase": reading.lowercase is not False,
        "alternate_sign": reading.alternate_sign,
    }
    try:
        # Without the vocabulary first: what was typed wrong is said before a file is read.
        hashed = FeatureSpec.text(n_features=n_features or _N_FEATURES, **common)
    except BadInput as error:  # all of it was typed
        raise UsageError(error.message, hint=error.hint or _hint_of(error.message)) from None
    words = _vocabulary(hashed, reading, n_features, note)
    return hashed if words is None else FeatureSpec.text(vocabulary=words, **common)


def _refuse_tabular(typed: Mapping[str, object]) -> None:
    for option, given in typed.items():
        if given is not None:
            raise UsageError(f"{option} is for tabular models.", hint="Leave it out, or add --kind tabular.")


def _vocabulary(
    spec: FeatureSpec, reading: Reading, n_features: int | None, note: Callable[[str], None]
) -> tuple[str, ...] | None:
    """The features that count for a spec, or None if all do."""
    from dcai_cli.features.readers import read_rows
    from dcai_cli.features.vocabulary import (
        DEFAULT_SIZE,
        column_of_texts,
        learn_vocabulary,
        read_vocabulary,
    )

    file, source = reading.vocabulary, reading.vocabulary_from
    if reading.vocabulary_size is not None and source is None:
        raise UsageError("--vocabulary-size needs rows to learn from.", hint="Add --vocabulary-from FILE.")
    if file is None and source is None:
        return None
    if file is not None and source is not None:
        raise UsageError(
            "A vocabulary is read or learned.", hint="Leave out --vocabulary or --vocabulary-from."
        )
    if n_features is not None or reading.alternate_sign:
        option = "--n-features" if n_features is not None else "--alternate-sign"
        raise UsageError(
            f"{option} is for hashed features.", hint="Leave it out: a vocabulary is not hashed."
        )
    how: dict[str, Any] = {
        "analyzer": spec.analyzer,
        "ngram_range": spec.ngram_range,
        "lowercase": spec.lowercase,
    }
    if file is not None:
        found = read_vocabulary(file, **how)
    else:
        assert source is not None
        texts = column_of_texts(read_rows(source, note=note), spec.text_column)
        found = learn_vocabulary(texts, reading.vocabulary_size or DEFAULT_SIZE, **how)
    if len(found) < 2:
        raise BadInput(
            f"{file or source} gives a vocabulary of {len(found)}; a model takes 2 features or more.",
            hint="Add lines to it, or look at --analyzer, --ngrams and --text-column.",
        )
    return found


def typed_labels(text: str) -> list[str]:
    """The labels of one row of csv; blanks around them do not count.

    Raises:
        UsageError: it is no row of csv, or has one label only.
    """
    try:
        names = [
            name.strip() for row in csv.reader([text], skipinitialspace=True, strict=True) for name in row
        ]
    except csv.Error as error:
        raise UsageError(f"--labels {text} is no row of csv: {error}.", hint=_HINT_LABELS) from None
    if len(names) < 2:
        raise UsageError(
            f"--labels {text} names {len(names)} label; a model tells 2 to 16 apart.", hint=_HINT_LABELS
        )
    return names


def _ngram_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdecimal() and (high or low).isdecimal() and len(text) < 9):
        raise UsageError(f"{text!r} is no range of n-grams.", hint="Write --ngrams 1, or --ngrams 1-2.")
    return int(low), int(high or low)


def _hint_of(message: str) -> str:
    """What to type instead of what was refused."""
    if "analyzer" in message:
        return _HINT_ANALYZER
    return _HINT_LABELS if "label" in message else _HINT_TYPED
