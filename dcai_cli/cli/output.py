"""The only printer and prompter: data to stdout, talk to stderr."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from dcai_cli.errors import DcaiError, UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from dcai_cli.config import Settings
    from dcai_cli.keystore import StoredAccount
    from dcai_cli.services.standing import Step

VERSION = 1
"""Version of the JSON documents."""

WIDE = 1000
"""Columns of a line that no terminal shows: no cell of a table is cut short there."""

NARROW = 80
"""On a screen with fewer columns, what would be a table is a few short lines for each row."""

Progress = Callable[[int, int], None]

_LOGGER = "dcai_cli"


class Talk:
    """How much this process says on stderr beside results and errors, and whether it has said its result."""

    quiet = False
    """No talk at all."""

    verbose = False
    """What is done behind the scenes, too: settings, requests to nodes, and how long they take."""

    answered = False
    """Whether a document stands on stdout, or its beginning: no other one may follow."""

    _handler: logging.Handler | None = None

    @classmethod
    def set_quiet(cls) -> None:
        """Say nothing but results and errors from now on."""
        cls.quiet = True

    @classmethod
    def set_verbose(cls) -> None:
        """Show on stderr from now on what the program writes down about itself; no secret is in it."""
        if cls._handler is not None:
            return
        cls.verbose = True

        class Lines(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                stderr().print(record.getMessage())

        cls._handler = Lines()
        logging.getLogger(_LOGGER).addHandler(cls._handler)
        logging.getLogger(_LOGGER).setLevel(logging.DEBUG)

    @classmethod
    def reset(cls) -> None:
        """Say what is usual."""
        if cls._handler is not None:
            logging.getLogger(_LOGGER).removeHandler(cls._handler)
            logging.getLogger(_LOGGER).setLevel(logging.NOTSET)
        cls.quiet, cls.verbose, cls.answered, cls._handler = False, False, False, None


class ClosedStream(io.TextIOWrapper):
    """Stands for a stream that somebody closed, and knows whether something was to be said on it."""

    def __init__(self) -> None:
        super().__init__(os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb"), encoding="utf-8")
        self.has_lost = False

    def write(self, text: str, /) -> int:
        """Drop a text."""
        self.has_lost = self.has_lost or bool(text)
        return super().write(text)


def is_asked() -> bool:
    """Whether somebody sits at a terminal and can answer; standard input may be closed."""
    return sys.stdin is not None and sys.stdin.isatty()


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}


def printable(text: str) -> str:
    r"""A text without what would move a terminal's cursor, or colour it: names and labels are anybody's.

    >>> printable("a\tb\x1b[2J")
    'a\tb\\x1b[2J'
    """
    return text.translate(_CONTROLS)


def shortened(address: str) -> str:
    """An address as people recognise it; JSON has all of it.

    >>> shortened("0x1efF9Bfea26995A3793f8154b43E3cb31F6341Df")
    '0x1efF9B...6341Df'
    """
    return f"{address[:8]}...{address[-6:]}"


def stdout() -> Console:
    """The console for data: what is no terminal gets whole lines, and every text as it is."""
    return _console(stderr=False, width=None if sys.stdout.isatty() else WIDE)


def stderr() -> Console:
    """The console for talk."""
    return _console(stderr=True, width=None)


def _console(*, stderr: bool, width: int | None) -> Console:
    """A console that reads nothing as markup, and shows control characters instead of sending them."""
    from rich.console import Console

    class Printable(Console):
        def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own
            return super().render_str(printable(text), **options)

    return Printable(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True, width=width)


@dataclass(frozen=True, slots=True)
class Output:
    """How one command speaks.

    Args:
        command: its name, as in "model deploy".
        json: one JSON document on stdout instead of text.
        quiet: no talk.
        yes: every question is answered with yes.
    """

    command: str
    json: bool = False
    quiet: bool = False
    yes: bool = False

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees on a terminal how far a command is."""
        return not (self.quiet or Talk.quiet or self.json) and sys.stderr.isatty()

    def result(self, data: dict[str, Any], human: Callable[[Console], None]) -> None:
        """Print the result: as JSON, or for people by `human`."""
        if self.json:
            print_document(self.command, data=data)
        else:
            human(stdout())

    def note(self, text: str) -> None:
        """Say something on stderr."""
        if not (self.quiet or Talk.quiet):
            stderr().print(text)

    def suggest(self, step: Step) -> None:
        """Say on stderr what to type next."""
        if not self.json:
            self.note(f"{step.why[0].upper()}{step.why[1:]}: {step.command}")

    def ask(self, question: str) -> None:
        """Go on only after a yes.

        Args:
            question: its sentences; each has a line of its own.

        Raises:
            UsageError: nobody is there to answer.
            DcaiError: the answer was no.
        """
        if self.yes:
            return
        if not is_asked():
            raise UsageError(
                f"{question} Nobody is there to answer.", hint="Add --yes to go on without being asked."
            )
        lines = question.replace(". ", ".\n")
        stderr().print(f"{lines} [y/N] ", end="")
        try:
            answer = input()
        except EOFError:
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            raise DcaiError("Stopped; nothing was sent.", hint="Answer y to go on, or add --yes.")

    def password(self, settings: Settings) -> Callable[[StoredAccount], str]:
        """How a command comes by an account's password: a file, or a prompt."""

        def get(stored: StoredAccount) -> str:
            return read_password(settings, f"Password of {stored.name}: ", note=self.note)

        return get

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """Show a bar with the time left, where stderr is a terminal; no sooner than there is progress."""
        if not self.is_watched:
            yield lambda _done, _all: None
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            ProgressColumn,
            Task,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        class Rate(ProgressColumn):
            def render(self, task: Task) -> Text:
                return TaskProgressColumn.render_speed(task.speed)

        console = stderr()
        columns: tuple[ProgressColumn, ...] = (MofNCompleteColumn(), TimeRemainingColumn())
        if console.width >= NARROW:
            columns = (BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
        bar = Bar(TextColumn(what), *columns, console=console, transient=True)
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.start()  # questions come before the first progress: a running bar would paint over them
            bar.update(task, completed=done, total=total)

        try:
            yield show
        finally:
            bar.stop()


def read_password(
    settings: Settings, prompt: str, *, note: Callable[[str], None], twice: bool = False
) -> str:
    """A password from the file that the settings name, or from a prompt.

    Args:
        settings: they may name a password file.
        prompt: what to ask.
        note: is told of a file that others can read.
        twice: ask again, as a new password is never seen.

    Raises:
        UsageError: there is neither a file nor a terminal, or the two answers differ.
    """
    if settings.password_file is not None:
        from dcai_cli.keystore import others_can_read, password_from_file

        if others_can_read(settings.password_file):
            note(f"Others can read {settings.password_file}. Type: chmod 600 {settings.password_file}")
        return password_from_file(settings.password_file)
    answer = read_secret(
        prompt, hint="Name a file that holds it: --password-file FILE, or ETH_PASSWORD=FILE."
    )
    if twice and read_secret("The same again: ", hint="") != answer:
        raise UsageError("The two passwords differ.", hint="Run the same command again.")
    return answer


def read_answer(question: str) -> str:
    """What somebody types at the terminal, without the spaces around it; empty if nothing.

    Raises:
        UsageError: the input ended.
    """
    stderr().print(question, end="")
    try:
        return input().strip()
    except EOFError:
        raise UsageError(
            "The input ended before all was answered; nothing was written.",
            hint="Run the same command again, and answer each question.",
        ) from None


def read_secret(prompt: str, *, hint: str) -> str:
    """Something secret from the terminal, which does not show it.

    Raises:
        UsageError: there is no terminal.
    """
    if not is_asked():
        raise UsageError(f"{prompt.rstrip(': ')}: nobody is there to type it.", hint=hint)
    from getpass import getpass

    try:
        return getpass(prompt, stream=sys.stderr)
    except EOFError:
        raise UsageError(f"{prompt.rstrip(': ')}: nothing was typed.", hint=hint) from None
    except UnicodeDecodeError:
        raise UsageError(f"{prompt.rstrip(': ')}: what was typed is not text.", hint=hint) from None


def print_document(command: str, *, data: Any = None, error: dict[str, Any] | None = None) -> None:  # noqa: ANN401
    """Print the one JSON document of a command: its data, or its error."""
    document: dict[str, Any] = {"version": VERSION, "command": command}
    if data is not None:
        document["data"] = data
    if error is not None:
        document["error"] = error
    Talk.answered = True
    # Escapes are valid JSON in every encoding that a pipe may have.
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()


@contextmanager
def kept(items: Iterable[dict[str, Any]]) -> Iterator[BinaryIO]:
    """Any number of things as lines of JSON in a temporary file, read from its start once all are there."""
    with tempfile.TemporaryFile() as file:
        for item in items:
            file.write(json.dumps(item).encode("ascii") + b"\n")
        file.seek(0)
        yield file


def print_long_document(
    command: str, *, data: Callable[[], dict[str, Any]], name: str, items: Iterable[dict[str, Any]]
) -> None:
    """Print a document whose data ends in a list that need not fit in memory, an element a line.

    Nothing is printed before the last element is there: whatever fails on the way leaves room for an error.

    Args:
        command: the command's words.
        data: gives all of the data but the list, once its elements were made.
        name: what the list is called.
        items: its elements.
    """
    with kept(items) as lines:
        document = {"version": VERSION, "command": command, "data": {**data(), name: []}}
        Talk.answered = True
        sys.stdout.write(json.dumps(document, indent=2).removesuffix("]\n  }\n}"))
        separator = "\n      "
        for line in lines:
            sys.stdout.write(separator + line.decode("ascii").removesuffix("\n"))
            separator = ",\n      "
        sys.stdout.write("\n    ]\n  }\n}\n")
        sys.stdout.flush()


def describe_error(error: DcaiError) -> dict[str, Any]:
    """The member `error` of a document."""
    return {"code": error.code, "exit_code": error.exit_code, "message": error.message, "hint": error.hint}


def print_error(error: DcaiError, *, command: str, as_json: bool) -> None:
    """Say what went wrong and what to type next."""
    if as_json and not Talk.answered:
        print_document(command, error=describe_error(error))
    from rich.text import Text

    console = stderr()
    console.print(Text.assemble(("error:", "bold red"), " ", printable(error.message)))
    if error.hint:
        console.print(Text.assemble(("hint:", "dim"), " ", printable(error.hint)))
