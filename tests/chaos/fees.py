"""Fees: the base fee goes up tenfold and down again, with transactions on their way and deadlines near."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.chaos.books import Books, fee
from tests.chaos.harness import Run, Scenario
from tests.chaos.world import (
    PARTLY,
    UNREACHABLE,
    Program,
    Typing,
    deploy,
    finish,
    new_program,
    typed,
    write_rows,
)
from tests.conftest import Anvil

GWEI = 10**9
LOW_WEI, HIGH_WEI = GWEI // 2, 5 * GWEI
"""The base fee, and the tenfold of it."""

LOW_CEILING_WEI = 2 * GWEI

ROWS = 200
BATCH_SIZE = 20
TICK_S = 0.1
BLOCKS_UP = 12
MOST_TIP_WEI = 2 * GWEI
"""The node suggests 1 gwei; a transaction that was replaced some times may offer a little more."""

PATIENCE = "5s"
"""How long a transaction waits before it is replaced."""

MARGIN_H, EARLY_H, LATE_H = 6, 25, 19
"""What the daemon takes for near; when it looks first; how much later again: four hours are left then."""

UP = "base fee up tenfold"
DOWN = "base fee down again"
STUCK = "transactions left behind the base fee in the pool"
ABOVE = "base fee above the ceiling, far from a deadline"
DEADLINE = "base fee above the ceiling, near a deadline"

FAILED, LIMITED = 1, 16
AGAIN = (FAILED, PARTLY, UNREACHABLE, LIMITED)


class Market:
    """Mines the blocks of an anvil that does not by itself, with a base fee that it is told.

    Args:
        node: an anvil that was started without mining.
    """

    def __init__(self, node: Anvil) -> None:
        self.blocks = 0
        self._base_fee_wei = LOW_WEI
        self._node = node
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Mine no more."""
        self._is_over.set()
        self._thread.join()

    @contextmanager
    def paused(self) -> Iterator[Callable[[int], None]]:
        """No block comes meanwhile; gives what sets the base fee from the next block on."""

        def change(wei: int) -> None:
            self._base_fee_wei = wei
            self._node.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))

        with self._lock:
            yield change

    def set(self, wei: int) -> None:
        """From the next block on, this is the base fee; return when some such blocks are there."""
        with self.paused() as change:
            change(wei)
        self.wait(3)

    def wait(self, blocks: int) -> None:
        """Let some blocks come."""
        target = self.blocks + blocks
        while self.blocks < target:
            time.sleep(TICK_S / 2)  # blocks come at intervals

    def _run(self) -> None:
        while not self._is_over.wait(TICK_S):
            with self._lock:
                self._node.rpc("evm_mine")
                self._node.rpc("anvil_setNextBlockBaseFeePerGas", hex(self._base_fee_wei))
                self.blocks += 1


class Prices:
    """What the transactions of an account paid for gas.

    Args:
        node: the node.
        account: the account.
    """

    def __init__(self, node: Anvil, account: str) -> None:
        self._node = node
        self._account = account.lower()
        self._next = 0

    def new(self) -> list[dict[str, Any]]:
        """The transactions that were mined since the last question, with `price`, `base` and `fee` in wei."""
        head = int(self._node.rpc("eth_blockNumber"), 16)
        found = []
        for number in range(self._next, head + 1):
            block = self._node.rpc("eth_getBlockByNumber", hex(number), True)
            for transaction in block["transactions"]:
                if transaction["from"].lower() != self._account:
                    continue
                receipt = self._node.rpc("eth_getTransactionReceipt", transaction["hash"])
                price, base = int(receipt["effectiveGasPrice"], 16), int(block["baseFeePerGas"], 16)
                found.append({**transaction, "price": price, "base": base, "fee": fee(receipt)})
        self._next = head + 1
        return found


