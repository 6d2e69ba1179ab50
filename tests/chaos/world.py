"""The program under faults: homes, commands that may fail and are typed again, and files of rows."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from tests.conftest import PROJECT, Anvil, Dcai, new_dcai

PATIENCE_S = 300.0
"""How long one command may take before it counts as one that hangs."""

UNREACHABLE, PARTLY, LOCKED = 13, 3, 18
"""Exit codes of commands that are typed again: nothing is lost, something is left to do."""

LEDGER = "DCAI_LEDGER"
"""Names a PostgreSQL database that holds the ledger."""

N_FEATURES = 1024
LABELS = ("ham", "spam")


class Hanged(Exception):
    """A command did not end."""


class Refused(Exception):
    """A command ended with an exit code that nothing explains."""


@dataclass(frozen=True)
class Program(Dcai):
    """The program, with more in its environment.

    Args:
        extra: what is set besides.
    """

    extra: tuple[tuple[str, str], ...] = ()

    @property
    def environ(self) -> dict[str, str]:
        """What is set when it runs."""
        return {**super().environ, **dict(self.extra)}

    def query(self, sql: str, *values: object) -> list[Any]:
        """Rows of the ledger, wherever it is."""
        url = dict(self.extra).get(LEDGER)
        if url is None:
            return super().query(sql, *values)
        import psycopg

        with psycopg.connect(url) as ledger:
            return ledger.execute(sql.replace("?", "%s").encode(), values).fetchall()

    def start_daemon(self, *options: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a daemon's loop, whose talk goes to a file."""
        return subprocess.Popen(
            [sys.executable, "-m", "dcai_cli", "daemon", "run", *options],
            cwd=PROJECT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

    def through(self, url: str) -> Program:
        """The same home with another way to the node."""
        return replace(self, rpc_url=url)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Args:
        code: its exit code; negative if a signal ended it.
        document: the data or the error of its document; empty if it printed none.
        talk: what it said beside it.
    """

    code: int
    document: dict[str, Any]
    talk: str

    @property
    def words(self) -> str:
        """What went wrong, in a line."""
        said = self.document.get("message") or self.talk.strip()[-500:]
        return f"exit {self.code}: {said}"


def new_program(home: Path, node: Anvil | None, **extra: str) -> Program:
    """Make a home whose account is rich on a node, or on the embedded chain."""
    dcai = new_dcai(home, node)
    return Program(dcai.home, dcai.rpc_url, dcai.address, tuple(extra.items()))


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a command."""
    try:
        out, talk = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, talk = process.communicate()
        raise Hanged(f"{process.args!r} ran for {PATIENCE_S:.0f} s: {out}{talk}") from None
    try:
        document = json.loads(out)
    except ValueError:
        document = {}
    return Ended(process.returncode, document.get("data") or document.get("error") or {}, talk)


def typed(dcai: Dcai, *arguments: str | Path) -> Ended:
    """Type a command once."""
    return finish(dcai.start(*arguments))


@dataclass
class Typing:
    """Types commands again and again until they are done, and counts how they ended.

    Args:
        again_at: exit codes after which the same command is typed again.
        most: how often a command is typed at most.
    """

    again_at: Collection[int] = (UNREACHABLE, PARTLY)
    most: int = 60
    codes: Counter[int] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    tracebacks: list[str] = field(default_factory=list)

    def until_done(self, dcai: Dcai, *arguments: str | Path) -> dict[str, Any]:
        """Type a command until it ends well.

        Raises:
            Refused: it ended in a way that typing it again does not mend, or too often.
        """
        for _ in range(self.most):
            ended = self.once(dcai, *arguments)
            if ended.code == 0:
                return ended.document
            if ended.code not in self.again_at:
                raise Refused(f"{arguments[0]} {ended.words}")
        raise Refused(f"{arguments[0]} was typed {self.most} times; the last time: {ended.words}")

    def once(self, dcai: Dcai, *arguments: str | Path) -> Ended:
        """Type a command once, and count how it ended."""
        return self.note(typed(dcai, *arguments))

    def note(self, ended: Ended) -> Ended:
        """Count how a command ended."""
        self.codes[ended.code] += 1
        if ended.code:
            self.said[str(ended.document.get("message", ended.talk[-200:]))[:200]] += 1
        if "Traceback" in ended.talk:
            self.tracebacks.append(ended.talk[-1500:])
        return ended

    def figures(self) -> dict[str, int | str]:
        """How often commands were typed, and how they ended."""
        again = {str(code): count for code, count in sorted(self.codes.items()) if code}
        return {
            "commands": sum(self.codes.values()),
            "typed_again_after": ", ".join(f"exit {code}: {count}" for code, count in again.items())
            or "never",
        }


def write_rows(path: Path, count: int, *, seed: int, first: int = 0) -> Path:
    """Write texts with labels, each row its own; one in fifty has the other label, which a model rejects."""
    rng = random.Random(seed)  # noqa: S311 - a seed is the point
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 8))) for _ in range(400)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(first, first + count):
            label = rng.randrange(2)
            text = rng.choices(words[label * 150 : label * 150 + 250], k=rng.randint(3, 9))
            # Many bits of the number, spelt as words, keep rows apart after hashing.
            text += [f"{place}{(number >> place) & 1}" for place in range(count.bit_length() + 1)]
            shown = 1 - label if rng.random() < 0.02 else label
            writer.writerow([" ".join(text), LABELS[shown]])
    return path


def deploy(dcai: Dcai, name: str = "chaos") -> str:
    """Deploy a model for such rows.

    Returns:
        Its address.
    """
    return dcai.deploy(name, labels=",".join(LABELS), n_features=N_FEATURES)
