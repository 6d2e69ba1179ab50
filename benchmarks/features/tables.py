"""Tables against scikit-learn: a million rows of ten columns, from the file to the sparse rows."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.feature_extraction import FeatureHasher

from benchmarks.features import corpora
from benchmarks.features.measure import N_FEATURES, Figure, medians
from dcai_cli.features.columns import Column
from dcai_cli.features.featurize import featurize_parts
from dcai_cli.features.kernel import SparseRows
from dcai_cli.features.quantiles import learn_bins
from dcai_cli.features.readers import open_rows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.table_samples import TableSamples

ROWS = 10**6
LABELS = ["no", "yes"]
HASHER = FeatureHasher(N_FEATURES, input_type="string", alternate_sign=False)


def measure_categories(goal: float) -> Figure:
    """How many times as fast as FeatureHasher, reading included: each cell is a category.

    scikit-learn gets its strings from pandas, or from the csv module if that is sooner. Ours is what `dcai
    featurize` does before it prints: labels, payload bytes and what rows are skipped for included.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        names = corpora.write_categories(path, ROWS)
        columns = [Column(name, "categorical") for name in names]
        return _measure(
            "table, categories",
            path,
            columns,
            {"pandas": lambda: _of_pandas(path, names), "csv": lambda: _of_csv(path, names)},
            goal,
        )


def measure_types(goal: float) -> Figure:
    """The same with columns of all types; pandas makes bins, halves and parts of dates."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        names = corpora.write_types(path, ROWS)
        learned = {Column(name, "numeric", ("0",), missing=("?",)): 8 for name in names[4:7]}
        with open_rows(path) as rows:
            bins = learn_bins(rows.part(limit=10_000), learned, str(path))
        columns = [
            *(Column(name, "categorical") for name in names[:4]),
            *(Column(name, "numeric", bins[name], missing=("?",)) for name in names[4:7]),
            Column("length", "numeric", step="0.5"),
            Column("member", "boolean"),
            Column("day", "date", parts=("month", "weekday")),
        ]
        edges = {name: [float(edge) for edge in bins[name]] for name in bins}
        return _measure(
            "table, all types", path, columns, {"pandas": lambda: _typed(path, names[:4], edges)}, goal
        )


def _measure(
    name: str,
    path: Path,
    columns: Sequence[Column],
    theirs: Mapping[str, Callable[[], csr_matrix]],
    goal: float,
) -> Figure:
    spec = FeatureSpec.tabular(labels=LABELS, columns=columns, n_features=N_FEATURES, valued=True)
    _check_equal(name, _ours(path, spec), next(iter(theirs.values()))())
    *others, own = medians(*theirs.values(), lambda: _ours(path, spec))
    seconds = dict(zip(theirs, others, strict=True))
    best = min(seconds, key=lambda reader: seconds[reader])
    details: dict[str, float | str] = {
        "rows": ROWS,
        "bytes": path.stat().st_size,
        "scikit_learn_reads_with": best,
        "scikit_learn_s": round(seconds[best], 2),
        "ours_s": round(own, 2),
    }
    return Figure(
        name, round(seconds[best] / own, 1), "times scikit-learn", goal, at_most=False, details=details
    )


def _ours(path: Path, spec: FeatureSpec) -> list[SparseRows]:
    with open_rows(path) as rows:
        parts = list(featurize_parts(rows, spec))
    made = [part.made.rows for part in parts if isinstance(part, TableSamples) and not part.skipped]
    if len(made) != len(parts):
        raise AssertionError("rows were skipped, or not read in blocks")
    return made


def _check_equal(name: str, ours: Sequence[SparseRows], theirs: csr_matrix) -> None:
    theirs.sum_duplicates()
    sizes = np.concatenate([np.diff(rows.indptr) for rows in ours])
    if not (
        np.array_equal(sizes, np.diff(theirs.indptr))
        and np.array_equal(np.concatenate([rows.indices for rows in ours]), theirs.indices)
        and np.array_equal(np.concatenate([rows.counts for rows in ours]), theirs.data)
    ):
        raise AssertionError(f"{name}: the rows are not those of scikit-learn")


def _of_csv(path: Path, names: Sequence[str]) -> csr_matrix:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        starts = [f"{name}=" for name in names]
        return HASHER.transform(
            [start + cell for start, cell in zip(starts, row, strict=False)] for row in rows
        )


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)


def _of_pandas(path: Path, names: Sequence[str]) -> csr_matrix:
    frame = _read(path)
    return _hash([f"{name}=" + frame[name] for name in names])


def _typed(path: Path, kinds: Sequence[str], edges: Mapping[str, Sequence[float]]) -> csr_matrix:
    frame = _read(path)
    columns = [f"{name}=" + frame[name] for name in kinds]
    for name, bins in edges.items():
        numbers = pd.to_numeric(frame[name].mask(frame[name] == "?"))
        values = pd.Series(np.digitize(numbers, bins)).astype(str)
        columns.append(f"{name}=" + values.mask(numbers.isna(), ""))
    # One place behind the point is half of a tie or none, so halves of doubles are exact here.
    halves = np.rint(pd.to_numeric(frame["length"]).to_numpy() * 2) / 2
    columns.append("length=" + pd.Series(halves).astype(str).str.removesuffix(".0"))
    columns.append("member=" + frame["member"].map({"yes": "true", "no": "false"}))
    days = pd.to_datetime(frame["day"], format="%Y-%m-%d").dt
    columns.append("day=month:" + days.month.astype(str))
    columns.append("day=weekday:" + (days.weekday + 1).astype(str))
    return _hash(columns)


def _hash(columns: Sequence[pd.Series]) -> csr_matrix:
    return HASHER.transform(zip(*(column.tolist() for column in columns), strict=True))
