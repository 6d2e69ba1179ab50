"""A seeded part of every scenario in the normal suite; `make chaos` runs them in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.harness import Scenario, play
from tests.chaos.scenarios import SCENARIOS

SEED = 5
SCALE = 0.02


@pytest.mark.parametrize(
    "scenario",
    # The scenarios start processes of their own; of one group, no two run at once.
    [pytest.param(each, id=each.name, marks=pytest.mark.xdist_group(each.name)) for each in SCENARIOS],
)
def test_a_seeded_part_of_each_scenario_holds(scenario: Scenario, tmp_path: Path) -> None:
    """Whatever faults a small part of the work meets, nothing differs."""
    verdict = play(scenario, tmp_path, seed=SEED, scale=SCALE, is_quiet=True)

    assert not verdict.reason
    assert not scenario.kinds or sum(verdict.faults.values()) > 0
