"""What commands take with a large ledger: 10,000 batches of 100 samples each, on an anvil.

`python -m benchmarks.ledger_size` writes such a ledger by SQL, beside a model that is really deployed, and
measures `dcai refunds`, a cycle of the daemon, and how fast the index reads batches that are really
contributed. It prints the figures and writes them to benchmarks/ledger_size.json; the exit status is 1 if one
does not hold. Times are CPU seconds of whole processes, user and system, start-up included: the least of some
runs, since other processes take caches away, and never give time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcai_cli.chain import abi
from dcai_cli.chain.artifacts import artifact
from dcai_cli.services.claims.claim import models_meant
from dcai_cli.services.daemon.cycle import CycleRequest, run_cycle
from dcai_cli.services.index import follow
from tests.conftest import PASSWORD, Anvil, Dcai, new_dcai, start_anvil

FOLDER = Path(__file__).resolve().parent
BATCHES = 10_000
SAMPLES = 100
"""Of each batch."""

FEATURES = 140
"""Of each sample, about as many as the words of a film review."""

N_FEATURES = 4096
SHOWN = 50
INDEXED = 1_500
RUNS = 5

REFUNDS_CPU_S = 0.6
CYCLE_CPU_S = 1.0
BATCHES_A_MINUTE = 3_000

UNIT_WEI = 10**12
DAY_S = 86_400
STRANGER = "0x000000000000000000000000000000000000dEaD"
FLOOR = "import sqlalchemy, typer, rich, requests"

_BATCH = (
    "INSERT INTO batches (id, chain, account, model, state, count, units, samples_root, payload, batch_id, "
    "added_at, deposit_per_unit_wei, informative, block_number, block_hash, settled, taken, refunded_wei, "
    "lost_wei) VALUES (?, ?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '0', '0', '0', '0')"
)
_SAMPLE = (
    "INSERT INTO samples (chain, account, model, key, occurrence, batch, position, row_number) "
    "VALUES (?, ?, ?, ?, 0, ?, ?, ?)"
)
_CHECKPOINT = "INSERT INTO checkpoints (chain, model, block_number, block_hash) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True)
class Size:
    """How much there is.

    Args:
        batches: in the ledger.
        samples: of each.
        features: of each sample.
        due: so many of the batches, the oldest, are due.
        others: whether somebody else contributed them.
    """

    batches: int = BATCHES
    samples: int = SAMPLES
    features: int = FEATURES
    due: int = 0
    others: bool = False


def payload(rng: random.Random, samples: int, features: int) -> bytes:
    """Samples as the contracts read them; each label has words of its own, and some are shared."""
    parts = []
    for _ in range(samples):
        label = rng.randrange(2)
        first = label * N_FEATURES // 4
        indices = sorted(rng.sample(range(first, first + 3 * N_FEATURES // 4), features))
        parts.append(bytes([label]) + b"".join(number.to_bytes(2, "big") for number in [features, *indices]))
    return b"".join(parts)


def fill(home: Dcai, node: Anvil, size: Size) -> None:
    """Write batches into a ledger that has a model, and say that its events were read up to the head."""
    head = node.rpc("eth_getBlockByNumber", "latest", False)
    number, now = int(head["number"], 16), int(head["timestamp"], 16)
    ((chain, model),) = home.query("SELECT chain, address FROM models")
    account = STRANGER if size.others else home.address
    waits_s = 2 * DAY_S if size.others else DAY_S
    rng = random.Random(size.batches)  # noqa: S311 - a seed is the point
    # Making each anew would take minutes; commands look at no two of them together.
    payloads = [payload(rng, size.samples, size.features) for _ in range(min(64, size.batches))]
    units = size.samples * -(-size.features // 64)

    def batches() -> Iterator[tuple[Any, ...]]:
        for place in range(size.batches):
            due = place < size.due
            added_at = now - waits_s - size.due + place if due else now - waits_s // 2 + place
            root = hashlib.sha256(str(place).encode()).digest()
            yield (
                *(
                    place + 1,
                    chain,
                    account,
                    model,
                    size.samples,
                    units,
                    root,
                    payloads[place % len(payloads)],
                ),
                *(str(place), added_at, str(UNIT_WEI + place), str((1 << size.samples) - 1)),
                *(number, head["hash"]),
            )

    def samples() -> Iterator[tuple[Any, ...]]:
        for place in range(size.batches):
            for position in range(size.samples):
                key = hashlib.sha256(f"{place} {position}".encode()).digest()
                yield chain, account, model, key, place + 1, position, place * size.samples + position + 1

    with closing(sqlite3.connect(home.home / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("DELETE FROM samples")
        ledger.execute("DELETE FROM batches")
        ledger.execute("DELETE FROM checkpoints")
        ledger.executemany(_BATCH, batches())
        if not size.others:
            ledger.executemany(_SAMPLE, samples())
        ledger.execute(_CHECKPOINT, (chain, model, number, head["hash"]))


def contribute(node: Anvil, account: str, trainer: str, size: Size) -> int:
    """Really contribute batches from an account, without its key; returns the bytes of a payload."""
    rng = random.Random(1)  # noqa: S311 - a seed is the point
    entry = artifact("CollaborativeTrainer").functions["contribute"]
    node.rpc("anvil_impersonateAccount", account)
    node.rpc("anvil_setBalance", account, hex(10**24))
    node.rpc("evm_setAutomine", False)
    length = 0
    for number in range(1, size.batches + 1):
        samples = payload(rng, size.samples, size.features)
        length = len(samples)
        data = abi.selector(entry) + abi.encode(entry["inputs"], [samples])
        call = {"from": account, "to": trainer, "data": f"0x{data.hex()}", "value": hex(10**18)}
        node.rpc("eth_sendTransaction", {**call, "gas": hex(16_500_000)})
        if number % 20 == 0 or number == size.batches:
            node.rpc("evm_mine")
    node.rpc("evm_setAutomine", True)
    return length


# --- measuring -------------------------------------------------------------------------------------------


def children_cpu_s(run: Callable[[], object]) -> float:
    """CPU seconds, user and system, of the processes that something starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def least_cpu_s(home: Dcai, *arguments: str, runs: int = RUNS) -> float:
    """The least CPU time of some runs of a command that must succeed."""

    def run() -> None:
        command = [sys.executable, "-m", "dcai_cli", *arguments]
        subprocess.run(command, env=home.environ, stdout=subprocess.DEVNULL, check=True)

    return min(children_cpu_s(run) for _ in range(runs))


