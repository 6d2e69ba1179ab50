"""Scenario files: what they may say, and that one seed has one result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.errors import BadInput
from dcai_cli.simulation.engine import run
from dcai_cli.simulation.pool import Prepared
from dcai_cli.simulation.results import write_results
from dcai_cli.simulation.scenario import read_scenario
from tests.simulation.conftest import SCENARIOS, TUMOURS
from tests.simulation.test_rules import EVERYBODY

if TYPE_CHECKING:
    from tests.simulation.conftest import Read


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_can_be_read(path: Path) -> None:
    """Every scenario of the examples is complete."""
    scenario = read_scenario(path)
    assert scenario.title != scenario.name
    assert len(scenario.agents) >= 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"terms.refund_wait": "soon"}, "refund_wait in [terms] of the scenario is 'soon'."),
        ({"terms.refund_wait": "3d"}, "must be at least"),
        ({"terms.cost_weight": "cheap"}, "cost_weight in [terms] of the scenario is 'cheap'."),
        ({"agents.bad.mistakes": 2}, "mistakes in [[agents]] number 3 of the scenario is 2."),
        ({"agents.bad.strategy": "evil"}, "strategy in [[agents]] number 3 of the scenario is 'evil'."),
        ({"agents.bad.mistake": 1.0}, "mistake in [[agents]] number 3 of the scenario is not known."),
        ({"agents.bad.name": "good"}, "Two agents of"),
        ({"agents": []}, "The scenario has no [[agents]]."),
        ({"model.type": "forest"}, "type in [model] of the scenario is 'forest'."),
        ({"data": {"train": "x.csv"}}, "[data] of the scenario has no labels."),
        ({"duration": 0}, "duration in the top of the scenario is 0."),
        ({"features": 3}, "[features] of the scenario is 3, not a table."),
        ({"name": "No Name"}, "'No Name' cannot be the name of a model."),
    ],
)
def test_what_cannot_be_meant_is_named(changes: dict[str, Any], told: str) -> None:
    """The error names table, field and value."""
    with pytest.raises(BadInput) as error:
        read_scenario(TUMOURS, changes)
    assert told in error.value.message
    assert error.value.hint


def test_the_same_seed_gives_the_same_files_and_another_seed_others(
    read: Read, tumours: Prepared, tmp_path: Path
) -> None:
    """Every byte of the results, with every strategy."""
    scenario = read(*EVERYBODY, duration="4d")
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_results(tmp_path / name, run(scenario, tumours, seed=seed))
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files
    for name in files:
        first, again, other = (
            (tmp_path / folder / name).read_bytes() for folder in ("first", "again", "other")
        )
        assert first == again
        assert first != other


def test_a_good_contributor_gains_and_a_bad_one_goes_broke(read: Read, tumours: Prepared) -> None:
    """What the mechanism is for."""
    done = run(read(), tumours)
    assert done.gain("good") > 0.5
    assert done.gain("bad") < -0.5
    assert done.accuracy() > 0.9
