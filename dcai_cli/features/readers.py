"""Files to rows of strings: csv, tsv, jsonl (also .gz) and parquet, read through `datasets`.

Every cell is a string; types come from the feature spec. The library pads short rows, lets NUL bytes pass and
guesses types, so csv first goes through a strict pass of our own that knows row and line numbers, and both
readings must agree, cell by cell.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_SUFFIXES = (*_DELIMITERS, ".jsonl", ".parquet")
_FIELD_LIMIT = 2**31 - 1
_HINT_JSONL = 'Each line holds one JSON object, such as {"text": "hello", "label": "ham"}.'
_HINT_QUOTES = "Put every cell in quotes, and leave no line with nothing but spaces."
_HINT_FORMATS = "Use csv, tsv, jsonl (each also with .gz) or parquet."


def read_rows(path: Path) -> list[Row]:
    """Read all rows of a file.

    In jsonl and parquet strings stay as they are; null and missing become "", true and false these words,
    numbers their shortest form (Python's repr), dates ISO 8601, bytes hexadecimal, lists and objects compact
    JSON.

    Args:
        path: a .csv, .tsv, .jsonl, .csv.gz, .tsv.gz, .jsonl.gz or .parquet file; text in UTF-8.

    Returns:
        At least one row; all have the same columns in the same order. Blank lines do not count as rows.

    Raises:
        BadInput: the file cannot be read as what its name says; the message names row and line, if any.
    """
    try:
        if path.is_dir():
            raise BadInput(f"{path} is a folder.", hint="Name a file in it.")
        if not path.exists():
            raise BadInput(f"There is no file {path}.", hint="Check the name and the folder.")
        suffix = _suffix(path)
        rows = _read_parquet(path) if suffix == ".parquet" else _read_text(path, suffix)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror or error}.", hint="Check the file and its permissions."
        ) from error
    if not rows:
        raise BadInput(f"{path} has no rows.", hint="Put at least one row of data into it.")
    return rows


def _suffix(path: Path) -> str:
    name = path.name.lower()
    for suffix in _SUFFIXES:
        if name.endswith(suffix) or (suffix != ".parquet" and name.endswith(f"{suffix}.gz")):
            return suffix
    raise BadInput(f"{path} is of a kind that cannot be read.", hint=_HINT_FORMATS)


def _read_text(path: Path, suffix: str) -> list[Row]:
    text = _decode(path, _read_bytes(path))
    if suffix == ".jsonl":
        return _read_jsonl(path, text)
    rows = list(_check_csv(path, text, _DELIMITERS[suffix]))
    if rows:
        _compare(path, rows, _load_csv(path, text, _DELIMITERS[suffix], list(rows[0].cells)))
    return rows


def _read_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if not path.name.lower().endswith(".gz"):
        return data
    try:
        return gzip.decompress(data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(
            f"{path} is not a whole gzip file: {error}.", hint="Make or download it again."
        ) from error


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        charset = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin1"
        # The codec counts from behind a byte order mark.
        offset = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line = data.count(b"\n", 0, offset) + 1
        raise BadInput(
            f"{path}, line {line}: byte 0x{data[offset]:02x} at offset {offset} is not UTF-8.",
            hint="Save it as UTF-8, for instance: "
            f"iconv -f {charset} -t utf-8 {path.name} > utf8-{path.name}",
        ) from error


def _check_csv(path: Path, text: str, delimiter: str) -> Iterator[Row]:
    """Read csv strictly: the first reading, which knows where it is."""
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    number, line = 0, 1
    while True:
        where = f"{path}, row {number}, line {line}" if header else f"{path}, line {line}"
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise BadInput(
                f"{where}: {_csv_problem(error)}.", hint="Quotes inside a cell are doubled."
            ) from error
        if cells is None:
            break
        if cells:
            if any("\0" in cell for cell in cells):
                raise BadInput(f"{where}: there is a NUL byte.", hint="Remove it; the file may be damaged.")
            if header:
                yield Row(number, _match(where, header, cells))
            else:
                _check_header(where, cells)
                header = cells
            number += 1
        line = reader.line_num + 1
    if not header:
        raise BadInput(f"{path} is empty: it has no header.", hint="The first line names the columns.")


def _csv_problem(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "a quote is opened here and never closed"
    return f"the csv is malformed ({error})"


def _check_header(where: str, names: list[str]) -> None:
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise BadInput(
                f"{where}: column {position} has no name.", hint="The first line names the columns."
            )
        if name in seen:
            raise BadInput(
                f"{where}: column {name!r} stands twice in the header.", hint="Rename one of them."
            )
        seen.add(name)


def _match(where: str, header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise BadInput(
            f"{where}: expected {len(header)} cells, got {len(cells)}.",
            hint="A cell with a comma or a line break in it must stand in quotes.",
        )
    return dict(zip(header, cells, strict=True))


def _compare(path: Path, rows: list[Row], read: list[dict[str, Any]]) -> None:
    """Refuse a file that two readers understand differently: its bytes would depend on the reader."""
    for row, cells in zip(rows, read, strict=False):
        if row.cells != cells:
            raise BadInput(
                f"{path}, row {row.number}: two csv readers understand it differently.", hint=_HINT_QUOTES
            )
    if len(rows) != len(read):
        raise BadInput(
            f"{path}: one csv reader finds {len(rows)} rows, another {len(read)}.", hint=_HINT_QUOTES
        )


def _load_csv(path: Path, text: str, delimiter: str, names: list[str]) -> list[dict[str, Any]]:
    datasets = _import_datasets()
    features = datasets.Features({name: datasets.Value("string") for name in names})
    table = _load(
        path, "csv", text.encode(), sep=delimiter, features=features, keep_default_na=False, na_filter=False
    )
    return list(table.to_pylist())


def _read_jsonl(path: Path, text: str) -> list[Row]:
    """Read JSON lines: `datasets` reads the lines; its JSON reader would make timestamps of strings."""
    lines = _load(path, "text", text.encode())["text"].to_pylist() if text else []
    objects = [
        json_cells(f"{path}, line {line}", content)
        for line, content in enumerate(lines, start=1)
        if content.strip()
    ]
    names = list(dict.fromkeys(name for cells in objects for name in cells))
    return [
        Row(number, {name: cells.get(name, "") for name in names})
        for number, cells in enumerate(objects, start=1)
    ]


def json_cells(where: str, content: str) -> dict[str, str]:
    """Read one JSON object as a row of cells.

    Args:
        where: what the content is, for messages.
        content: JSON.

    Raises:
        BadInput: it is no JSON object, has a key twice, or is not valid Unicode.
    """
    try:
        fields = json.loads(content, object_pairs_hook=_unique_keys)
        cells = (
            {name: _as_text(value) for name, value in fields.items()} if isinstance(fields, dict) else None
        )
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: {error}.", hint=_HINT_JSONL) from error
    if cells is None:
        raise BadInput(f"{where}: this is not a JSON object.", hint=_HINT_JSONL)
    try:
        "".join([*cells, *cells.values()]).encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"{where}: half of a surrogate pair is not valid Unicode.", hint=_HINT_JSONL
        ) from error
    return cells


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return fields


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names, count = file.schema_arrow.names, file.metadata.num_rows
    except pa.ArrowInvalid as error:
        raise BadInput(f"{path} is not a parquet file: {error}", hint=_HINT_FORMATS) from error
    if len(set(names)) != len(names):
        raise BadInput(
            f"{path} has two columns of the same name: {', '.join(names)}.", hint="Rename one of them."
        )
    rows = _load(path, "parquet", path).to_pylist() if count else []
    return [
        Row(number, {name: _as_text(value) for name, value in cells.items()})
        for number, cells in enumerate(rows, start=1)
    ]


def _as_text(value: object) -> str:
    """Write a typed value as a cell, the same on every machine."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if value is None:
        return ""
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_as_text)
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _load(path: Path, kind: str, content: bytes | Path, **options: Any) -> Any:  # noqa: ANN401 (untyped)
    """Read a file through `datasets` into an Arrow table in memory.

    The library gets a copy under a plain name in a folder that is removed: in a name of the user's it would
    expand `*` and `[`, and its own cache would keep what it has read.
    """
    datasets = _import_datasets()
    with tempfile.TemporaryDirectory(prefix="dcai-") as folder:
        copy = Path(folder) / f"rows.{kind}"
        if isinstance(content, bytes):
            copy.write_bytes(content)
        else:
            shutil.copyfile(content, copy)
        reader = getattr(datasets.Dataset, f"from_{kind}")
        try:
            dataset = reader(str(copy), cache_dir=folder, keep_in_memory=True, **options)
        except (datasets.exceptions.DatasetsError, ValueError) as error:
            cause = error.__cause__ or error
            raise BadInput(f"{path} cannot be read: {cause}", hint=_HINT_FORMATS) from error
    return dataset.with_format("arrow")[:]


def _import_datasets() -> Any:  # noqa: ANN401 (untyped)
    """Import `datasets` quietly and offline: local files need no network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    return datasets
