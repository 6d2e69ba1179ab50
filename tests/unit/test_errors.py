"""The tree of errors: an exit code and a word for each, as the documentation draws it."""

from __future__ import annotations

import re

import pytest

from dcai_cli import errors
from dcai_cli.errors import DcaiError, Reverted

CLASSES: list[type[DcaiError]] = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, DcaiError)
]


def test_the_docstring_draws_the_tree_that_is_there() -> None:
    """Every class stands in the module's docstring with its exit code, and no other does."""
    drawn = dict(re.findall(r"(\w+) +(\d+)   ", errors.__doc__ or ""))
    assert drawn == {cls.__name__: str(cls.exit_code) for cls in CLASSES}


def test_codes_are_unique() -> None:
    """Scripts can tell the classes apart by exit code as well as by word."""
    assert len({cls.exit_code for cls in CLASSES}) == len({cls.code for cls in CLASSES}) == len(CLASSES)


def test_no_error_exits_with_0() -> None:
    """A fault never looks like a success, nor like the shell's own codes (126 to 128)."""
    assert all(0 < cls.exit_code < 126 or cls.exit_code == 130 for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_says_what_happened_and_what_to_type(cls: type[DcaiError]) -> None:
    """Message and hint are kept apart; `str` is the message."""
    error = cls("It broke.", hint="Mend it.")
    assert (str(error), error.message, error.hint) == ("It broke.", "It broke.", "Mend it.")
    assert cls("It broke.").hint == ""


def test_a_revert_keeps_the_contracts_own_words() -> None:
    """Name and values of the custom error are there for code to look at."""
    error = Reverted("TooEarly(1, 2)", name="TooEarly", values={"batchId": 1})
    assert (error.name, error.values) == ("TooEarly", {"batchId": 1})
    assert Reverted("no reason").values == {}
