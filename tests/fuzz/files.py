"""Broken files in all the ways that we could think of: each is read, or refused by name.

`python -m tests.fuzz.files --count 10000` does it with so many files, in one process. The files follow from
the seed alone.
"""

from __future__ import annotations

import argparse
import bz2
import csv
import gzip
import io
import json
import lzma
import math
import random
import re
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.columns import Column
from dcai_cli.features.featurize import Skipped, featurize
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.services.featurize import featurized_samples

SEED = 2026
LEAST_KINDS = 10
LEAST_SUCCESSES = 0.2

KINDS = {
    "encoding": r"byte 0x.. at offset \d+ is not|is not [\w-]+: |is in UTF-32",
    "no header": r"is empty: it has no header",
    "no rows": r"has no rows",
    "NUL": r"there is a NUL byte",
    "ragged": r"expected \d+ cells, got \d+",
    "open quote": r"a quote is opened here and never closed",
    "bad quote": r"the csv is malformed",
    "column twice": r"stands twice in the header",
    "column without name": r"column \d+ has no name",
    "no such column": r"There is no column",
    "bad JSON": r"\(char \d+\)|nested more than 100 deep|an integer has more than",
    "no object": r"this is not a JSON object",
    "key twice": r"a key stands twice",
    "surrogate": r"half of a surrogate pair",
    "bad packing": r"is not a whole (gzip|bz2|xz|zst) file",
    "bad table": r"is not a whole (parquet|arrow|npz|npy) file",
    "no cell": r", row \d+, column '.*': ",
    "no rows of numbers": r"cannot be read: it",
    "no text": r"--encoding \S+ is for texts",
    "uneven": r"array '.*' has [\d,]+ rows, and|has more rows than",
    "unknown kind": r"of a kind that cannot be read",
    "too long": r"more than [\d,]+ characters",
}
"""What a file can be refused for, by the words of the message."""

SPECS = [
    FeatureSpec.text(labels=["ham", "spam"], n_features=4096, valued=True),
    FeatureSpec.tabular(
        labels=["ham", "spam"],
        columns=[Column("text", "categorical"), Column("n", "numeric", ("0", "10"))],
        n_features=2**18,
    ),
    FeatureSpec.dense(labels=["ham", "spam"], length=3, scale="10", vector_column="text"),
]

WORDS = [
    "hello", "world", "spam", "ham", "", " ", "007", "-1.5", "1e308", "NaN", "=1+1", "+cmd|' /C calc'!A0",
    "@SUM(A1)", '"', "'", "a,b", "a\nb", "a\r\nb", "\r", "\t", "\\N", "null", "é", "ß", "距离", "مرحبا", "🎈",
    "e\u0301", "\u2028", "\u202e", "\ufeff", "\x1a", "<script>", "{}", "[1]", "0x10", "١٢",
]  # fmt: skip
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, 1, mtime=0),
    ".bz2": lambda data: bz2.compress(data, 1),
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".zst": lambda data: bytes(pa.Codec("zstd").compress(data, asbytes=True)),
}
ODD_LINES = [
    "[]", "1", "{", '{"text": "a", "text": "b"}', '{"text": "\\ud83d"}', '{"text": NaN}',
    '{"n": ' + "1" * 9999,
    '{"text": ' + "[" * 5000, "null", '{"text": "a"} x', "{'text': 1}",
]  # fmt: skip
Rows = tuple[list[str], list[list[str]]]
"""Names of columns, and cells."""
FORMATS = ["csv"] * 5 + ["tsv"] * 2 + ["jsonl"] * 4 + ["txt", "parquet", "arrow", "npz", "npy"]


@dataclass
class Outcome:
    """How a run ended.

    Args:
        results: files that gave rows, and those of them that gave samples.
        errors: files that were refused, by kind.
        faults: tracebacks, and errors without a name; there must be none.
    """

    results: int = 0
    samples: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        """All of them."""
        return self.results + sum(self.errors.values()) + len(self.faults)


def fuzz(count: int, folder: Path, seed: int = SEED) -> Outcome:
    """Make files, one after the other, and read each.

    Args:
        count: how many.
        folder: where they are written; each goes when the next comes.
        seed: what they follow from.
    """
    outcome = Outcome()
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")  # noqa: S311 (no secret)
        name, content = make_file(rng)
        path = folder / name
        path.write_bytes(content)
        encoding = rng.choice(["utf-8", "cp1252", "utf-16", "gb18030"]) if rng.random() < 0.05 else None
        fitting = SPECS[-1:] if ".np" in name else SPECS[:-1]
        source = Source(str(path), encoding=encoding)
        spec = rng.choice(fitting if rng.random() < 0.9 else SPECS)
        read_one(source, spec, f"file {number}", outcome)
        if spec.kind == "tabular" and read_all(source, spec, in_blocks=True) != read_all(source, spec):
            outcome.faults.append(f"file {number}: other rows in blocks")
        path.unlink()
    return outcome