def floor_cpu_s() -> float:
    """What a process takes that only imports the libraries of any such command."""
    command = [sys.executable, "-c", FLOOR]
    return min(children_cpu_s(lambda: subprocess.run(command, check=True)) for _ in range(RUNS))


def cycle_cpu_s(home: Dcai, *, reports: bool = False) -> float:
    """The least CPU time of some cycles in a process that runs, as the daemon's loop does."""
    times = []
    with home.workspace() as workspace:
        request = CycleRequest(password=lambda _: PASSWORD, reports=reports)
        for _ in range(RUNS):
            began = time.process_time()
            report = run_cycle(workspace, request, is_stopped=lambda: False, wait=time.sleep)
            times.append(time.process_time() - began)
            if report.outcome != "good":
                raise SystemExit(f"a cycle is {report.outcome}: {report.error}")
            workspace.release_chain()
    return min(times)


def index_s(home: Dcai) -> tuple[float, float]:
    """Seconds, and CPU seconds, that the index takes to read all there is."""
    with home.workspace() as workspace:
        models = models_meant(workspace, None)
        began, cpu_began = time.monotonic(), time.process_time()
        follow(workspace, models)
        return time.monotonic() - began, time.process_time() - cpu_began


def new_home(stack: ExitStack, folder: Path, *options: str) -> tuple[Anvil, Dcai, str]:
    """An anvil, and a home with a model on it."""
    node = start_anvil(*options)
    stack.callback(node.stop)
    home = new_dcai(folder, node)
    return node, home, home.deploy("reviews", labels="bad,good", n_features=N_FEATURES)


def measure(folder: Path, batches: int, indexed: int) -> dict[str, Any]:
    """Fill ledgers and measure."""
    figures: dict[str, Any] = {"batches": batches, "samples": batches * SAMPLES, "features": FEATURES}
    with ExitStack() as stack:
        node, home, _ = new_home(stack, folder / "own")
        fill(home, node, Size(batches))
        figures["floor_cpu_s"] = floor_cpu_s()
        figures["refunds_cpu_s"] = least_cpu_s(home, "refunds", "--quiet")
        figures["refunds_json_cpu_s"] = least_cpu_s(home, "refunds", "--json", "--quiet")
        figures["refunds_all_json_cpu_s"] = least_cpu_s(home, "refunds", "--all", "--json", "--quiet", runs=2)
        figures["daemon_once_cpu_s"] = least_cpu_s(home, "daemon", "run", "--once", "--quiet")
        figures["cycle_cpu_s"] = cycle_cpu_s(home)
        fill(home, node, Size(batches, due=SHOWN))
        figures["refunds_due_cpu_s"] = least_cpu_s(home, "refunds", "--quiet")
        fill(home, node, Size(batches, others=True))
        figures["cycle_reports_cpu_s"] = cycle_cpu_s(home, reports=True)
    if indexed:
        with ExitStack() as stack:
            node, home, trainer = new_home(stack, folder / "index", "--gas-limit", "400000000")
            figures["indexed_payload_bytes"] = contribute(node, home.address, trainer, Size(indexed))
            seconds, cpu_s = index_s(home)
            ((count,),) = home.query("SELECT count(*) FROM batches WHERE state = 'open'")
            figures["indexed_batches"] = count
            figures["index_batches_a_minute"] = round(count / seconds * 60)
            figures["index_cpu_ms_a_batch"] = 1000 * cpu_s / max(1, count)
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}


def above(figures: dict[str, Any]) -> list[str]:
    """The figures that do not hold."""
    limits = {
        "refunds_cpu_s": REFUNDS_CPU_S,
        "refunds_json_cpu_s": REFUNDS_CPU_S,
        "refunds_due_cpu_s": REFUNDS_CPU_S,
        "daemon_once_cpu_s": CYCLE_CPU_S,
        "cycle_cpu_s": CYCLE_CPU_S,
        "cycle_reports_cpu_s": CYCLE_CPU_S,
    }
    found = [
        f"{name} is {figures[name]}, not {limit}" for name, limit in limits.items() if figures[name] > limit
    ]
    rate = figures.get("index_batches_a_minute", BATCHES_A_MINUTE)
    return found + ([] if rate >= BATCHES_A_MINUTE else [f"the index reads {rate} batches a minute"])


def main() -> None:
    """Measure, print, write down; exit with 1 above a limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=BATCHES, help="in the ledger")
    parser.add_argument("--indexed", type=int, default=INDEXED, help="batches that are really contributed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.batches, arguments.indexed)
    text = json.dumps(figures, indent=2)
    print(text)
    (FOLDER / "ledger_size.json").write_text(f"{text}\n", encoding="utf-8")
    for problem in (problems := above(figures)):
        print(problem, file=sys.stderr)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
