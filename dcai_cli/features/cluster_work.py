"""What the workers of a cluster do: rows as JSON to results, and to what tells which program made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from dcai_cli import __version__
from dcai_cli.domain import Row
from dcai_cli.errors import DcaiError
from dcai_cli.features.encoders import load_named
from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize, kernel_pays, used_columns
from dcai_cli.features.spec import FeatureSpec

PROBES = (
    "The caf\u00e9 \u039f\u03a3, \u039f\u03a3\u0391! a_1\u3000\u4e2d\u6587 \U0001f600 \u0130x \u212aA, the",
    "-7.25e1",
    " 18 ",
    "2024-02-29",
    "true",
    "",
)
"""Cells whose samples tell programs apart that read a spec otherwise."""

_ROW_FIELDS = attrgetter(*(field.name for field in fields(FeaturizedRow)))
_SKIPPED_FIELDS = attrgetter(*(field.name for field in fields(Skipped)))

Packed = tuple[bool, tuple[Any, ...]]
"""A result between machines: whether it is a sample, and its fields; dataclasses take twice as long."""


@dataclass(frozen=True, slots=True)
class Job:
    """What workers must know of a featurization.

    Args:
        spec: the spec as JSON, with the file's names of columns.
        with_labels: whether to read labels.
    """

    spec: str
    with_labels: bool


def featurize_chunk(job: Job, written: bytes, seen: int) -> tuple[str, dict[str, str], list[Packed]]:
    """Featurize a chunk; runs on a worker.

    Args:
        job: what the chunks have in common.
        written: the rows; see `write_rows`.
        seen: about how many characters this process has had before.

    Returns:
        The worker's address, its identity, and a result for each row.
    """
    from distributed import get_worker

    address, identity = get_worker().address, identify(job)
    if "problem" in identity:
        return address, identity, []
    spec = FeatureSpec.from_json(job.spec)
    rows = read_rows(written, columns_sent(spec, job))
    use_kernel = True if kernel_pays(spec, seen) else None
    encoder = None if spec.encoder is None else _encoder(spec.encoder, spec.length)
    results = featurize(rows, spec, with_labels=job.with_labels, use_kernel=use_kernel, encoder=encoder)
    return address, identity, [_pack(result) for result in results]


_encoder = lru_cache(maxsize=1)(load_named)
"""Loading takes a second, and a worker gets chunk after chunk of the same model."""


@lru_cache(maxsize=16)
def identify(job: Job) -> dict[str, str]:
    """What tells whether another process featurizes as this one does.

    Returns:
        `version`, and `sha256` of the samples of the probes, or `problem` where the spec is refused.
    """
    try:
        spec = FeatureSpec.from_json(job.spec)
    except DcaiError as error:
        return {"version": __version__, "problem": error.message}
    label = {spec.label_column: spec.labels[0]} if job.with_labels else {}
    # What an encoder gives may differ between machines in the last bit of a float; its version is compared.
    probes = PROBES if spec.encoder is None else ()
    cells = [dict.fromkeys(used_columns(spec), probe) | label for probe in probes]
    rows = [Row(number, one) for number, one in enumerate(cells, start=1)]
    answers = [
        # The reasons of skipped rows are for people: Python may write a cell in them as it likes.
        [
            result.sample.hex(),
            result.n_indices,
            result.cut,
            result.units,
            result.key.hex(),
            result.content.hex(),
        ]
        if isinstance(result, FeaturizedRow)
        else [result.fault]
        for result in featurize(rows, spec, with_labels=job.with_labels, use_kernel=False)
    ]
    return {"version": __version__, "sha256": hashlib.sha256(json.dumps(answers).encode()).hexdigest()}


def columns_sent(spec: FeatureSpec, job: Job) -> list[str]:
    """The columns that workers get."""
    return [*used_columns(spec), *([spec.label_column] if job.with_labels else [])]


def write_rows(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """Rows as JSON: number and cells of each; halves of surrogate pairs stay what they are."""
    lists = [[row.number, *(row.cells[name] for name in columns)] for row in rows]
    return json.dumps(lists, ensure_ascii=False).encode("utf-8", "surrogatepass")


def read_rows(written: bytes, columns: Sequence[str]) -> list[Row]:
    """Rows as `write_rows` wrote them, with these columns."""
    lists = json.loads(written.decode("utf-8", "surrogatepass"))
    return [Row(number, dict(zip(columns, cells, strict=True))) for number, *cells in lists]


def _pack(result: FeaturizedRow | Skipped) -> Packed:
    if isinstance(result, FeaturizedRow):
        return True, _ROW_FIELDS(result)
    return False, _SKIPPED_FIELDS(result)
