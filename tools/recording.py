"""Record the picture at the top of README.md: what dcai shows at a terminal, as it shows it.

`python -m tools.recording [--check]` runs the commands of `STORY` one after the other in pseudo-terminals,
in a home of their own, and feeds what they write into a terminal emulator. Keys and clock are always the
same, so the same program makes the same bytes; only the pauses, and the typing, are made up
(tools/animation.py). With --check nothing is written, and the exit status is 1 if the commands now say
something else than the picture does, addresses, times, gas and amounts aside.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

from tools.animation import Event, Piece, animation
from tools.varying import same

PROJECT = Path(__file__).resolve().parent.parent
PICTURE = PROJECT / "docs" / "images" / "demo.svg"
TITLE = "dcai at a terminal: contributing, predicting, waiting, taking the deposits back"

COLUMNS, ROWS = 106, 26
PAPER_ROWS = 1000
"""Rows of the emulated terminal: nothing scrolls out of it, the picture scrolls instead."""

BEGIN_S = 1_790_000_000
STEP_S = 60
"""The clock of the first command, in seconds since 1970, and how much later it is at each further one."""

QUESTION = b"[y/N] "


@dataclass(frozen=True, slots=True)
class Step:
    """A command of the story.

    Args:
        command: as it is typed in a shell.
        answers: what is typed at its questions, one after the other.
    """

    command: str
    answers: tuple[str, ...] = ()


PREPARATION = (
    Step("dcai account import --name bob --quiet"),
    Step("dcai account import --name alice --quiet"),
    Step("dcai model deploy --account bob --name reviews --labels negative,positive --n-features 4096 --yes"),
    Step("dcai account use alice"),
)
"""What is done before, unseen: two accounts with keys that everybody knows, and a model of one of them."""

KEYS = {"alice": "11" * 32, "bob": "22" * 32}

STORY = (
    Step("dcai"),
    Step("dcai contribute examples/reviews.csv --limit 200", answers=("y",)),
    Step('dcai predict "what a wonderful film"'),
    Step("dcai model evaluate examples/reviews.csv --skip 200"),
    Step("dcai devnet advance 25h"),
    Step("dcai"),
    Step("dcai refunds --claim", answers=("y",)),
)


def main() -> int:
    """Write the picture, or compare it."""
    parser = argparse.ArgumentParser(prog="python -m tools.recording", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the picture is stale")
    check = parser.parse_args().check
    picture = record()
    if not check:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture, encoding="utf-8")
        return 0
    if PICTURE.exists() and same(PICTURE.read_text(encoding="utf-8")) == same(picture):
        return 0
    print(f"{PICTURE} is stale; run: python -m tools.recording", file=sys.stderr)
    return 1


def record() -> str:
    """Run the story.

    Returns:
        The picture.

    Raises:
        RuntimeError: a command failed, or painted over what another one said.
    """
    with tempfile.TemporaryDirectory(prefix="dcai-recording-") as name:
        stage = Stage(Path(name))
        for step in PREPARATION:
            account = step.command.split()[4] if "import" in step.command else ""
            stage.prepare(step, given=KEYS.get(account, ""))
        paper = Paper()
        for step in STORY:
            paper.write("prompt", b"$ ")
            paper.write("command", f"{step.command}\r\n".encode())
            for kind, output in stage.perform(step):
                paper.write(kind, output)
        paper.write("prompt", b"$ ")
    return animation(paper.events, columns=COLUMNS, rows=ROWS, title=TITLE)


class Stage:
    """A home, and the program as it is installed, but with a clock that is set for each command.

    Args:
        folder: where all of it goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._moment_s = BEGIN_S
        (folder / "examples").symlink_to(PROJECT / "examples")
        (folder / "password").write_text("a long password\n")
        (folder / "password").chmod(0o600)
        program = folder / "dcai"
        program.write_text(
            f"#!{sys.executable}\nimport os, time\nnow = float(os.environ['NOW'])\ntime.time = lambda: now\n"
            "from dcai_cli.__main__ import main\nmain()\n"
        )
        program.chmod(0o755)

    def prepare(self, step: Step, *, given: str) -> None:
        """Run a command that nobody sees.

        Args:
            step: the command.
            given: its standard input.
        """
        done = subprocess.run(
            shlex.split(step.command),
            cwd=self._folder,
            env=self._environment(),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{step.command} exits with {done.returncode}: {done.stderr}")

    def perform(self, step: Step) -> Iterator[tuple[str, bytes]]:
        """Run a command at a terminal.

        Yields:
            What it writes up to each question and up to its end ("output"), and what is typed ("answer").
        """
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
        process = subprocess.Popen(
            shlex.split(step.command),
            cwd=self._folder,
            env=self._environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            for answer in step.answers:
                yield "output", _read(ours, QUESTION)
                os.write(ours, f"{answer}\n".encode())
                yield "answer", _read(ours, b"\n")  # the terminal's echo
            yield "output", _read(ours, None)
        finally:
            os.close(ours)
            code = process.wait()
        if code:
            raise RuntimeError(f"{step.command} exits with {code}")

    def _environment(self) -> dict[str, str]:
        self._moment_s += STEP_S
        return {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "HOME": str(self._folder),
            "DCAI_HOME": str(self._folder / "home"),
            "ETH_PASSWORD": str(self._folder / "password"),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "NOW": str(self._moment_s),
        }


def _read(terminal: int, end: bytes | None) -> bytes:
    """What a terminal gets, up to and with some bytes, or until nobody writes to it any more.

    Raises:
        RuntimeError: the bytes never come.
    """
    written = b""
    while end is None or not written.endswith(end):
        try:
            fresh = os.read(terminal, 1 if end is not None else 1 << 16)
        except OSError:  # so Linux says that the other end is closed; others say nothing more
            fresh = b""
        if not fresh and end is None:
            return written
        if not fresh:
            raise RuntimeError(f"{end!r} never comes after {written!r}")
        written += fresh
    return written


class Paper:
    """A terminal so tall that nothing ever leaves it, and what appeared on it when."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, PAPER_ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._seen: dict[tuple[int, int], pyte.screens.Char] = {}
        self.events: list[Event] = []

    def write(self, kind: str, written: bytes) -> None:
        """Feed what was written to the terminal; what stands there afterwards and did not before is an event.

        What a command shows and takes away again, such as a progress bar, is not there afterwards.

        Raises:
            RuntimeError: something that stood there is gone or another.
        """
        self._stream.feed(written)
        now = {
            (row, column): char
            for row, line in self._screen.buffer.items()
            for column, char in line.items()
            if char.data.strip()
        }
        if any(now.get(place) != char for place, char in self._seen.items()):
            raise RuntimeError(f"Something is painted over by {written!r}")
        fresh = {place: char for place, char in now.items() if place not in self._seen}
        self._seen = now
        self.events.append(Event(kind, tuple(_pieces(fresh)), self._screen.cursor.y + 1))


def _pieces(chars: dict[tuple[int, int], pyte.screens.Char]) -> Iterator[Piece]:
    """Characters of a row that look alike, put together; a gap of two blanks or more ends a piece."""
    run: list[tuple[int, int, pyte.screens.Char]] = []
    for (row, column), char in [*sorted(chars.items(), key=lambda item: item[0]), ((-1, 0), None)]:
        if run and (
            char is None
            or row != run[-1][0]
            or column > run[-1][1] + 2
            or (char.fg, char.bold) != (run[-1][2].fg, run[-1][2].bold)
        ):
            yield _piece(run)
            run = []
        if char is not None:
            run.append((row, column, char))


def _piece(run: Sequence[tuple[int, int, pyte.screens.Char]]) -> Piece:
    row, first, look = run[0]
    text = ""
    for _, column, char in run:
        text = text.ljust(column - first) + char.data
    return Piece(row, first, text, look.fg, look.bold)


if __name__ == "__main__":
    sys.exit(main())
