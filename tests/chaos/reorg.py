"""Reorganisation: blocks are replaced while contributions and claims are under way."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.books import Books
from tests.chaos.harness import Run, Scenario
from tests.chaos.world import (
    PARTLY,
    PATIENCE_S,
    UNREACHABLE,
    Program,
    Typing,
    deploy,
    finish,
    new_program,
    write_rows,
)
from tests.conftest import Anvil

REORGS = 100
DEEPEST = 12
ROWS = 160
"""Of each round."""

BATCH_SIZE = 8
REORGS_OF_A_PHASE = 12
BUSY_RATE, QUIET_RATE = 0.3, 0.02
"""How often a reorganisation follows a block: where there were transactions lately, and elsewhere."""

LATELY_BLOCKS = 8
EMPTY_SHARE = 4
"""Of so many reorganisations, one at most may replace blocks without transactions."""

TICK_S = 0.08
SETTLING_BLOCKS = 14
"""Mined after a set-up, so that none reaches behind it: anvil would undo clock and balances, too."""

FINAL_BLOCKS = 80
KEPT_STATES = 1_000_000
FAILED, REVERTED = 1, 14
MOST_ROUNDS = 40

DROPPED = "all transactions of the replaced blocks dropped"
MOVED = "transactions moved to other blocks"
PARTED = "first transactions moved, the others dropped"
EMPTY = "blocks without transactions replaced"


class Miner:
    """Mines the blocks of an anvil that does not mine by itself, and replaces some.

    Args:
        run: the scenario's run.
        node: an anvil that was started without mining.
    """

    def __init__(self, run: Run, node: Anvil) -> None:
        self.faults: Counter[str] = Counter()
        self.depths: Counter[int] = Counter()
        self.longest_s = 0.0
        self._rng = run.rng
        self._node = node
        self._floor = self._busy = 0
        self._turns = itertools.cycle([DROPPED, MOVED, PARTED])

    def mine(self, count: int = 1) -> None:
        """Mine some blocks."""
        for _ in range(count):
            self._node.rpc("evm_mine")

    def settle(self) -> None:
        """Put what there is out of reach."""
        self.mine(SETTLING_BLOCKS)
        self._floor = self._head - DEEPEST

    def during(self, dcai: Program, *arguments: str | Path, reorgs: int, typing: Typing) -> int:
        """Mine while a command runs, typed again as need be, and replace blocks at random.

        Returns:
            How many reorganisations there were.
        """
        done = 0
        for _ in range(typing.most):
            process = dcai.start(*arguments)
            began = time.monotonic()
            deadline = began + PATIENCE_S
            while process.poll() is None and time.monotonic() < deadline:
                self.mine()
                since = self._since_busy()
                rate = BUSY_RATE if since < LATELY_BLOCKS else QUIET_RATE
                too_many = since >= LATELY_BLOCKS and self.faults[EMPTY] * EMPTY_SHARE > self.faults.total()
                if done < reorgs and not too_many and self._rng.random() < rate:
                    # Most reach back to what was mined lately.
                    self.reorganise(since + 1 if since < DEEPEST and self._rng.random() < 0.9 else 1)
                    done += 1
                time.sleep(TICK_S)  # blocks come at intervals
            ended = finish(process)
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            typing.note(ended)
            if ended.code == 0:
                break
            if ended.code not in typing.again_at:
                raise AssertionError(f"{arguments[0]} {ended.words}")
        return done

    def _since_busy(self) -> int:
        """How many blocks without transactions came last."""
        latest = self._node.rpc("eth_getBlockByNumber", "latest", False)
        if latest["transactions"]:
            self._busy = int(latest["number"], 16)
        return int(latest["number"], 16) - self._busy

    @property
    def _head(self) -> int:
        return int(self._node.rpc("eth_blockNumber"), 16)

    def reorganise(self, least: int = 1) -> None:
        """Replace the last blocks, so many at least, and what was in them, by others."""
        head = self._head
        depth = min(self._rng.randint(least, DEEPEST), head - self._floor)
        inside = self._transactions(head - depth + 1, head)
        kind = next(self._turns) if inside else EMPTY
        if kind == PARTED and len(inside) < 2:
            kind = MOVED
        kept = {DROPPED: 0, EMPTY: 0, MOVED: len(inside), PARTED: len(inside) // 2}[kind]
        # Their order stays, since nonces must rise.
        places = sorted(self._rng.choices(range(depth), k=kept))
        pairs = [[raw, place] for raw, place in zip(inside, places, strict=False)]
        self._node.rpc("anvil_reorg", depth, pairs)
        self.faults[kind] += 1
        self.depths[depth] += 1

    def _transactions(self, first: int, last: int) -> list[str]:
        blocks: list[dict[str, Any]] = [
            self._node.rpc("eth_getBlockByNumber", hex(number), False) for number in range(first, last + 1)
        ]
        hashes = [found for block in blocks for found in block["transactions"]]
        return [self._node.rpc("eth_getRawTransactionByHash", found) for found in hashes]


def work(run: Run) -> None:
    """Rounds of contributing and claiming, each with reorganisations, until there were enough."""
    wanted = run.scaled(REORGS, least=6)
    # It forgets all code and storage when it goes back to a state that it no longer has in memory.
    node = run.anvil("--no-mining", "--prune-history", str(KEPT_STATES))
    miner = Miner(run, node)
    dcai = new_program(run.folder / "home", node, DCAI_REPLACE_AFTER="5s")
    calm, shaken = Typing(most=4), Typing((UNREACHABLE, PARTLY, FAILED, REVERTED), most=12)
    node.rpc("evm_setAutomine", True)
    trainer = deploy(dcai)
    node.rpc("evm_setAutomine", False)
    miner.settle()
    files: list[Path] = []
    books = Books(node.rpc, dcai.query, dcai.address, trainer)
    claim = ("refunds", "--claim", "--min-profit=-1ether", "--yes")
    try:
        while miner.faults.total() < wanted or not miner.faults.keys() >= {DROPPED, MOVED, PARTED, EMPTY}:
            if len(files) == MOST_ROUNDS:
                raise AssertionError(f"{miner.faults.total()} reorganisations in {MOST_ROUNDS} rounds")
            rows = min(ROWS, 10 * wanted)
            path = run.folder / f"rows-{len(files)}.csv"
            files.append(write_rows(path, rows, seed=run.seed + len(files), first=rows * len(files)))
            contribute = ("contribute", files[-1], "--batch-size", str(BATCH_SIZE), "--yes")
            at_most = min(REORGS_OF_A_PHASE, wanted)
            miner.during(dcai, *contribute, reorgs=at_most, typing=shaken)
            # A reorganisation behind the end of the command is for the next one to notice.
            miner.reorganise()
            miner.during(dcai, *contribute, reorgs=0, typing=calm)
            dcai("devnet", "advance", "25h")
            miner.settle()
            miner.during(dcai, *claim, reorgs=at_most, typing=shaken)
            miner.reorganise()
            miner.during(dcai, *claim, reorgs=0, typing=calm)
            miner.mine(FINAL_BLOCKS)
            miner.during(dcai, *claim, reorgs=0, typing=calm)
            found = books.audit(*files, is_claimed=True)
            run.differ(f"round {len(files)}: {line}" for line in found)
            run.say(f"round {len(files)}: {miner.faults.total()} reorganisations, {len(found)} differences")
            if found:
                break
    finally:
        run.faults.update(miner.faults)
        run.figures.update(
            {
                "reorganisations": miner.faults.total(),
                "depths": ", ".join(f"{depth}: {count}" for depth, count in sorted(miner.depths.items())),
                "rounds": len(files),
                "longest_command_s": round(miner.longest_s),
                "during": str(shaken.figures()),
                "after": str(calm.figures()),
            }
        )
    run.expect(miner.faults.total() >= wanted, f"{miner.faults.total()} reorganisations, not {wanted}")


SCENARIO = Scenario(
    name="reorg",
    about="100 reorganisations of depth 1 to 12 while contributing and claiming: nothing twice, nothing lost",
    kinds={DROPPED: 10, MOVED: 10, PARTED: 3, EMPTY: 5},
    work=work,
)