class _Season:
    """One home on a market."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.node = run.anvil("--no-mining")
        self.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(LOW_WEI))
        self.market = Market(self.node)
        run.stack.callback(self.market.close)
        self.dcai = new_program(run.folder / "home", self.node, DCAI_REPLACE_AFTER=PATIENCE)
        self.trainer = deploy(self.dcai)
        self.prices = Prices(self.node, self.dcai.address)
        self.prices.new()

    def below(self, ceiling_wei: int) -> Program:
        """The program with a limit on what a unit of gas may cost."""
        return replace(self.dcai, extra=(*self.dcai.extra, ("ETH_GAS_PRICE", str(ceiling_wei))))

    def rise_and_fall(self, file: Path) -> None:
        """Without a ceiling, the base fee jumps with transactions on their way, and falls again."""
        command = ("contribute", file, "--batch-size", str(BATCH_SIZE), "--yes")
        process = self.dcai.start(*command)
        try:
            self._jump()
        finally:
            ended = finish(process)
        typing = Typing(AGAIN, most=3)
        if typing.note(ended).code:
            typing.until_done(self.dcai, *command)
        self.run.figures["commands_while_it_rose"] = str(typing.figures())
        self.not_overpaid("rise and fall", None)

    def _jump(self) -> None:
        """Up tenfold with transactions in the pool; down again some blocks later."""
        deadline = time.monotonic() + 60
        while True:
            with self.market.paused() as change:
                pooled = self._pooled()
                if pooled:
                    change(HIGH_WEI)
                    behind = [one for one in pooled if int(one["maxFeePerGas"], 16) < HIGH_WEI]
                    self.run.faults[STUCK] += len(behind)
                    self.run.faults[UP] += 1
                    break
            if time.monotonic() > deadline:
                raise AssertionError("no transaction came into the pool")
            time.sleep(0.01)  # the node tells no earlier
        self.market.wait(BLOCKS_UP)
        self.market.set(LOW_WEI)
        self.run.faults[DOWN] += 1

    def _pooled(self) -> list[dict[str, Any]]:
        pending: dict[str, Any] = self.node.rpc("txpool_content")["pending"]
        mine = self.dcai.address.lower()
        return [one for who, own in pending.items() if who.lower() == mine for one in own.values()]

    def above_the_ceiling(self, file: Path) -> None:
        """Above the ceiling nothing is sent, and the command says so; once the fee has fallen it works."""
        command = ("contribute", file, "--batch-size", str(BATCH_SIZE), "--yes")
        limited = self.below(LOW_CEILING_WEI)
        self.market.set(HIGH_WEI)
        ended = typed(limited, *command)
        self.run.faults[ABOVE] += 1
        self.run.expect(ended.code == LIMITED, f"contribute above the ceiling was not refused: {ended.words}")
        paid = self.prices.new()
        self.run.expect(not paid, f"{len(paid)} transactions were mined above the ceiling")
        self.market.set(LOW_WEI)
        Typing(AGAIN, most=3).until_done(limited, *command)
        self.not_overpaid("after the fall", LOW_CEILING_WEI)

    def near_a_deadline(self) -> None:
        """The daemon waits for a lower fee as long as it may, and then pays what saving the deposit takes."""
        limits = ("--max-gas-price", str(LOW_CEILING_WEI), "--deadline-margin", f"{MARGIN_H}h")
        daemon = ("daemon", "run", "--once", *limits)
        self.dcai("devnet", "advance", f"{EARLY_H}h")
        self.market.set(HIGH_WEI)
        ended = typed(self.dcai, *daemon)
        self.run.faults[ABOVE] += 1
        self.run.expect(ended.code == 0, f"the daemon far from the deadline: {ended.words}")
        early = self.prices.new()
        self.run.expect(not early, f"far from the deadline, {len(early)} claims were paid above the ceiling")
        self.dcai("devnet", "advance", f"{LATE_H}h")
        ended = typed(self.dcai, *daemon)
        self.run.faults[DEADLINE] += 1
        self.run.expect(ended.code == 0, f"the daemon near the deadline: {ended.words}")
        saved = self.not_overpaid("near the deadline", None)
        self.run.expect(saved, "near the deadline, nothing was claimed")
        stake_wei = sum(int(claim["amount_wei"]) for claim in ended.document.get("claims", []))
        cost_wei = sum(one["fee"] for one in saved)
        self.run.figures.update({"saved_wei": str(stake_wei), "saving_cost_wei": str(cost_wei)})
        self.run.expect(cost_wei <= stake_wei, f"saving {stake_wei} wei cost {cost_wei} wei")
        self.market.set(LOW_WEI)

    def not_overpaid(self, when: str, ceiling_wei: int | None) -> list[dict[str, Any]]:
        """What was mined lately: at the base fee and a usual tip, and never above a ceiling."""
        paid = self.prices.new()
        for one in paid:
            tip_wei = one["price"] - one["base"]
            name = f"{when}: transaction {int(one['nonce'], 16)}"
            self.run.expect(
                tip_wei <= MOST_TIP_WEI, f"{name} paid a tip of {tip_wei} wei, above {MOST_TIP_WEI} wei"
            )
            self.run.expect(
                ceiling_wei is None or one["price"] <= ceiling_wei,
                f"{name} paid {one['price']} wei a unit, above {ceiling_wei} wei",
            )
        tips = [one["price"] - one["base"] for one in paid]
        self.run.figures[f"{when}: transactions"] = len(paid)
        self.run.figures[f"{when}: highest tip in wei"] = max(tips, default=0)
        return paid


def work(run: Run) -> None:
    """Contribute and claim through a rise and a fall."""
    season = _Season(run)
    rows = run.scaled(ROWS, least=100)
    files = [
        write_rows(run.folder / f"rows-{part}.csv", rows, seed=run.seed + part, first=part * rows)
        for part in range(2)
    ]
    run.figures.update({"rows": rows * 2, "low_wei": LOW_WEI, "high_wei": HIGH_WEI})
    season.rise_and_fall(files[0])
    season.above_the_ceiling(files[1])
    season.near_a_deadline()
    books = Books(season.node.rpc, season.dcai.query, season.dcai.address, season.trainer)
    run.differ(books.audit(*files, is_claimed=True))


SCENARIO = Scenario(
    name="fees",
    about="base fee up tenfold and down again: nothing is overpaid, and near a deadline the deposit is saved",
    kinds={UP: 1, DOWN: 1, STUCK: 1, ABOVE: 2, DEADLINE: 1},
    work=work,
)
