"""Decimal numbers in cells: read, rounded and written the same way on every machine."""

from __future__ import annotations

import decimal
import math
import re

from dcai_cli.errors import shown

ASCII_SPACE = " \t\n\v\f\r"
"""White space that does not count around a cell."""

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""What a number looks like; it must also be finite as a double."""
_STEP = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
# A double has at most 309 digits before the point, a step 15 behind it.
_WIDE = decimal.Context(prec=400)


def parse_number(text: str) -> float:
    """Read a decimal number the same way on every machine.

    ASCII spaces around it are dropped, and what is left must match
    `[+-]?(digits[.[digits]]|.digits)([eE][+-]?digits)?`. It is rounded to the nearest IEEE 754
    double. Names ("nan"), hexadecimal, underscores and other digits are refused.

    Raises:
        ValueError: the text is not a finite number.

    >>> parse_number(" 7.25 ")
    7.25
    """
    stripped = text.strip(ASCII_SPACE)
    if NUMBER.fullmatch(stripped) is None:
        raise ValueError(f"{shown(text)} is not a number")
    number = float(stripped)
    if not math.isfinite(number):
        raise ValueError(f"{shown(text)} is out of range")
    return number


def parse_bare_number(text: str) -> float:
    """Read a number of a spec: as `parse_number` does, but with nothing around it.

    Raises:
        ValueError: the text is not a finite number, or has white space at an end.
    """
    if text != text.strip(ASCII_SPACE):
        raise ValueError(f"{text!r} has white space around the number")
    return parse_number(text)


def is_step(text: str) -> bool:
    """Whether a text can be the step of a rounded column: a plain decimal above 0, 15 digits a side at most.

    >>> [is_step(text) for text in ("0.5", "10", "0.0", "-1", "1e3")]
    [True, True, False, False, False]
    """
    return _STEP.fullmatch(text) is not None and text.strip("0.") != ""


def round_number(text: str, step: str) -> str:
    """Round a number to the nearest multiple of a step; one in the middle goes to the even multiple.

    The number is what its digits say, not the double next to it. The result is a plain decimal without
    needless zeros.

    Args:
        text: a number, as `parse_number` takes it.
        step: as `is_step` takes it.

    Raises:
        ValueError: the text is not a number that is finite as a double.

    >>> round_number("12.34", "0.5"), round_number("2.5", "1"), round_number("-1e3", "0.10")
    ('12.5', '2', '-1000')
    """
    if not parse_number(text):  # 0, or nearer to it than any half of a step
        return "0"
    places = len(step.partition(".")[2])
    unit = int(step.replace(".", "")) * 100
    # Two digits more than the step has: the first tells a tie, and the second, by ROUND_05UP, whether any of
    # the many digits that may follow keeps it from being one.
    scale = decimal.Decimal((0, (1,), -places - 2))
    number = decimal.Decimal(text.strip(ASCII_SPACE)).quantize(scale, decimal.ROUND_05UP, context=_WIDE)
    digits = int(number.scaleb(places + 2, context=_WIDE))
    multiple, rest = divmod(abs(digits), unit)
    multiple += 2 * rest > unit or (2 * rest == unit and multiple % 2)
    written = str(multiple * (unit // 100)).rjust(places + 1, "0")
    if places:
        written = f"{written[:-places]}.{written[-places:]}".rstrip("0").rstrip(".")
    return f"-{written}" if digits < 0 and multiple else written


def write_number(number: float) -> str:
    """Write a double as the shortest decimal that reads back as the same; whole ones without `.0`.

    >>> write_number(18.0), write_number(-0.0), write_number(1e300), write_number(0.1)
    ('18', '0', '1e+300', '0.1')
    """
    return repr(number + 0.0).removesuffix(".0")
