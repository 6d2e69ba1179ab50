"""The gas benchmark: what is committed, what it calls worse, and that its figures repeat."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from benchmarks.gas.goals import GOALS, is_met, regressions, unexplained
from benchmarks.gas.market_rows import (
    GOAL,
    MAIN_KEYS,
    ROWS,
    WORDS_SHAPE,
    Row,
    measure_markets,
    missed_markets,
)
from benchmarks.gas.measure import BATCH_SIZE, batches_of_100, feature_bytes, pretrained, shapes
from benchmarks.gas.models import Registry
from benchmarks.gas.network import start_network
from benchmarks.gas.page import with_figures, with_markets
from benchmarks.gas.reviews import imdb, stand_in
from dcai_cli.domain import MAX_TRANSACTION_GAS

PROJECT = Path(__file__).resolve().parents[2]
COMMITTED: dict[str, Any] = json.loads((PROJECT / "benchmarks" / "gas.json").read_text(encoding="utf-8"))
ROW = "perceptron words int16 margin 0, batch 100"


@pytest.mark.parametrize("source", ["stand-in", "imdb"])
def test_every_goal_is_met_or_the_miss_is_explained(source: str) -> None:
    """All rows are committed, of both kinds of reviews."""
    rows = COMMITTED["figures"][source]
    assert set(rows) == set(GOALS)
    assert unexplained(rows, COMMITTED["reasons"]) == []


def test_only_missed_goals_have_a_reason() -> None:
    """A reason goes when its goal is met."""
    for key in COMMITTED["reasons"]:
        assert any(not is_met(rows[key], GOALS[key]) for rows in COMMITTED["figures"].values()), key


def test_a_missed_goal_or_a_missing_row_needs_a_reason() -> None:
    """Above the limit by one, or not there at all, is named; a reason silences it."""
    rows = {key: {"sum": goal.limit} for key, goal in GOALS.items()}
    assert unexplained(rows, {}) == []
    rows[ROW]["sum"] += 1
    assert unexplained(rows, {}) == [ROW]
    assert unexplained(rows, {ROW: ""}) == [ROW]
    assert unexplained(rows, {ROW: "because"}) == []
    del rows[ROW]
    assert unexplained(rows, {}) == [ROW]


def test_more_than_two_percent_above_the_committed_figure_is_a_regression() -> None:
    """Every gas figure counts by itself; what describes the samples does not."""
    committed = {ROW: {"contribute": 10_000, "refund": 5_000, "sum": 15_000, "update_rate": 0.2}}
    now = {ROW: {"contribute": 10_200, "refund": 4_000, "sum": 14_200, "update_rate": 0.9}}
    assert regressions(now, committed) == []
    now[ROW]["contribute"] += 1
    (worse,) = regressions(now, committed)
    assert worse.startswith(f"{ROW}: contribute is 10,201, it was 10,000")


def test_a_missing_row_or_figure_is_a_regression() -> None:
    """Nothing passes by not being measured, and nothing by not being committed."""
    committed = {ROW: {"sum": 15_000}}
    assert regressions({}, committed) == [f"{ROW}: sum is missing, it was 15,000"]
    assert regressions({ROW: {"refund": 1}}, committed) == [f"{ROW}: sum is missing, it was 15,000"]
    assert regressions(committed, {}) == [f"{ROW}: there is no committed figure; run `make gas`"]


def test_the_page_shows_the_committed_figures() -> None:
    """docs/gas.md is what `make gas` makes of gas.json."""
    page = (PROJECT / "docs" / "gas.md").read_text(encoding="utf-8")
    assert with_figures(page, COMMITTED["figures"], COMMITTED["reasons"]) == page
    assert with_markets(page, COMMITTED["markets"]) == page


@pytest.mark.parametrize("source", ["stand-in", "imdb"])
def test_the_reward_phase_of_a_market_is_within_its_goal(source: str) -> None:
    """All sizes are committed; those that the goal is for meet it, and every step fits into a transaction."""
    rows = COMMITTED["markets"][source]
    assert list(rows) == [row.key for row in ROWS]
    assert missed_markets(rows) == []
    assert all(figures["largest_step"] <= MAX_TRANSACTION_GAS for figures in rows.values())


def test_a_market_above_the_goal_or_missing_is_named() -> None:
    """A unit of gas above the goal is a miss, and so is a row that is not there."""
    rows = {key: {"sum": GOAL} for key in MAIN_KEYS}
    assert missed_markets(rows) == []
    rows[MAIN_KEYS[1]]["sum"] += 1
    assert missed_markets(rows) == [MAIN_KEYS[1]]
    assert missed_markets({}) == list(MAIN_KEYS)


def test_the_gas_of_a_market_repeats_to_the_unit() -> None:
    """A small market takes the same gas on two fresh chains: accounts, times and draws are the same."""
    reviews = stand_in(training=500, contributed=60)
    measured = []
    for _ in range(2):
        with start_network() as network:
            measured.append(measure_markets(network, reviews, lambda _: None, [Row(WORDS_SHAPE, 20, 20, 2)]))
    assert measured[0] == measured[1]
    assert measured[0]


def test_figures_repeat_to_the_unit() -> None:
    """Two fresh chains use the same gas, and the committed one within the tolerance."""
    shape = shapes()[0]
    samples = stand_in().by_rank()
    batches = [samples.contributed[at * BATCH_SIZE :][:BATCH_SIZE] for at in range(4)]
    measured = []
    for _ in range(2):
        with start_network() as network:
            model = pretrained(Registry(network), shape, samples.training)
            measured.append(batches_of_100(model, batches))
    assert measured[0] == measured[1]
    assert regressions({ROW: measured[0]}, {ROW: COMMITTED["figures"]["stand-in"][ROW]}) == []


def test_the_stand_in_is_as_sparse_as_the_reviews(shared_data: Path) -> None:
    """Features of a review, and slots that it touches, differ by at most a tenth on average."""
    real, synthetic = imdb(shared_data / "imdb", training=4_000, contributed=1_000), stand_in()
    for ours, theirs in ((synthetic.by_rank(), real.by_rank()), (synthetic.hashed(), real.hashed())):
        assert mean(map(len, ours.contributed)) == pytest.approx(mean(map(len, theirs.contributed)), rel=0.1)
        assert mean(map(_slots, ours.contributed)) == pytest.approx(
            mean(map(_slots, theirs.contributed)), rel=0.1
        )


def _slots(sample: bytes) -> int:
    """Slots of 16 weights that a sample touches."""
    return len({int.from_bytes(sample[at : at + 2], "big") // 16 for at in range(3, len(sample), 2)})


def test_a_feature_takes_two_bytes_up_to_2_16_features() -> None:
    """And three above."""
    assert [feature_bytes(n_features) for n_features in (2, 65_536, 65_537, 1 << 24)] == [2, 2, 3, 3]
