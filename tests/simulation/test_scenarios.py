"""Scenario files: what they may say, and that one seed has one result."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.errors import BadInput
from dcai_cli.simulation.agents import STRATEGIES
from dcai_cli.simulation.engine import run
from dcai_cli.simulation.pool import Prepared, prepare
from dcai_cli.simulation.results import write_results
from dcai_cli.simulation.scenario import read_scenario
from tests.conftest import PROJECT
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
        ({"terms.refund_wait": "2d"}, "must be at least 1 s after the refund wait (2 d)."),
        ({"terms.report_wait": "7d"}, "must be at least 1 s after the report wait (7 d)."),
        ({"terms.owner_wait": "10d"}, "must be at least 0 s after the owner wait (10 d)."),
        ({"terms.cost_weight": "cheap"}, "cost_weight in [terms] of the scenario is 'cheap'."),
        ({"agents.bad.mistakes": 2}, "mistakes in [[agents]] number 3 of the scenario is 2."),
        ({"agents.bad.strategy": "evil"}, "strategy in [[agents]] number 3 of the scenario is 'evil'."),
        ({"agents.bad.balance": "0ether"}, "balance in [[agents]] number 3 of the scenario is '0ether'."),
        ({"agents.bad.mistake": 1.0}, "mistake in [[agents]] number 3 of the scenario is not known."),
        ({"agents.bad.name": "good"}, "Two agents of"),
        ({"agents.bad.name": "accuracy"}, "is called accuracy, as the curve of the model's accuracy is."),
        ({"agents.bad.name": "owner"}, "is called owner, and would own the model"),
        ({"terms.cost_weight": "0"}, "cost_weight in [terms] of the scenario is '0'."),
        ({"variant.burned": 1.0}, "burned in [variant] of the scenario is 1.0."),
        ({"data.train": []}, "train in [data] of the scenario is []."),
        ({"data.train": ""}, "train in [data] of the scenario is ''."),
        ({"data.labels": []}, "labels in [data] of the scenario is []."),
        ({"features.scale": float("nan")}, "scale in [features] of the scenario is nan."),
        ({"features.scale": "nan"}, "scale in [features] of the scenario is 'nan'."),
        ({"agents": []}, "The scenario has no [[agents]]."),
        ({"model.type": "forest"}, "type in [model] of the scenario is 'forest'."),
        ({"data": {"train": "x.csv"}}, "[data] of the scenario has no labels."),
        ({"duration": 0}, "duration in the top of the scenario is 0."),
        ({"features": 3}, "[features] of the scenario is 3, not a table."),
        ({"name": "No Name"}, "'No Name' cannot be the name of a model."),
        ({"agents": 3}, "agents in the top of the scenario is 3."),
        ({"seed": 16**5000}, "seed in the top of the scenario is too long a number."),
        ({"terms.refund_wait": 16**5000}, "refund_wait in [terms] of the scenario is too long a number."),
        ({"terms.cost_weight": 16**5000}, "cost_weight in [terms] of the scenario is too long a number."),
        ({"features": 16**5000}, "[features] of the scenario is too long a number, not a table."),
        ({"model.type": "x" * 5000}, f"type in [model] of the scenario is '{'x' * 79}...."),
    ],
)
def test_what_cannot_be_meant_is_named(changes: dict[str, Any], told: str) -> None:
    """The error names table, field and value."""
    with pytest.raises(BadInput) as error:
        read_scenario(TUMOURS, changes)
    assert told in error.value.message
    assert error.value.hint


def test_agents_are_told_apart_by_their_names(tmp_path: Path) -> None:
    """The accounts of Sybils have other names than theirs, but their curve has not."""
    twin = '[[agents]]\nname = "good"\nstrategy = "sybils"\nbalance = "1ether"\nwait = "1h"\n'
    path = tmp_path / "twins.toml"
    path.write_text(f"{TUMOURS.read_text()}\n{twin}")
    with pytest.raises(BadInput, match="have the name good"):
        read_scenario(path)


def test_the_owner_of_the_model_may_be_called_so() -> None:
    """Whoever owns it may have the name that nobody else has."""
    scenario = read_scenario(SCENARIOS / "attack-owner.toml", {"agents.attacker.name": "owner"})
    assert scenario.owner == "owner"


def test_a_file_of_lists_in_lists_is_refused(tmp_path: Path) -> None:
    """Deeper than the reader goes; the EVM, where a test before used it, lets it go deeper than usual."""
    path = tmp_path / "deep.toml"
    path.write_text(f"title = {'[' * 3_000}")
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    try:
        with pytest.raises(BadInput, match="too deep"):
            read_scenario(path)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data.labels": ["malignant"]}, "labels in [data] of the scenario has 1, and breast_cancer has 2."),
        ({"data.train": "digits"}, "labels in [data] of the scenario has 2, and digits has 10."),
        ({"data.train": ["breast_cancer", "digits"]}, "has 2, and digits has 10."),
        ({"data.train": "../**x"}, "'../**x' is no name of a file, and no pattern of names"),
        ({"data.train": "empty.csv"}, "has no rows"),
    ],
)
def test_data_that_cannot_be_used_is_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """Labels that are not those of the data, names that are none, and nothing to learn from."""
    (tmp_path / "empty.csv").write_text("a,label\n")
    with pytest.raises(BadInput) as error:
        prepare(read_scenario(TUMOURS, changes), folder=tmp_path)
    assert told in error.value.message
    assert error.value.hint


def test_a_run_ends_where_nearly_all_is_burned(tumours: Prepared, read: Read) -> None:
    """Deposits may come to nothing then; nobody sweeps them."""
    scenario = read(variant__burned=0.99, terms__cost_weight="1", agents__good__wait="3h", duration="2d")
    assert run(scenario, tumours).totals["good"].contributed > 0


def write(folder: Path, **texts: str) -> None:
    """Write scenario files."""
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def test_a_scenario_builds_on_its_base(tmp_path: Path) -> None:
    """Its values go first, in tables one by one; its agents come after the base's; its name is its own."""
    changed = 'title = "Another"\n[terms]\nrefund_wait = "2d"\nreport_wait = "3d"\n'
    agent = '[[agents]]\nname = "last"\nstrategy = "contributor"\nbalance = "1ether"\nwait = "1h"\n'
    write(tmp_path, base=TUMOURS.read_text(encoding="utf-8"), middle=f'base = "base.toml"\n{changed}')
    write(tmp_path, top=f'base = "middle.toml"\nseed = 7\n{agent}')
    top, tumours = read_scenario(tmp_path / "top.toml", {"agents.last.wait": "2h"}), read_scenario(TUMOURS)
    assert (top.name, top.title, top.seed, top.duration_s) == ("top", "Another", 7, tumours.duration_s)
    assert (top.terms.refund_wait_s, top.terms.report_wait_s) == (2 * DAY_S, 3 * DAY_S)
    assert top.terms.cost_weight_wei == tumours.terms.cost_weight_wei
    assert [agent.name for agent in top.agents] == [*(agent.name for agent in tumours.agents), "last"]


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("top.toml", "top.toml has a base, top.toml, at the end of 8 others."),
        ("nosuch.toml", "nosuch.toml cannot be read: No such file or directory."),
        (3, "base in the top of the scenario is 3."),
    ],
)
def test_a_base_that_cannot_be_is_named(tmp_path: Path, base: object, told: str) -> None:
    """A circle, a file that is not there, and what is no file."""
    write(tmp_path, top=f"base = {base!r}\n")
    with pytest.raises(BadInput, match=re.escape(told)) as error:
        read_scenario(tmp_path / "top.toml")
    assert error.value.hint