def read_all(source: Source, spec: FeatureSpec, *, in_blocks: bool = False) -> list[object]:
    """What comes of each row of a table, and what it is refused for."""
    found: list[object] = []
    try:
        with open_rows(source) as rows:
            found.extend(featurize(rows, spec, in_blocks=in_blocks))
    except (BadInput, UsageError) as error:
        found.append(error.message)
    return found


def read_one(source: Source, spec: FeatureSpec, what: str, outcome: Outcome) -> None:
    """Read one file as `dcai featurize` does, and count how it ends."""
    try:
        with featurized_samples(source, spec) as rows:
            usable = [isinstance(row, Skipped) for row in rows]
    except (BadInput, UsageError) as error:
        kinds = [kind for kind, words in KINDS.items() if re.search(words, error.message)]
        if kinds and error.hint and "Traceback" not in error.message:
            outcome.errors[kinds[0]] += 1
        else:
            outcome.faults.append(f"{what}: an error without name or hint: {error.message}")
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        outcome.faults.append(f"{what}: {traceback.format_exc()}")
    else:
        outcome.results += 1
        outcome.samples += not all(usable)


def make_file(rng: random.Random) -> tuple[str, bytes]:
    """A name and bytes: rows in one of the formats, and now and then faults of several sorts."""
    form = rng.choice(FORMATS)
    rows = make_rows(rng)
    if form in {"parquet", "arrow"}:
        content = write_table(rng, form, rows)
    elif form in {"npz", "npy"}:
        content = write_arrays(rng, form, rows)
    else:
        text = write_json(rng, rows) if form == "jsonl" else write_text(rng, form, rows)
        content = encode(rng, spoil_text(rng, text))
    suffix = rng.choice(["", "", "", *PACKERS])
    if rng.random() < 0.3:
        content = spoil(rng, content)
    if suffix:
        content = PACKERS[suffix](content)
        if rng.random() < 0.25:
            content = spoil(rng, content)
    name = rng.choice(["rows", "a b", "[x]*", "ROWS", "é"])
    ending = rng.choice([".xlsx", "", ".json", ".zip"]) if rng.random() < 0.02 else f".{form}"
    return f"{name}{ending}{suffix}", content


def make_rows(rng: random.Random) -> Rows:
    """Names and cells, odd ones among them; the columns are mostly those that the specs want."""
    names = ["text", "label", "n"]
    chance = rng.random()
    if chance < 0.06:
        names = rng.choice([["text", "text", "label"], ["text", "", "label"], ["a", "b"], ["text"]])
    elif chance < 0.1:
        names = [*names, *rng.choices(WORDS, k=2)]
    size = rng.choice([0, 1, 100]) if rng.random() < 0.1 else rng.randint(1, 6)
    return names, [[make_cell(rng, name) for name in names] for _ in range(size)]


def make_cell(rng: random.Random, name: str) -> str:
    """A cell for a column of this name."""
    if name == "label":
        return rng.choice(["ham", "spam"]) if rng.random() < 0.9 else rng.choice(WORDS)
    if name == "n" and rng.random() < 0.7:
        return str(rng.randint(-5, 50))
    times = 20_000 if rng.random() < 0.001 else 1
    return " ".join(rng.choices(WORDS, k=rng.randint(0, 6))) * times


def write_text(rng: random.Random, form: str, rows: Rows) -> str:
    """Csv, tsv or plain text."""
    names, cells = rows
    if form == "txt":
        return "\n".join(" ".join(row) for row in cells)
    out = io.StringIO(newline="")
    end = rng.choice(["\n", "\r\n", "\r"])
    writer = csv.writer(out, delimiter="\t" if form == "tsv" else ",", lineterminator=end)
    writer.writerow(names)
    for row in cells:
        chance = rng.random()
        writer.writerow(row[:-1] if chance < 0.01 else [*row, "more"] if chance < 0.02 else row)
    return out.getvalue()


def write_json(rng: random.Random, rows: Rows) -> str:
    """JSON lines, values of all types among them."""
    names, cells = rows
    lines = []
    for row in cells:
        values: dict[str, Any] = dict(zip(names, row, strict=True))
        if rng.random() < 0.2:
            values["n"] = rng.choice([1, 1.5, None, True, [1, {"a": None}], {"b": 2}, 10**30, 1e300])
        line = json.dumps(values, ensure_ascii=rng.random() < 0.5)
        chance = rng.random()
        if chance < 0.05:
            line = rng.choice(ODD_LINES)
        lines.append(line)
    return rng.choice(["\n", "\r\n", "\n\n"]).join(lines)


