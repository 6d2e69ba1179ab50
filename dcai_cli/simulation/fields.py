"""Reading the tables of a scenario: every value is checked, and whatever is not known is refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from dcai_cli.domain import parse_amount, parse_duration
from dcai_cli.errors import SHOWN_CHARACTERS, BadInput, UsageError
from dcai_cli.features.numbers import parse_number

HINT = "See docs/simulation.md, and the scenarios in examples/scenarios."


class Fields:
    """One table of a scenario.

    Args:
        where: what messages call it, as "[data]".
        table: its values by name.
        hint: where to read what it may have.

    >>> fields = Fields("[terms]", {"refund_wait": "1d"})
    >>> fields.duration("refund_wait")
    86400
    """

    def __init__(self, where: str, table: object, hint: str = HINT) -> None:
        if not isinstance(table, Mapping):
            raise BadInput(f"{where} of the scenario is {_said(table)}, not a table.", hint=hint)
        self._where = where
        self._hint = hint
        self._left = dict(table)
        self._known: set[str] = set()

    def __contains__(self, name: str) -> bool:
        self._known.add(name)  # who asks would take it
        return name in self._left

    def text(self, name: str, default: str | None = None, *, of: Sequence[str] = ()) -> str:
        """A text; one of some, if they are given."""
        value = self._take(name, default)
        if not isinstance(value, str) or (of and value not in of):
            raise self._wrong(name, value, f"one of {', '.join(of)}" if of else "a text")
        return value

    def texts(self, name: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A text or a list of them; if there has to be one, none of them is empty."""
        typed = self._take(name, default)
        value = [typed] if isinstance(typed, str) else typed
        if not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
            raise self._wrong(name, typed, "a list of texts")
        if default is None and not (value and all(value)):
            raise self._wrong(name, typed, "a list of texts, none of them empty")
        return tuple(value)

    def decimal(self, name: str, default: str | None = None) -> str:
        """A decimal number as it is written, since its last digit may count."""
        value = self._take(name, default)
        try:
            parse_number(value if isinstance(value, str) else "")
        except ValueError:
            raise self._wrong(name, value, 'a decimal number in quotes, such as "127" or "0.5"') from None
        return str(value)

    def count(self, name: str, default: int | None = None, *, least: int = 0, most: int = 2**40) -> int:
        """A whole number."""
        value = self._take(name, default)
        if type(value) is not int or not least <= value <= most:
            raise self._wrong(name, value, f"a whole number from {least:,} to {most:,}")
        return value

    def number(self, name: str, default: float | None = None, *, least: float = 0, most: float = 1) -> float:
        """A number, such as a share."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self._wrong(name, value, f"a number from {least:g} to {most:g}")
        return float(value)

    def flag(self, name: str, default: bool | None = None) -> bool:  # noqa: FBT001 - as the others
        """A yes or no."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def duration(self, name: str, default: str | None = None, *, least: int = 0) -> int:
        """A duration as 90s or 25h, in seconds."""
        value = self._take(name, default)
        try:
            seconds = parse_duration(str(value))
        except (UsageError, ValueError):  # Python writes no number of thousands of digits
            raise self._wrong(name, value, "a duration such as 90s, 15m, 25h or 2d") from None
        if seconds < least:
            raise self._wrong(name, value, f"a duration of {least} s or more")
        return seconds

    def amount(self, name: str, default: str | None = None, *, least: int = 0) -> int:
        """An amount as 0.5ether, in wei."""
        value = self._take(name, default)
        try:
            wei = parse_amount(str(value))
        except (UsageError, ValueError):
            raise self._wrong(name, value, "an amount such as 0.5ether or 20gwei") from None
        if wei < least:
            raise self._wrong(name, value, f"an amount of {least} wei or more")
        return wei

    def table(self, name: str) -> Fields:
        """A table in this one; empty if it is left out."""
        return Fields(f"[{name}]", self._take(name, {}), self._hint)

    def tables(self, name: str) -> list[Fields]:
        """A list of tables."""
        value = self._take(name, [])
        if not isinstance(value, list):
            raise self._wrong(name, value, f"a table [[{name}]] for each")
        if not value:
            raise BadInput(f"The scenario has no [[{name}]].", hint=self._hint)
        return [
            Fields(f"[[{name}]] number {number}", one, self._hint)
            for number, one in enumerate(value, start=1)
        ]

    def end(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            BadInput: there is such a value.
        """
        for name in self._left:
            near = difflib.get_close_matches(name, sorted(self._known), 1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise BadInput(
                f"{name} in {self._where} of the scenario is not known.",
                hint=f"{meant}What it may have: {', '.join(sorted(self._known))}.",
            )

    def _take(self, name: str, default: Any) -> Any:  # noqa: ANN401 - TOML
        self._known.add(name)
        value = self._left.pop(name, default)
        if value is None:
            raise BadInput(f"{self._where} of the scenario has no {name}.", hint=self._hint)
        return value

    def _wrong(self, name: str, value: object, wanted: str) -> BadInput:
        return BadInput(
            f"{name} in {self._where} of the scenario is {_said(value)}.", hint=f"Write {wanted}."
        )


def _said(value: object) -> str:
    """A value as messages show it: cut if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "too long a number"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
