"""Made-up texts, numbers, dates and vectors, as cells have them; nasty ones, and some that are none."""

from __future__ import annotations

import json
import random
from typing import Any

Fields = dict[str, Any]

WORDS = ["free", "Prize", "a", "I'll", "_x", "42", "ok", "\u0130I", "\u03a3\u0391\u03a3"]
WORDS += ["\u8ddd\u79bb\u5ddd\u6c99", "\u0928\u092e\u0938\u094d\u0924\u0947"]
PIECES = [*" \t\n\x1c\x1f\x85\u00a0\u1680\u180e\u200b\u2028\u202f\u3000\ufeff\0\x7f", "  ", "\r\n"]
PIECES += [*"\u03a3\u0301\u0345\u00ad\u200d\u02b0\ufe0f\u0307\u0130\u1e9e\u212a\u017f", "\u03a3.", "'\u03a3"]
PIECES += [*"\U00010400\U0001d7d8\U000e0041\U0010ffff\ufffe", "\u05d0\u05b8", "\U0001f1e9\U0001f1ea"]
PIECES += [*"\u1c89\ua7cb\U00011f02\U0002ebf0\u2fef\u0ece", "\U0001f469\u200d\U0001f4bb", *'=e.-"\\', "=="]
"""White space, characters that the final sigma sees or looks through, above U+FFFF, newer than Unicode 14."""

ASCII_SPACES = ["", "", "", " ", "\t", "\x0b\x0c", "\r\n"]
SPACES = [*ASCII_SPACES, "\u00a0", "\x1c"]
BOOLEANS = ["true", "T", "yes", "Y", "1", "False", "f", "nO", "n", "0"]
NO_BOOLEANS = ["on", "2", "1.0", "ye\u017f", "tr\u00fce"]
DATES = ["2024-02-29", "1999-12-31T23:59:60", "0001-01-01 00:05z", "2000-07-02t04:00:07,5-0530"]
DATES += ["2021-03-04T05:06+10:11:12", "2021-03-04T05:06:07.80Z", "9999-12-31 09:30-235959"]
DATES += ["1900-02-28T10:00+1011:12", "2021-11-30T00:59+23"]
DATE_PIECES = [*"096:-+ TZ.\u0661", ""]
NUMBERS = ["0", "-0", "+5.", ".5", "1e3", "18", "65.5", "0.1", "0.10000000000000001", "9007199254740993"]
NUMBERS += ["4.9e-324", "0e99999999999"]
NUMBERS += ["1.7976931348623158e308", "1.7976931348623159e308", "1e999", "-1e-999", "nan", "inf", "0x1"]
NUMBERS += ["1_0", "e5", "1,5", "."]
NUMBERS += ["", "\u0665"]
VECTOR_NUMBERS = [0, 1, -1, 2**53 + 1, 2**63, -(10**300), 1e300, -1.7976931348623157e308, 5e-324, -0.0]
NO_NUMBERS: list[Any] = [None, True, "1", [], [1], {}, float("inf"), float("nan"), 10**310]


def text(rng: random.Random, longest: int = 25) -> str:
    """Words, odd pieces and random code points; now and then half of a surrogate pair."""
    parts = []
    for _ in range(rng.randint(0, longest)):
        kind = rng.random()
        if kind < 0.4:
            parts += [rng.choice(WORDS), rng.choice([" ", " ", ", ", ""])]
        elif kind < 0.8:
            parts.append(rng.choice(PIECES))
        else:
            point = rng.randrange(rng.choice([0x80, 0x500, 0x3000, 0x20000, 0x110000]))
            parts.append("" if 0xD800 <= point < 0xE000 else chr(point))
    # One half only: through JSON, two halves that meet are one character.
    if rng.random() < 0.02:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(["\ud83d", "\udc00"]))
    return "".join(parts)


def cell(rng: random.Random, column: Fields) -> str:
    """A cell of a column of a table."""
    if rng.random() < 0.1:
        return str(rng.choice(["", " ", "\t\n", "\u00a0", "\x1c", *column.get("missing", [])]))
    if column["type"] == "categorical":
        return text(rng, 3)
    if column["type"] == "boolean":
        core = rng.choice(NO_BOOLEANS if rng.random() < 0.1 else BOOLEANS)
    else:
        core = _date(rng) if column["type"] == "date" else _number(rng, column)
    around = SPACES if rng.random() < 0.1 else ASCII_SPACES
    return rng.choice(around) + core + rng.choice(around)


def _date(rng: random.Random) -> str:
    core = rng.choice(DATES)
    if rng.random() < 0.5:
        core = f"{rng.randint(1, 9999):04}-{rng.randint(1, 12):02}-{rng.randint(1, 30):02}{core[10:]}"
    if rng.random() < 0.2:
        at = rng.randrange(len(core))
        core = core[:at] + rng.choice(DATE_PIECES) + core[at + rng.randint(0, 1) :]
    return core


def _number(rng: random.Random, column: Fields) -> str:
    kind = rng.random()
    if kind < 0.1:
        return rng.choice(NUMBERS)
    if kind < 0.3:
        return str(rng.choice(column.get("bins", ["2"])))
    sign = rng.choice(["", "-", "+"])
    if kind < 0.6:  # around the middle of two multiples of the step
        whole, _, fraction = column.get("step", "0.5").partition(".")
        middle = str(int(whole + fraction) * rng.randint(0, 40) * 5).rjust(len(fraction) + 2, "0")
        point = len(middle) - len(fraction) - 1
        behind = rng.choice(["", "", "0", "000001", "0" * 50 + "1"])
        return f"{sign}{middle[:point]}.{middle[point:]}{behind}"
    digits = "".join(rng.choices("0123456789", k=rng.choice([1, 3, 17, 60])))
    at = rng.randint(0, len(digits))
    powers = ["", "", f"e{rng.randint(-30, 30)}", f"E+{rng.randint(0, 320)}", f"e-{rng.randint(0, 400)}"]
    return f"{sign}{digits[:at]}.{digits[at:]}{rng.choice(powers)}"


def vector(rng: random.Random, spec: Fields) -> str:
    """A vector as a cell; many of its numbers are in the middle of two whole numbers when they are scaled."""
    length = spec["n_features"] - (spec["constant"] > 0) + (rng.choice([-1, 1]) if rng.random() < 0.05 else 0)
    scale = float(spec["scale"])
    numbers: list[Any] = []
    for _ in range(length):
        kind = rng.random()
        if kind < 0.3 and scale > 1e-300:
            numbers.append(rng.randint(-260, 260) / 2 / scale)
        elif kind < 0.4:
            numbers.append(rng.choice(VECTOR_NUMBERS))
        else:
            numbers.append(rng.gauss(0, 1) * 10.0 ** rng.randint(-3, 3))
    if rng.random() < 0.1:
        numbers[rng.randrange(length)] = rng.choice(NO_NUMBERS)
    return json.dumps(numbers)
