"""All scenarios, in the order in which they run."""

from __future__ import annotations

from tests.chaos import clients, crowd, fees, kill, network, reorg, size
from tests.chaos.harness import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    kill.SCENARIO,
    network.SCENARIO,
    reorg.SCENARIO,
    fees.SCENARIO,
    crowd.SCENARIO,
    clients.SCENARIO,
    size.SCENARIO,
)
