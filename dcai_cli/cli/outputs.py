"""Files that a user names for what comes out: one rule for all commands, before any work.

A file that is there stays, unless `--force` says otherwise. Pictures of `--plot`, and what a command keeps in
a folder of its own, are replaced: who draws or plays something again wants the new one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dcai_cli.errors import BadInput, UsageError
from dcai_cli.files import STREAM

Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]


def check_file(
    output: Path | None,
    *,
    option: str = "--output",
    source: Path | None = None,
    force: bool = False,
    streams: bool = False,
    json: bool = False,
) -> None:
    """Refuse a file that cannot be meant.

    Args:
        output: where a command shall write; None if nothing was named.
        option: what the user typed before it.
        source: the file that is read.
        force: whether to replace what is there.
        streams: whether `-` is standard output here.
        json: whether a document goes to standard output.

    Raises:
        BadInput: there is a file of this name.
        UsageError: it is the file that is read, its folder is not there, it is standard output where that
            cannot be, or there is none to replace.
    """
    if output is None:
        if force:
            raise UsageError(
                f"--force is for the file of {option}, and none is named.",
                hint=f"Leave it out, or add {option} FILE.",
            )
        return
    if output == STREAM:
        _check_stream(option, streams=streams, json=json)
        return
    check_folder_of(output, option=option)
    if not output.is_file():
        return  # devices and pipes take what comes
    if source is not None and source.is_file() and output.samefile(source):
        raise UsageError(f"{option} {output} is the file that is read.", hint="Name another file.")
    if not force:
        raise BadInput(f"{output} is there already.", hint="Name another file, or replace this one: --force")


def check_folder_of(output: Path, *, option: str) -> None:
    """Refuse a file in a folder that is not there: most often its name was mistyped.

    Raises:
        UsageError: it is not there.
    """
    folder = Path(os.path.realpath(output)).parent
    if not folder.exists():
        raise UsageError(
            f"{option} {output}: there is no folder {folder}.", hint=f"Make it first: mkdir -p {folder}"
        )


def _check_stream(option: str, *, streams: bool, json: bool) -> None:
    if not streams:
        raise UsageError(
            f"{option} - is standard output, and what is written here is no text.",
            hint="Name a file; or ./- for one of that name.",
        )
    if json:
        raise UsageError(
            f"{option} - and --json both write to standard output.", hint="Leave one out, or name a file."
        )


def name_of(output: Path) -> str:
    """What talk calls it."""
    return "standard output" if output == STREAM else str(output)
