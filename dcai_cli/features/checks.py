"""What fields of a spec may be: the refusals that every kind of spec shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from dcai_cli.errors import BadInput


def refuse(problem: str, hint: str = "") -> NoReturn:
    """Refuse a spec.

    Raises:
        BadInput: always.
    """
    raise BadInput(f"Feature spec: {problem}", hint=hint)


def check_fields(where: str, fields: Mapping[str, object], known: set[str]) -> None:
    """Refuse fields that are not known, and known ones that are missing."""
    for name in fields:
        if name not in known:
            refuse(f"field {where}{name!r} is not known.", "Install a newer dcai.")
    for name in sorted(known):
        if name not in fields:
            refuse(f"field {where}{name!r} is missing.")


def check_int(name: str, value: object, least: int, greatest: int) -> None:
    """Refuse what is no whole number, or out of range; true and 1.0 are none."""
    if type(value) is not int or not least <= value <= greatest:
        refuse(f"{name} is {value!r}; it must be a whole number from {least} to {greatest}.")


def check_bool(name: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if type(value) is not bool:
        refuse(f"{name} is {value!r}; it must be true or false.")


def check_string(name: str, value: object) -> None:
    """Refuse what is no string, an empty one, or one that UTF-8 cannot carry."""
    if not isinstance(value, str) or not value:
        refuse(f"{name} is {value!r}; it must be a string that is not empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        refuse(f"{name} is {value!r}; it must be valid Unicode.")


def check_unique(what: str, names: Sequence[str]) -> None:
    """Refuse names that stand twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            refuse(f"{what} {name!r} stands twice.")
        seen.add(name)


def as_tuple(name: str, value: object) -> tuple[Any, ...]:
    """A list as a tuple; refuse what is no list."""
    if not isinstance(value, list | tuple):
        refuse(f"{name} is {value!r}; it must be a list.")
    return tuple(value)