def test_the_page_has_every_scenario_that_comes_along() -> None:
    """By the names that they are found by."""
    assert fields_of_the_page("name | who contributes to what")["Scenarios that come along"] == {
        path.stem for path in SCENARIOS.glob("*.toml")
    }


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


DAY_S = 86_400
PARTS = ("data", "features", "model", "terms", "variant")
LIKE = {"boundary": "contributor", "flooder": "contributor", "owner": "manipulator"}
"""Strategies that have the fields of another one, too."""


def fields_of_the_page(head: str = "field | default") -> dict[str, set[str]]:
    """The names in the first column of the table with this head, in each section of docs/simulation.md."""
    text = (PROJECT / "docs" / "simulation.md").read_text(encoding="utf-8")
    found = {}
    for section in re.split(r"^#{2,4} ", text, flags=re.MULTILINE):
        title, _, rest = section.partition("\n")
        rows = re.findall(r"^\| (`.*?) \|", rest.partition(f"| {head} |")[2], re.MULTILINE)
        found[title] = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    return found


def known(changes: dict[str, Any]) -> set[str]:
    """What the program says that a table may have in which `nosuch` stands."""
    with pytest.raises(BadInput, match=r"^nosuch in ") as error:
        read_scenario(TUMOURS, changes)
    return set(error.value.hint.partition("What it may have: ")[2].removesuffix(".").split(", "))


def test_the_page_has_every_field_of_a_scenario() -> None:
    """Its tables name the fields that the program knows, no more and no less; a base is read before."""
    page = fields_of_the_page()
    assert known({"nosuch": 1}) == (page["Scenario files"] - {"base"}) | {*PARTS, "agents"}
    for part in PARTS:
        assert known({f"{part}.nosuch": 1}) == page[f"[{part}]"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_page_has_every_field_of_a_strategy(strategy: str) -> None:
    """Those that all agents have, and its own; where it is like another one, that one's."""
    page = fields_of_the_page()
    agent = {"nosuch": 1, "name": "a", "strategy": strategy, "balance": "1ether", "wait": "1h"}
    fields = known({"agents": [agent]})
    assert fields >= page["[[agents]]"] | page[strategy]
    assert fields - page["[[agents]]"] - page[strategy] <= page.get(LIKE.get(strategy, ""), set())
    if strategy in LIKE:
        assert page[LIKE[strategy]] <= fields
