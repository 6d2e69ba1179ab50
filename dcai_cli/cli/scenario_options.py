"""What `simulate` and `market simulate` have in common: options, and how `--set` is read."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dcai_cli.errors import UsageError

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the data; that of the scenario file if left out.", readable=False),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Another seed than the scenario's.")]


def changes(typed: Sequence[str] | None) -> dict[str, object]:
    """What --set says, by dotted names.

    Raises:
        UsageError: one has no value.
    """
    return dict(map(_change, typed or ()))


def _change(text: str) -> tuple[str, object]:
    """A name, and a value as TOML has it; what is none is a text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text} has no value.", hint="Write a name and a value: --set seed=2")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except ValueError:  # also a number of more digits than Python reads
        return name, value
    except RecursionError:
        raise UsageError(
            f"--set {name} has lists too deep in each other.", hint="Write it shorter."
        ) from None
