"""What errors tell to type next: whether that can be typed."""

from __future__ import annotations

import re
import shlex
from typing import Any

from typer.exceptions import TyperException

from dcai_cli.cli.app import program

_PROGRAM = program()
_COMMAND = re.compile(r"(?:^|: |, or |`)(dcai\b[^`]*?)(?=`|$|; |(?<!\.\.)\. |, )")
"""A command in a sentence: it begins it, or stands behind a colon, an `or` or a backquote."""


def commands_in(text: str) -> list[str]:
    """The commands that a text names.

    >>> commands_in("See it: dcai tx list. Type `dcai ledger rebuild --yes`, or dcai contribute ... --yes")
    ['dcai tx list', 'dcai ledger rebuild --yes', 'dcai contribute ... --yes']
    """
    return _COMMAND.findall(text)


def fault_of(typed: str) -> str:
    """Why dcai would not take a command, placeholders filled in; empty if it would. Nothing is run.

    >>> fault_of("dcai"), fault_of("dcai contribute FILE --limit N"), fault_of("dcai config set ...")
    ('', '', '')
    >>> fault_of("dcai contribute"), fault_of("dcai model lst"), fault_of("dcai refunds --clam")
    ("Missing argument 'file'.", "There is no 'lst'.", 'No such option: --clam (Possible options: --claim)')
    """
    words = [re.sub(r"^[A-Z]+$", "1", word) for word in shlex.split(typed)[1:]]
    is_whole = "..." not in words
    words = [word for word in words if word != "..."]
    command: Any = _PROGRAM
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    if "--help" in words:
        return ""
    if hasattr(command, "commands") and not (words and words[0].startswith("-")):
        return f"There is no {words[0]!r}." if words else ""  # alone, a group shows what it has
    try:
        command.make_context(command.name, words)
    except TyperException as error:
        # Where dots stand for the rest, only an option that is none is a fault.
        return error.format_message() if is_whole or hasattr(error, "possibilities") else ""
    return ""
