"""Size: what commands take with a million samples in ten thousand batches, all of them really on-chain."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

from dcai_cli.chain import abi
from dcai_cli.chain.artifacts import artifact
from dcai_cli.config import load_settings
from tests.chaos import tables
from tests.chaos.books import TRAINER, Chain
from tests.chaos.harness import Run, Scenario
from tests.chaos.world import N_FEATURES, Ended, Program, deploy, new_program, typed
from tests.conftest import Anvil

BATCHES = 10_000
SAMPLES = 100
"""Of each batch."""

FEATURES = 10
BLOCK_BATCHES = 20
BLOCK_GAS = 400_000_000
DEPOSIT_WEI = 10**18
TRANSACTION_GAS = 16_000_000

TRIES = 3
"""The least of so many counts: other processes take caches away, and never give CPU time."""

START = ("account", "list")
"""What reads neither chain nor batches: starting the program is nearly all that it takes."""

REFUNDS_STARTS = 2.5
CYCLE_STARTS = 4.0
"""Limits of CPU time, in starts of the same run: seconds would say how fast the machine is."""

BATCHES_A_MINUTE = 3_000

REBUILD = ("ledger", "rebuild")
CYCLE = ("daemon", "run", "--once")


def fill(node: Anvil, account: str, trainer: str, count: int, *, seed: int) -> None:
    """Contribute batches of made-up samples from an account, without its key."""
    rng = random.Random(seed)  # noqa: S311 - a seed is the point
    entry = artifact(TRAINER).functions["contribute"]
    node.rpc("anvil_impersonateAccount", account)
    node.rpc("evm_setAutomine", False)
    for number in range(count):
        payload = b"".join(_sample(rng) for _ in range(SAMPLES))
        data = abi.selector(entry) + abi.encode(entry["inputs"], [payload])
        call = {"from": account, "to": trainer, "data": f"0x{data.hex()}"}
        node.rpc("eth_sendTransaction", {**call, "value": hex(DEPOSIT_WEI), "gas": hex(TRANSACTION_GAS)})
        if number % BLOCK_BATCHES == BLOCK_BATCHES - 1:
            node.rpc("evm_mine")
    node.rpc("evm_mine")
    node.rpc("evm_setAutomine", True)
    node.rpc("anvil_stopImpersonatingAccount", account)


def _sample(rng: random.Random) -> bytes:
    label = rng.randrange(2)
    first = label * N_FEATURES // 4
    indices = sorted(rng.sample(range(first, first + 3 * N_FEATURES // 4), FEATURES))
    return bytes([label]) + b"".join(number.to_bytes(2, "big") for number in [FEATURES, *indices])


def cpu_s(dcai: Program, *arguments: str | Path) -> tuple[Ended, float]:
    """How a command ended, and the CPU time that it took, in seconds: user and system, start-up included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = typed(dcai, *arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def least_cpu_s(run: Run, dcai: Program, *arguments: str | Path) -> float:
    """The least CPU time of some tries; a command that does not end well is a difference."""
    found = []
    for _ in range(TRIES):
        ended, seconds = cpu_s(dcai, *arguments)
        if ended.code:
            run.expect(holds=False, difference=f"{' '.join(map(str, arguments))}: {ended.words}")
            return 0.0
        found.append(seconds)
    return round(min(found), 2)


def work(run: Run) -> None:
    """Fill a chain, rebuild a ledger from it alone, and measure."""
    batches = run.scaled(BATCHES, least=600)  # fewer, and start-up is most of what is measured
    is_judged = batches >= BATCHES  # a small part, beside other tests, says nothing of speed
    node = run.anvil("--gas-limit", str(BLOCK_GAS))
    dcai = new_program(run.folder / "home", node)
    trainer = deploy(dcai)
    node.set_balance(dcai.address, 10**6 * 10**18)
    began = time.monotonic()
    fill(node, dcai.address, trainer, batches, seed=run.seed)
    count = Chain(node.rpc, trainer).trainer_view("batchCount")
    run.expect(count == batches, f"{count} of {batches} batches were put on-chain")
    run.say(f"{batches} batches are on-chain after {time.monotonic() - began:.0f} s")

    # What is on the disk is lost but for the key file, as in the other line that rebuilding must hold.
    settings = load_settings(dcai.environ)
    settings.ledger_path.unlink()
    began = time.monotonic()
    ended = typed(dcai, *REBUILD)
    seconds = time.monotonic() - began
    run.expect(ended.code == 0, f"{' '.join(REBUILD)}: {ended.words}")
    rate = round(batches / seconds * 60) if ended.code == 0 else 0
    run.figures.update({"batches": batches, "samples": batches * SAMPLES, "index_batches_a_minute": rate})
    found = len(tables.batches(dcai.query, dcai.address, trainer)) if ended.code == 0 else 0
    run.expect(found == batches, f"the rebuilt ledger has {found} of {batches} batches")
    run.expect(
        not is_judged or rate >= BATCHES_A_MINUTE,
        f"the index reads {rate} batches a minute, not {BATCHES_A_MINUTE}",
    )

    ended, seconds = cpu_s(dcai, "refunds")
    run.expect(ended.code == 0, f"refunds: {ended.words}")
    run.figures["refunds_first_cpu_s"] = round(seconds, 2)
    start = least_cpu_s(run, dcai, *START)
    run.figures["start_cpu_s"] = start
    for what, words, limit in (
        ("refunds", ("refunds",), REFUNDS_STARTS),
        ("daemon_cycle", CYCLE, CYCLE_STARTS),
    ):
        seconds = least_cpu_s(run, dcai, *words)
        run.figures[f"{what}_cpu_s"] = seconds
        run.expect(
            not is_judged or 0 < seconds <= limit * start,
            f"{' '.join(words)} takes {seconds} s of CPU, not {limit} times the {start} s of a start",
        )


SCENARIO = Scenario(
    name="size",
    about="a million samples in 10,000 batches: refunds, a daemon's cycle, and the index are quick",
    kinds={},
    work=work,
)
