"""Made-up questions to two implementations of the feature spec: rows, specs, lines, payloads, columns."""

from __future__ import annotations

import json
import random
from typing import Any

from dcai_cli.features import unicode14_data
from tests.interop import made_up_cells
from tests.interop.made_up_specs import Fields, damaged, document, good_spec, write

KINDS = ["text", "text", "text", "tabular", "tabular", "dense"]
FLOATS = [-0.0, 1e16, 1e15, 0.0001, 0.00001, float("nan"), float("inf"), float("-inf")]
BOUNDARIES = [unicode14_data.WORD, unicode14_data.CASED, unicode14_data.CASE_IGNORABLE]
BOUNDARIES += [unicode14_data.UNASSIGNED, unicode14_data.LOWER]


def make(rng: random.Random) -> dict[str, list[Any]]:
    """Questions of every kind, always the same for the same state of the generator."""
    specs = [good_spec(rng, kind) for kind in KINDS * 40]
    return {
        "rows": [*(_row(rng, rng.choice(specs)) for _ in range(3000)), *_rows_of_boundaries(rng)],
        "specs": [document(rng, rng.choice(specs)) for _ in range(3000)],
        "lines": [_line(rng) for _ in range(1500)],
        "payloads": [_payload(rng) for _ in range(1500)],
        "quantiles": [_quantiles(rng) for _ in range(300)],
    }


def _row(rng: random.Random, spec: Fields) -> Fields:
    labels = spec["labels"] if rng.random() < 0.95 else ["", "HAM", "x"]
    cells = {"extra": "\ud800", "label": rng.choice(labels)}
    if spec["kind"] == "text":
        cells[spec["text_column"]] = made_up_cells.text(rng, rng.choice([2, 25, 25, 120]))
    for column in spec.get("columns", ()):
        cells[column["name"]] = made_up_cells.cell(rng, column)
    if spec["kind"] == "dense":
        cell = made_up_cells.vector(rng, spec)
        cells[spec["vector_column"]] = damaged(rng, cell) if rng.random() < 0.1 else cell
    return {"spec": write(spec), "cells": cells}


def _rows_of_boundaries(rng: random.Random) -> list[Fields]:
    """Texts with every code point below U+3000, and those where a range of Unicode 14 begins or ends."""
    points = set(range(0x3000))
    for part in " ".join(BOUNDARIES).split():
        first, _, last = part.partition("/")[0].partition("-")
        for end in (int(first, 16), int(last or first, 16)):
            points |= {end - 1, end, end + 1}
    known = [point for point in sorted(points) if point <= 0x10FFFF and not 0xD800 <= point < 0xE000]
    rows = []
    for analyzer, form in (("word", "A{0}\u03a3{0}B bc{0} "), ("char_wb", "{0}\u03a3 A\u03a3{0}B{0}{0}")):
        spec = {}
        while "hash" not in spec:
            spec = good_spec(rng, "text")
        spec |= {"analyzer": analyzer, "lowercase": True, "ngram_range": [1, 2]}
        for start in range(0, len(known), 500):
            text = "".join(form.format(chr(point)) for point in known[start : start + 500])
            rows.append(
                {"spec": write(spec), "cells": {"label": spec["labels"][0], spec["text_column"]: text}}
            )
    return rows


def _value(rng: random.Random, depth: int = 0) -> Any:
    """Any value of JSON."""
    kind = rng.random()
    if depth < 3 and kind < 0.15:
        return [_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    if depth < 3 and kind < 0.3:
        return {made_up_cells.text(rng, 2): _value(rng, depth + 1) for _ in range(rng.randint(0, 4))}
    if kind < 0.5:
        return rng.choice([rng.random(), 10 ** rng.uniform(-330, 308), float(rng.randint(-(10**18), 10**18))])
    if kind < 0.6:
        return rng.randint(-(10 ** rng.randint(1, 40)), 10 ** rng.randint(1, 40))
    return made_up_cells.text(rng, 3) if kind < 0.8 else rng.choice([None, True, False, *FLOATS])


def _line(rng: random.Random) -> str:
    fields = {made_up_cells.text(rng, 2): _value(rng) for _ in range(rng.randint(0, 4))}
    line = json.dumps(fields, ensure_ascii=rng.random() < 0.5)
    return damaged(rng, line) if rng.random() < 0.2 else line


def _payload(rng: random.Random) -> Fields:
    """Samples behind one another, half of them with one byte changed, left out or added."""
    n_features, valued = rng.choice([2, 9, 256, 1000, 65_536, 65_537, 2**24]), rng.random() < 0.5
    most, size = min(n_features, 5), 2 if n_features <= 65_536 else 3
    payload = b""
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 3, 255, 256, 257])):
        indices = sorted(rng.sample(range(n_features), rng.randint(1, most)))
        payload += bytes([rng.randrange(3)]) + len(indices).to_bytes(2, "big")
        for index in indices:
            payload += index.to_bytes(size, "big") + bytes([rng.choice([1, 127, 129, 255])] * valued)
    if rng.random() < 0.5:
        at = rng.randrange(len(payload) + 1)
        odd = rng.choice([b"", b"\0", b"\x80", b"\xff", bytes([rng.randrange(256)])])
        payload = payload[:at] + odd + payload[at + rng.randint(0, 1) :]
    sizes = {"n_features": n_features, "max_features": most, "n_labels": 3, "valued": valued}
    return {**sizes, "payload": f"0x{payload.hex()}"}


def _quantiles(rng: random.Random) -> Fields:
    """The cells of a numeric column, many of them equal."""
    whole, broken = str(rng.randint(-3, 9)), repr(rng.uniform(-1, 1))
    pool = [
        whole,
        broken,
        rng.choice(["-0", "-0.0", "0"]),
        rng.choice(["1e16", "1E+300", "+.5"]),
        "",
        " ",
        "?",
    ]
    cells = [rng.choice(pool) + rng.choice(made_up_cells.ASCII_SPACES) for _ in range(rng.randint(0, 60))]
    if rng.random() < 0.05:
        cells.append("none")
    column = {"name": "x", "type": "numeric", "missing": ["?", "7"]}
    return {"column": column, "cells": cells, "quantiles": rng.choice([2, 3, 4, 7, 10, 256])}
