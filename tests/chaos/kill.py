"""Kill: SIGKILL at random instants of contributions and claims, and the same commands again."""

from __future__ import annotations

import math
import random
import signal
import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import tables
from tests.chaos.books import Books
from tests.chaos.harness import Run, Scenario
from tests.chaos.proxy import SEND, Proxy
from tests.chaos.world import Refused, Typing, deploy, finish, new_program, write_rows

KILLS = 300
FLYING = 100
LANES = 2
"""Homes that are killed side by side, each with a node of its own."""

KILLS_OF_A_CONTRIBUTION, KILLS_OF_A_CLAIM = 28, 12
"""At most so many before the command is let through, so that there are several rounds."""

BATCH_SIZE = 10
ROWS = 250
"""Of each round."""

BLOCK_S = 0.25
"""Blocks at intervals open a real gap between sending and receipt."""

LONGEST_FLIGHT_S = 0.2
"""A kill in flight comes within so many seconds after the delivery; the receipt may be faster."""

LONGEST_S = 3.0
"""A kill at any time comes within so many seconds; the command needs about that long for its start."""

UNSENT = "between write and send"
UNANSWERED = "after delivery, before the answer"
FLIGHT = "between sending and receipt"
ELSEWHERE = "with nothing of its own in flight"
CONTRIBUTING, CLAIMING = "contribution killed", "claim killed"
DECK = (UNSENT, UNANSWERED, FLIGHT, FLIGHT, ELSEWHERE)
KINDS = {
    f"{CONTRIBUTING} {UNSENT}": 25,
    f"{CONTRIBUTING} {UNANSWERED}": 25,
    f"{CONTRIBUTING} {FLIGHT}": 25,
    f"{CONTRIBUTING} {ELSEWHERE}": 15,
    f"{CLAIMING} {UNSENT}": 5,
    f"{CLAIMING} {UNANSWERED}": 5,
    f"{CLAIMING} {FLIGHT}": 5,
    f"{CLAIMING} {ELSEWHERE}": 5,
}
MOST_ROUNDS = 60


@dataclass
class Trap:
    """Kills a command when its transaction is about to be delivered, was just, or some time after it was.

    Args:
        process: the command; None while nothing is to be killed.
        when: "before" or "after" the delivery.
        skip: how many transactions pass first.
        pause_s: how long after the delivery; None to cut the answer off.
        has_sprung: whether it killed the command.
    """

    process: subprocess.Popen[str] | None = None
    when: str = ""
    skip: int = 0
    pause_s: float | None = None
    has_sprung: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def set(
        self, process: subprocess.Popen[str], when: str, *, skip: int, pause_s: float | None = None
    ) -> None:
        """Wait for a transaction of this process."""
        with self._lock:
            self.process, self.when, self.skip, self.pause_s = process, when, skip, pause_s

    def spring(self, method: str, when: str) -> bool:
        """The gate of a proxy."""
        with self._lock:
            if method not in SEND or when != self.when or self.process is None:
                return False
            if self.skip:
                self.skip -= 1
                return False
            process, self.process, self.has_sprung = self.process, None, True
        if self.pause_s is None:
            process.kill()
            return True
        threading.Timer(self.pause_s, process.kill).start()
        return False

    def unset(self) -> None:
        """Kill nothing more."""
        with self._lock:
            self.process = None