def write_table(rng: random.Random, form: str, rows: Rows) -> bytes:
    """Parquet, or an arrow file or stream."""
    names, cells = rows
    columns = [pa.array([row[at] for row in cells], pa.string()) for at in range(len(names))]
    if rng.random() < 0.3:
        kind = rng.choice([pa.int64(), pa.timestamp("us", "No/Zone"), pa.timestamp("ns"), pa.duration("us")])
        columns[-1] = pa.array(rng.choices([None, 1, 2**62], k=len(cells)), kind)
    table = pa.Table.from_arrays(columns, names=names)
    out = io.BytesIO()
    if form == "parquet":
        pq.write_table(table, out, compression=rng.choice(["none", "snappy", "zstd"]))
    else:
        new = rng.choice([pa.ipc.new_file, pa.ipc.new_stream])
        with new(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


def write_arrays(rng: random.Random, form: str, rows: Rows) -> bytes:
    """Npz, or the vectors alone as npy; now and then of types, shapes and lengths that no table has."""
    names, cells = rows
    kind = rng.choice(["f2", "f4", "f8", ">f4", "i1", "u8"] * 3 + ["c8", "M8[D]", "U3", "?"])
    shape = rng.choice([(len(cells), 3)] * 15 + [(len(cells), 4), (len(cells), 0), (3,), (), (1, 2, 3)])
    some = [0, 1, 2, 7, 99] if kind in {"i1", "u8", "M8[D]"} else [0, 1, 2.5, -3, math.nan, math.inf]
    vectors = np.array(rng.choices(some, k=math.prod(shape))).reshape(shape).astype(kind)
    out = io.BytesIO()
    if form == "npy":
        np.save(out, vectors)
        return out.getvalue()
    texts = {name: np.array([row[at] for row in cells], dtype=str) for at, name in enumerate(names) if name}
    np.savez(out, **(texts | {"text": vectors} if rng.random() < 0.8 else texts))
    return out.getvalue()


def spoil_text(rng: random.Random, text: str) -> str:
    """Put something where it does not belong, in one text of four."""
    if rng.random() > 0.25:
        return text
    at = rng.randint(0, len(text))
    what = rng.choice(
        ["\0", '"', '""', '"x', ",", "\n", "\n\n\n", "{", "[" * 5000, "\\ud800", "\x1b", " ", "\ufeff"]
    )
    return text[:at] + what + text[at:]


def encode(rng: random.Random, text: str) -> bytes:
    """Most often UTF-8."""
    if rng.random() < 0.7:
        return text.encode("utf-8", "surrogatepass")
    name = rng.choice(
        ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "gb18030", "shift_jis", "latin-1"]
    )
    return text.encode(name, "replace")


def spoil(rng: random.Random, content: bytes) -> bytes:
    """Damage bytes: cut, flipped, put in, doubled, noise, or none left."""
    at = rng.randint(0, len(content))
    match rng.randrange(6):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        case 2:
            return content[:at] + rng.randbytes(rng.randint(1, 8)) + content[at:]
        case 3:
            return content + content[at:]
        case 4:
            return rng.randbytes(rng.randint(0, 300))
        case _:
            return rng.choice(
                [b"", b"\n", b"\xef\xbb\xbf", b"\xff\xfe", b"PAR1", b"ARROW1\0\0", b'"', content[:at]]
            )


def problems(outcome: Outcome) -> list[str]:
    """What is wrong with a run: tracebacks, or files that do not try enough."""
    found = outcome.faults[:5]
    if len(outcome.errors) < LEAST_KINDS:
        found.append(f"only {len(outcome.errors)} kinds of error: {dict(outcome.errors)}")
    if outcome.samples < LEAST_SUCCESSES * outcome.files:
        found.append(f"only {outcome.samples} of {outcome.files} files gave samples")
    return found


def main() -> int:
    """Read so many files; the exit status is 1 if one of them ends in a traceback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = fuzz(arguments.count, Path(folder), arguments.seed)
    lines = [f"{outcome.files} files: {outcome.results} were read, {outcome.samples} of them gave samples"]
    lines += [f"{count:6} {kind}" for kind, count in outcome.errors.most_common()]
    sys.stdout.write("\n".join([*lines, *problems(outcome), ""]))
    return bool(problems(outcome))


if __name__ == "__main__":
    sys.exit(main())
