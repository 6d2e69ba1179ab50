"""The real mode against the fast one, and how fast that is."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.paper.study import SCENARIOS
from dcai_cli.simulation.engine import Run, run
from dcai_cli.simulation.onchain import on_chain
from dcai_cli.simulation.pool import prepare
from dcai_cli.simulation.scenario import read_scenario
from tests.conftest import start_anvil

SENT_SCENARIO = "tumours.toml"
SENT_CHANGES = {"duration": "19d"}
"""More than 2,000 contributions, and what follows from them."""

GENESIS_S = 1_700_000_000
"""When anvil's clock begins: times are in what is sent, and gas depends on the zeros in them."""

FAST_CHANGES = {"duration": "139d", "agents.good.wait": "2m", "agents.bad.wait": "1h"}
"""Of the published experiment, some 100,000 contributions."""


def sent() -> dict[str, Any]:
    """A whole scenario on anvil, every action a transaction, beside the same reckoned.

    Raises:
        Mismatch: an amount, a balance or a weight differs.
    """
    scenario = read_scenario(SCENARIOS / SENT_SCENARIO, SENT_CHANGES)
    prepared = prepare(scenario, folder=SCENARIOS)
    reckoned = run(scenario, prepared)
    node = start_anvil("--timestamp", str(GENESIS_S))
    try:
        # Else blocks would have the time of this machine, and all that follows would depend on its speed.
        node.rpc("anvil_setBlockTimestampInterval", 1)
        with on_chain(scenario, prepared, node.url) as chain:
            real = run(scenario, prepared, chain=chain)
    finally:
        node.stop()
    assert real.moments == reckoned.moments
    assert real.weights_hash == reckoned.weights_hash
    return {
        "scenario": SENT_SCENARIO,
        "contributions": _contributions(real),
        "transactions": len(real.entries),
        "moments": len(real.moments),
        "gas_used": {name: totals.gas_used for name, totals in real.totals.items()},
        "gains": {name: round(real.gain(name), 6) for name in real.totals},
    }


def speed() -> dict[str, Any]:
    """How long the fast mode takes, in CPU seconds of one core, reading the data not counted."""
    from benchmarks.paper.study import DATA

    scenario = read_scenario(SCENARIOS / "imdb-perceptron.toml", FAST_CHANGES)
    prepared = prepare(scenario, folder=DATA)
    began = time.process_time()
    done = run(scenario, prepared)
    return {"contributions": _contributions(done), "cpu_s": round(time.process_time() - began, 1)}


def _contributions(done: Run) -> int:
    return sum(entry.action == "contribute" for entry in done.entries)
