"""Scenarios on data that comes with scikit-learn, small enough for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.simulation.pool import Prepared, prepare
from dcai_cli.simulation.scenario import Scenario, read_scenario

SCENARIOS = Path(__file__).resolve().parents[2] / "examples" / "scenarios"
TUMOURS = SCENARIOS / "tumours.toml"

Read = Callable[..., Scenario]


@pytest.fixture(scope="session")
def read() -> Read:
    """Reads the tumours' scenario with other agents, and other values by dotted name."""

    def make(*agents: dict[str, Any], **changes: object) -> Scenario:
        named = {name.replace("__", "."): value for name, value in changes.items()}
        if agents:
            named["agents"] = list(agents)
        return read_scenario(TUMOURS, named)

    return make


@pytest.fixture(scope="session")
def tumours() -> Prepared:
    """The tumours' data, as samples."""
    return prepare(read_scenario(TUMOURS), folder=SCENARIOS)
