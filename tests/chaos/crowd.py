"""Crowd: three daemons with one account and one PostgreSQL ledger; two processes on one SQLite ledger."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from tests.chaos.books import Books, Chain
from tests.chaos.harness import Run, Scenario
from tests.chaos.world import LEDGER, LOCKED, Program, Typing, deploy, finish, new_program, write_rows
from tests.conftest import Anvil

BATCHES = 2_000
BATCH_SIZE = 2
DAEMONS = 3
KILLS = 12
CONTESTS = 10
PATIENCE_S = 900.0
LOOK_S = 1.0
STOP_S = 120.0

KILLED = "daemon killed beside two others, and started again"
CONTESTED = "two processes at once on one SQLite ledger"


class Machines:
    """Some homes with the same key and the same ledger on a server, each with a daemon.

    Args:
        run: the scenario's run.
        dcai: the first of them.
    """

    def __init__(self, run: Run, dcai: Program) -> None:
        self._run = run
        self._homes = [dcai]
        for number in range(1, DAEMONS):
            home = run.folder / f"machine-{number}"
            shutil.copytree(dcai.home, home)
            # Only the key, the password and the settings are there; the ledger is on the server.
            self._homes.append(replace(dcai, home=home))
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []
        self._before: dict[int, int] = {}  # what was in a log when its daemon was started last

    def start(self) -> None:
        """Start every daemon."""
        self._logs = [tempfile.TemporaryFile() for _ in self._homes]  # noqa: SIM115 - closed by `stop`
        self._daemons = [self._start(number) for number in range(len(self._homes))]

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        dcai = self._homes[number]
        self._before[number] = os.fstat(self._logs[number].fileno()).st_size
        return dcai.start_daemon("--interval", "1s", log=self._logs[number])

    def kill(self) -> None:
        """Kill one of them, and start it again."""
        number = self._run.rng.randrange(len(self._daemons))
        self._daemons[number].kill()
        self._daemons[number].wait()
        self._run.faults[KILLED] += 1
        self._daemons[number] = self._start(number)

    def are_running(self) -> bool:
        """Whether none of them ended."""
        return all(daemon.poll() is None for daemon in self._daemons)

    def stop(self) -> None:
        """End them as a system does; each must end well."""
        for daemon in self._daemons:
            daemon.send_signal(signal.SIGTERM)
        for number, daemon in enumerate(self._daemons):
            try:
                code = daemon.wait(STOP_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                code = daemon.wait()
            log = self._logs[number]
            log.seek(0)
            content = log.read()
            log.close()
            said = content.decode(errors="replace")
            if code == -signal.SIGTERM and len(content) == self._before[number]:
                continue  # it was started a moment ago, and did not hear yet
            self._run.expect(code == 0, f"daemon {number} ended with {code}: {said[-400:]}")
            self._run.expect("Traceback" not in said, f"daemon {number}: {said[-800:]}")
        self._daemons = []


@contextmanager
def server(run: Run) -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL server of its own."""
    from tests.postgres import Postgres, programs

    folder = programs()
    if folder is None:
        raise AssertionError("PostgreSQL is not installed: no initdb in /usr/lib/postgresql or on the PATH")
    postgres = Postgres(folder)
    run.stack.callback(postgres.remove)
    yield postgres.new_database()


def three_daemons(run: Run, node: Anvil, url: str) -> None:
    """Everything is due at once, for all of them."""
    dcai = new_program(run.folder / "machine-0", node, **{LEDGER: url})
    trainer = deploy(dcai)
    batches = run.scaled(BATCHES, least=40)
    rows = batches * BATCH_SIZE
    file = write_rows(run.folder / "team.csv", rows, seed=run.seed)
    machines = Machines(run, dcai)
    began = time.monotonic()
    command = ("contribute", file, "--batch-size", str(BATCH_SIZE), "--yes")
    dcai(*command)
    run.say(f"{batches} batches are on-chain after {time.monotonic() - began:.0f} s")
    books = Books(node.rpc, dcai.query, dcai.address, trainer)
    run.differ(f"before: {line}" for line in books.audit(file))
    dcai("devnet", "advance", "25h")
    began = time.monotonic()
    machines.start()
    try:
        kills = run.scaled(KILLS, least=2)
        while run.faults[KILLED] < kills or books.unclaimed():
            if time.monotonic() - began > PATIENCE_S or not machines.are_running():
                break
            time.sleep(LOOK_S)  # the daemons have the word
            if run.faults[KILLED] < kills:
                machines.kill()
    finally:
        machines.stop()
    run.figures.update({"batches": batches, "daemons": DAEMONS, "claimed_s": round(time.monotonic() - began)})
    # What a killed daemon left on its way is settled by whoever comes next.
    dcai("refunds", "--claim", "--min-profit=-1ether", "--yes")
    run.differ(books.audit(file, is_claimed=True))
    run.differ(_wasted(Chain(node.rpc, trainer), dcai))


def _wasted(chain: Chain, dcai: Program) -> Iterator[str]:
    """Claims that paid nothing, because somebody else had made them."""
    paying = {event.transaction for found in chain.payments.values() for event in found}
    for event in (event for found in chain.payments.values() for event in found):
        if not event.args["amountWei"]:
            yield f"batch {event.args['batchId']} was claimed twice: the second time paid nothing"
    for found, state in dcai.query("SELECT hash, state FROM transactions WHERE kind = ?", "refund"):
        if state != "dropped" and found not in paying:
            yield f"refund {found} ({state}) paid nothing"


def two_processes(run: Run, node: Anvil) -> None:
    """One of two commands at once waits, or ends with 18 and says who holds the lock."""
    dcai = new_program(run.folder / "one-home", node)
    trainer = deploy(dcai)
    files: list[Path] = []
    codes: list[int] = []
    for number in range(run.scaled(CONTESTS, least=2)):
        pair = [
            write_rows(
                run.folder / f"contest-{number}-{side}.csv",
                60,
                seed=run.seed + 2 * number + side,
                first=60 * (2 * number + side),
            )
            for side in range(2)
        ]
        files += pair
        commands = [("contribute", file, "--batch-size", "10", "--yes") for file in pair]
        processes = [dcai.start(*command) for command in commands]
        run.faults[CONTESTED] += 1
        pids = [process.pid for process in processes]
        ended = [finish(process) for process in processes]
        codes += [one.code for one in ended]
        for side, one in enumerate(ended):
            run.expect(one.code in {0, LOCKED}, f"one of two processes at once: {one.words}")
            if one.code == LOCKED:
                holder = re.search(r"pid (\d+)", str(one.document.get("message")))
                run.expect(
                    holder and int(holder[1]) == pids[1 - side],
                    f"the holder is process {pids[1 - side]}, and the message says: {one.words}",
                )
        for command in commands:
            Typing(again_at=()).until_done(dcai, *command)
    run.figures["two_processes"] = f"{codes.count(0)} worked, {codes.count(LOCKED)} were told who holds it"
    run.differ(Books(node.rpc, dcai.query, dcai.address, trainer).audit(*files))


def work(run: Run) -> None:
    """Both crowds."""
    two_processes(run, run.anvil())
    with server(run) as url:
        three_daemons(run, run.anvil(), url)


SCENARIO = Scenario(
    name="crowd",
    about="three daemons on PostgreSQL, one account, 2,000 batches; two processes on one SQLite ledger",
    kinds={KILLED: 10, CONTESTED: 10},
    work=work,
)