class Lane:
    """One home, whose commands are killed until there were enough kills.

    Args:
        run: the scenario's run.
        number: which lane.
        kills: how many kills.
    """

    def __init__(self, run: Run, number: int, kills: int) -> None:
        self.faults: Counter[str] = Counter()
        self.differences: list[str] = []
        self.rows = self.rounds = self.commands = 0
        self._run = run
        self._number = number
        self._kills = kills
        self._round_rows = min(ROWS, 10 * kills)
        self._rng = random.Random(f"{run.seed} {number}")  # noqa: S311 - a seed is the point
        self._deck: list[str] = []
        self._trap = Trap()
        self._node = run.anvil("--block-time", str(BLOCK_S))
        self._dcai = new_program(run.folder / f"home-{number}", self._node)
        proxy = Proxy(self._node.url, rates={}, lost_send_rate=0, gate=self._trap.spring)
        run.stack.callback(proxy.close)
        self._killed = self._dcai.through(proxy.url)

    def work(self) -> None:
        """Contribute and claim, killed all along, and look at the books after each round."""
        trainer = deploy(self._dcai)
        books = Books(self._node.rpc, self._dcai.query, self._dcai.address, trainer)
        files: list[Path] = []
        # Every kind comes up in every home, however few kills there are, and as often as it must.
        while self.faults.total() < self._kills or any(
            self.faults[kind] < max(1, math.ceil(least * self._run.scale / LANES))
            for kind, least in KINDS.items()
        ):
            if self.rounds == MOST_ROUNDS:
                raise AssertionError(f"{self.faults.total()} kills in {MOST_ROUNDS} rounds")
            self.rounds += 1
            name = f"home {self._number}, round {self.rounds}"
            path = self._run.folder / f"rows-{self._number}-{self.rounds}.csv"
            seed = self._run.seed + 1_000 * self._number + self.rounds
            files.append(write_rows(path, self._round_rows, seed=seed, first=self.rows))
            self.rows += self._round_rows
            self._round(files[-1])
            found = books.audit(*files, is_claimed=True)
            self.differences += [f"{name}: {line}" for line in found]
            self._run.say(f"{name}: {self.faults.total()} kills, {len(found)} differences")
            if found:
                return

    def _round(self, file: Path) -> None:
        """A file of its own is contributed, gets due, and is claimed."""
        contribute = ("contribute", file, "--batch-size", str(BATCH_SIZE), "--yes")
        claim = ("refunds", "--claim", "--min-profit=-1ether", "--yes")
        self._until_done(CONTRIBUTING, KILLS_OF_A_CONTRIBUTION, *contribute)
        self._dcai("devnet", "advance", "25h")
        self._until_done(CLAIMING, KILLS_OF_A_CLAIM, *claim)
        for command in (contribute, claim):
            again = self._done(*command)
            if again.get("contributed") or again.get("transactions"):
                self.differences.append(f"{command[0]} had ended, and still found something to do: {again}")

    def _until_done(self, what: str, most: int, *arguments: str | Path) -> None:
        """Start a command and kill it, until it ends by itself, or after so many kills is let through."""
        self._deck = []
        for _ in range(min(most, max(5, self._kills))):
            if not self._kill(what, *arguments):
                return
        self._done(*arguments)

    def _done(self, *arguments: str | Path) -> dict[str, Any]:
        """Let a command through."""
        self.commands += 1
        return Typing(again_at=()).until_done(self._dcai, *arguments)

    def _kill(self, what: str, *arguments: str | Path) -> bool:
        """Start a command and kill it somewhere.

        Returns:
            Whether it was killed; otherwise it ended by itself, and well.
        """
        before = set(tables.in_flight(self._dcai.query))
        self.commands += 1
        process = self._killed.start(*arguments)
        self._trap.has_sprung = False
        how = self._deal(what)
        # A claim has few transactions, often one.
        skip = self._rng.choice([0, 0, 0, 1]) if what == CONTRIBUTING else 0
        if how == UNSENT:
            self._trap.set(process, "before", skip=skip)
        elif how == UNANSWERED:
            self._trap.set(process, "after", skip=skip)
        elif how == FLIGHT:
            self._trap.set(process, "after", skip=skip, pause_s=self._rng.uniform(0, LONGEST_FLIGHT_S))
        else:
            _wait(process, self._rng.uniform(0, LONGEST_S))
            process.kill()
        ended = finish(process)
        self._trap.unset()
        if ended.code == -signal.SIGKILL:
            self.faults[f"{what} {self._where(how, before)}"] += 1
            return True
        if ended.code:
            raise Refused(f"{arguments[0]} ended by itself: {ended.words}")
        return False

    def _deal(self, what: str) -> str:
        """Where the next kill is meant to fall: each place comes in turn, in an order left to chance."""
        if not self._deck:
            if what == CONTRIBUTING:
                self._deck = self._rng.sample(DECK, len(DECK))
            else:
                # One that was delivered ends what there is to claim, so it comes last. One at any time may
                # find nothing left to kill: so that the rarest kind comes for sure, it is left out before it.
                self._deck = (
                    [UNANSWERED, UNSENT]
                    if self.rounds % 2
                    else [FLIGHT, *self._rng.sample([UNSENT, ELSEWHERE], 2)]
                )
        return self._deck.pop()

    def _where(self, how: str, before: set[str]) -> str:
        """Where a kill fell, by what the ledger and the node know."""
        flying = set(tables.in_flight(self._dcai.query))
        if self._trap.has_sprung:
            # The trap knows, also where the command sent again what an earlier one had signed.
            return how if how != FLIGHT or flying else ELSEWHERE
        mine = flying - before
        if any(self._node.rpc("eth_getTransactionByHash", found) is None for found in mine):
            return UNSENT
        return FLIGHT if mine else ELSEWHERE


def _wait(process: subprocess.Popen[str], seconds: float) -> None:
    """Wait some time, or until a process ends."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def work(run: Run) -> None:
    """Kill the commands of some homes side by side."""
    kills = run.scaled(KILLS, least=6)
    count = LANES if kills >= 20 else 1
    lanes = [Lane(run, number, -(-kills // count)) for number in range(count)]
    try:
        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(lane.work) for lane in lanes]:
                done.result()
    finally:
        for lane in lanes:
            run.faults.update(lane.faults)
            run.differ(lane.differences)
    flying = sum(count for kind, count in run.faults.items() if not kind.endswith(ELSEWHERE))
    run.figures.update(
        {
            "kills": run.faults.total(),
            "between_signing_and_receipt": flying,
            "rows": sum(lane.rows for lane in lanes),
            "commands": sum(lane.commands for lane in lanes),
            "rounds": sum(lane.rounds for lane in lanes),
        }
    )
    wanted = run.scaled(FLYING)
    run.expect(run.faults.total() >= kills, f"{run.faults.total()} kills, not {kills}")
    run.expect(flying >= wanted, f"{flying} kills between signing and receipt, not {wanted}")


SCENARIO = Scenario(
    name="kill",
    about="300 SIGKILLs at random instants, 100 between signing and receipt: every row once, every refund",
    kinds=KINDS,
    work=work,
)
