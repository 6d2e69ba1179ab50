"""Markets that are tried before they are made: draws, limits, and that a chain says the same."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.chain.market import MAX_PARTICIPANTS, MarketRules, Stake, settle
from dcai_cli.errors import BadInput
from dcai_cli.hashing import keccak256
from dcai_cli.models.market import draw_orders, evaluate, replay
from dcai_cli.models.perceptron import Perceptron
from dcai_cli.simulation.onchain import Mismatch
from dcai_cli.simulation.pool import Gathered, gather
from dcai_cli.simulation.prediction import onchain
from dcai_cli.simulation.prediction.draws import Urn
from dcai_cli.simulation.prediction.onchain import play_on_chain
from dcai_cli.simulation.prediction.play import Played, describe, play, reckon, start
from dcai_cli.simulation.prediction.scenario import PROVIDER, MarketScenario, read_market_scenario
from tests.cli.test_help import COMMANDS
from tests.conftest import PROJECT

if TYPE_CHECKING:
    from tests.conftest import StartAnvil

MARKETS = PROJECT / "examples" / "markets"
TUMOURS, IMDB = MARKETS / "tumours.toml", MARKETS / "imdb.toml"
TINY = {
    "market.pieces": 2,
    "market.piece_samples": 5,
    "market.orders": 2,
    "market.draws": 3,
    "participants.anna.samples": 4,
    "participants.bert.samples": 3,
    "participants.carl.samples": 4,
}


def tiny(**changes: object) -> MarketScenario:
    """The tumours' market with few samples, and other values by dotted name."""
    return read_market_scenario(
        TUMOURS, TINY | {name.replace("__", "."): value for name, value in changes.items()}
    )


@pytest.fixture(scope="session")
def cases() -> Gathered:
    """The tumours' data."""
    scenario = read_market_scenario(TUMOURS)
    return gather(scenario.data, scenario.features, scenario.model, folder=MARKETS)


@pytest.mark.parametrize("path", sorted(MARKETS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_can_be_read(path: Path) -> None:
    """Every scenario of the examples is complete, with some who help and some who harm."""
    scenario = read_market_scenario(path)
    assert scenario.title != scenario.name
    assert {person.is_honest for person in scenario.people} == {True, False}


def test_what_a_scenario_leaves_out_is_as_the_command_has_it() -> None:
    """The defaults of `market create`, and the stake that it reckons."""
    scenario = read_market_scenario(TUMOURS)
    options = {option.name: option.default for option in COMMANDS["market", "create"].params}
    terms, rules = scenario.terms, scenario.rules
    assert (terms.pieces, terms.orders, terms.rounds) == (
        options["pieces"],
        options["orders"],
        options["rounds"],
    )
    assert (terms.max_units, terms.max_units_each) == (options["quota"], options["quota_each"])
    assert (scenario.features.n_features, scenario.features.max_features) == (
        options["n_features"],
        options["max_features"],
    )
    assert scenario.model.margin == options["margin"]
    assert rules.stake_wei == rules.bounty_wei // rules.tests


def test_a_seed_has_one_result_and_another_seed_another(cases: Gathered) -> None:
    """Every figure; and a draw is the same however many there are."""
    scenario = tiny()
    first = play(scenario, cases)
    assert describe(play(scenario, cases)) == describe(first)
    assert play(scenario, cases, draws=2).endings == first.endings[:2]
    other = play(scenario, cases, seed=2)
    assert other.seed == 2
    assert not set(other.endings) & set(first.endings)


def test_a_draw_is_what_its_contracts_would_make_of_it(cases: Gathered) -> None:
    """Scores, money and the published model, reckoned by hand from the rows that were drawn."""
    (ending,) = play(tiny(), cases, draws=1).endings
    draw = Urn(tiny(), cases, 1).draw(1)
    rules = MarketRules(
        *((bytes(32),) * 2, 5, 2, 512, 64, 224, 86_400, 604_800, 172_800, 172_800, 0, 10**18, 10**17, 0)
    )
    # A measured tumour has 30 features, so a sample has one unit.
    stakes_wei = [rules.quote(4, 0), rules.quote(3, 4), rules.quote(4, 7)]
    model = Perceptron.from_words(cases.words, cases.params)
    payloads = [b"".join(one.sample.data for one in own) for own in draw.contributed]
    orders = draw_orders(keccak256(b"1/1/orders"), payloads, cases.params, 2)
    tests = b"".join(one.sample.data for one in draw.tests)
    found = evaluate(model, tests, orders, 3)
    settlement = settle(rules, [Stake(*one) for one in zip(stakes_wei, found.scores, strict=True)])
    published = replay(model, orders[-1], settlement.removed)
    assert ending.stakes == tuple(Stake(*one) for one in zip(stakes_wei, found.scores, strict=True))
    assert ending.settlement == settlement
    assert (ending.before, ending.published) == (found.before, published.agree(tests).bit_count())
    assert any(found.scores)


def test_nobody_has_the_rows_of_another(cases: Gathered) -> None:
    """Nor is one drawn twice; and the first of each participant's are those that are flipped."""
    scenario = tiny(participants__carl__mistakes=0.5)
    true = {one.sample.data for one in cases.found}
    for number in range(1, 6):
        draw = Urn(scenario, cases, 1).draw(number)
        features = [one.sample.data[1:] for own in draw.contributed for one in own]
        assert len(set(features)) == len(features) == 11
        assert len({one.sample.data for one in draw.tests}) == 10
        right = [[one.sample.data in true for one in own] for own in draw.contributed]
        assert right == [[True] * 4, [True] * 3, [False, False, True, True]]
        assert [one.row for own in draw.contributed for one in own] == [
            one.row for own in Urn(tiny(), cases, 1).draw(number).contributed for one in own
        ]


def test_sums_are_those_of_the_draws(cases: Gathered) -> None:
    """Means, and how often; who flips half of its labels is not honest."""
    played = play(tiny(participants__carl__mistakes=0.5), cases, draws=7)
    document = describe(played)
    for number, person in enumerate(document["participants"]):
        owed = [ending.settlement.outcomes[number].owed_wei for ending in played.endings]
        staked = [ending.stakes[number].stake_wei for ending in played.endings]
        assert abs(7 * int(person["owed_wei"]) - sum(owed)) <= 4
        assert person["above"] == sum(a > b for a, b in zip(owed, staked, strict=True))
        assert person["score"] == pytest.approx(
            sum(ending.stakes[number].score for ending in played.endings) / 14
        )
    assert document["right_sides"] == sum(
        ending.stakes[0].score > 0 and ending.stakes[1].score > 0 and ending.stakes[2].score < 0
        for ending in played.endings
    )
    assert 0 < played.accuracy_before < 1
    for ending in played.endings:
        paid_wei = sum(stake.stake_wei for stake in ending.stakes) + 10**18
        out_wei = sum(outcome.owed_wei for outcome in ending.settlement.outcomes)
        assert out_wei + ending.settlement.burned_wei + ending.settlement.left_wei == paid_wei


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"market": {"orders": 4}}, "[market] of the scenario has no bounty."),
        ({"market.bounty": "much"}, "bounty in [market] of the scenario is 'much'."),
        ({"market.bounty": "3"}, "bounty in wei: 3, where a market takes 71,680 to"),
        ({"market.pieces": 1}, "pieces in [market] of the scenario is 1."),
        ({"market.piece_samples": 0}, "piece_samples in [market] of the scenario is 0."),
        ({"market.piece_samples": 29}, "test samples: 232, where a market takes 1 to 224."),
        ({"market.orders": 33}, "orders in [market] of the scenario is 33."),
        ({"market.rounds": 9}, "rounds in [market] of the scenario is 9."),
        ({"market.stake": "0"}, "stake in [market] of the scenario is '0'."),
        ({"market.stake": str(2**96)}, f"stake in wei: {2**96:,}, where a market takes 1 to"),
        ({"market.quota": 1_025}, "quota in [market] of the scenario is 1025."),
        ({"market.quota_each": 0}, "quota_each in [market] of the scenario is 0."),
        ({"market.draws": 0}, "draws in [market] of the scenario is 0."),
        ({"market.fee": 1}, "fee in [market] of the scenario is not known."),
        ({"participants": []}, "The scenario has no [[participants]]."),
        (
            {"participants": [{"name": f"p{at}", "samples": 1} for at in range(MAX_PARTICIPANTS + 1)]},
            "has 65 participants; a market takes 64.",
        ),
        ({"participants.carl.samples": 257}, "samples in [[participants]] number 3 of the scenario is 257."),
        (
            {"participants.carl.mistakes": 1.1},
            "mistakes in [[participants]] number 3 of the scenario is 1.1.",
        ),
        ({"participants.carl.name": "bert"}, "Two participants of"),
        ({"participants.carl.name": PROVIDER}, "is called provider, as who makes the market is."),
        ({"participants.carl.name": "Carl C"}, "'Carl C' cannot be the name"),
        ({"data.labels": ["a", "b", "c"]}, "has the labels a, b, c; the model of a market tells 2 apart."),
        ({"model.type": "naive-bayes"}, "type in [model] of the scenario is 'naive-bayes'."),
        ({"model.weight_bits": 8}, "weight_bits in [model] of the scenario is not known."),
        ({"features.kind": "dense"}, "kind in [features] of the scenario is 'dense'."),
        ({"features.max_features": 257}, "max_features in [features] of the scenario is 257."),
        ({"features.n_features": 65_537}, "n_features in [features] of the scenario is 65537."),
        ({"features.scale": "1"}, "scale in [features] of the scenario is not known."),
        ({"duration": "1d"}, "duration in the top of the scenario is not known."),
        ({"name": "No Name"}, "'No Name' cannot be the name of a model."),
    ],
)
def test_what_no_market_can_have_is_named(changes: dict[str, Any], told: str) -> None:
    """The error names table, field and value, or the rule; and what to write."""
    with pytest.raises(BadInput) as error:
        read_market_scenario(TUMOURS, changes)
    assert told in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"participants__bert__samples": 65},
            "bert in draw 1 have 65 units (a sample has one for every 64 features); the market takes 64",
        ),
        ({"market__quota": 8}, "The 4 samples of carl in draw 1 have 4 units"),
        ({"participants__anna__samples": 256, "participants__bert__samples": 256}, "a draw takes 516."),
        ({"market__pieces": 112, "market__piece_samples": 2}, "different samples to test; a draw takes 224."),
    ],
)
def test_what_the_data_does_not_give_is_named(cases: Gathered, changes: dict[str, Any], told: str) -> None:
    """The quotas, and the rows that there are."""
    with pytest.raises(BadInput, match=re.escape(told)) as error:
        play(tiny(**changes), cases)
    assert error.value.hint


def test_a_weight_that_could_reach_its_limit_is_refused(cases: Gathered) -> None:
    """As `market create` refuses it."""
    with pytest.raises(BadInput, match="Word 1 of the weights to start with has one of 31999") as error:
        play(tiny(), replace(cases, words=(0, 31_999, *cases.words[2:])))
    assert "initial" in error.value.hint


TEXTS = """
[data]
train = "long.csv"
labels = ["no", "yes"]

[market]
bounty = "1ether"
pieces = 2
piece_samples = 20
quota = 1024
quota_each = 1024

[[participants]]
name = "anna"
samples = 20
"""
"""A market of texts that are 256 words long: with 515 bytes each, 23 of them fit into one of two pieces."""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"market.piece_samples": 24}, "A piece of the test set of draw 1 has 12,360 bytes"),
        ({"participants.anna.samples": 48}, "The 48 samples of anna in draw 1 have 24,720 bytes"),
    ],
)
def test_what_could_not_be_stored_is_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """A piece of the test set, and what a participant contributes, by their bytes."""
    (tmp_path / "long.toml").write_text(TEXTS)
    rows = [" ".join(f"w{word * number % 9_973}" for word in range(1, 400)) for number in range(1, 301)]
    lines = [f"{text},{('no', 'yes')[number % 2]}\n" for number, text in enumerate(rows)]
    (tmp_path / "long.csv").write_text("text,label\n" + "".join(lines))
    scenario = read_market_scenario(tmp_path / "long.toml", changes)
    data = gather(scenario.data, scenario.features, scenario.model, folder=tmp_path)
    if not told:
        assert len(play(scenario, data, draws=2).endings) == 2
        return
    with pytest.raises(BadInput, match=re.escape(told)) as error:
        play(scenario, data, draws=2)
    assert error.value.hint


def check_real(scenario: MarketScenario, played: Played) -> None:
    """One draw, with gas of everybody, and money that adds up."""
    assert played.spent.keys() == {PROVIDER, *(person.name for person in scenario.people)}
    assert all(spent.gas_used > 300_000 and spent.fee_wei > 0 for spent in played.spent.values())
    (ending,) = played.endings
    draws = play(scenario, DATA[scenario.name], draws=1).endings
    assert [stake.stake_wei for stake in ending.stakes] == [stake.stake_wei for stake in draws[0].stakes]
    assert ending.before == draws[0].before
    assert describe(played)["gas_used"] == played.spent[PROVIDER].gas_used


DATA: dict[str, Gathered] = {}
"""By the name of the scenario."""


@pytest.mark.parametrize("place", ["embedded", "anvil"])
def test_a_chain_says_the_same(cases: Gathered, place: str, anvil: StartAnvil) -> None:
    """By the services of the commands; scores, amounts, balances and words are compared in there."""
    scenario = tiny()
    DATA[scenario.name] = cases
    check_real(scenario, play_on_chain(scenario, cases, anvil().url if place == "anvil" else None))


def test_texts_are_the_same_on_a_chain(tmp_path: Path) -> None:
    """Commas, quotes, line breaks and columns of other names survive the files that commands read."""
    (tmp_path / "odd.toml").write_text(
        TEXTS.replace("long.csv", "odd.jsonl").replace("[market]", 'text_column = "said"\n\n[market]')
    )
    words = ("great", "warm", 'so "fine"', "dull,", "cold\\n", "awful\\r\\n; ")
    with (tmp_path / "odd.jsonl").open("w") as file:
        for number in range(60):
            text = f"{words[number % 6]} film{number} act{number % 7}".replace('"', '\\"')
            file.write(f'{{"said": "{text}", "label": "{("no", "yes")[number % 6 < 3]}"}}\n')
    scenario = read_market_scenario(
        tmp_path / "odd.toml",
        {"market.piece_samples": 3, "participants.anna.samples": 12, "market.orders": 1},
    )
    data = gather(scenario.data, scenario.features, scenario.model, folder=tmp_path)
    DATA[scenario.name] = data
    check_real(scenario, play_on_chain(scenario, data, None))


def test_a_chain_that_says_otherwise_ends_it(cases: Gathered, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the replica begins with another model than the market."""
    monkeypatch.setattr(onchain, "start", lambda data: start(replace(data, words=())))
    with pytest.raises(Mismatch, match="The chain says otherwise of the test samples right at first"):
        play_on_chain(tiny(), cases, None)


def test_in_most_draws_of_reviews_everybody_ends_on_its_side(shared_data: Path) -> None:
    """Three honest participants and two bad ones: of 100 draws 73 end so, and each does in 90 or more.

    What the bad ones pay is far below their stakes; their samples are taken out all the same, and the model
    gets better by at least a point, also on reviews that the market did not see.
    """
    scenario = read_market_scenario(IMDB)
    data = gather(scenario.data, scenario.features, scenario.model, folder=shared_data)
    played = play(scenario, data)
    assert played.right_sides > 60
    assert all(played.above(number) > 80 for number in range(3))
    assert all(played.above(number) < 20 and played.removed(number) > 80 for number in (3, 4))
    assert all(2 * played.owed_wei(number) > played.stake_wei(number) for number in (3, 4))
    assert played.accuracy_published > played.accuracy_before + 0.01
    urn, model, right = Urn(scenario, data, scenario.seed), start(data), []
    unseen = b"".join(one.sample.data for one in data.test)
    for number in range(1, 21):
        draw = urn.draw(number)
        right.append(
            reckon(model, scenario.rules, draw, draw.stakes_wei, draw.seed)[1].agree(unseen).bit_count()
        )
    assert sum(right) / len(right) > model.agree(unseen).bit_count() + 0.01 * len(data.test)


def fields_of_the_page() -> dict[str, set[str]]:
    """The names in the tables of docs/market.md, by the heads of their first columns."""
    text = (PROJECT / "docs" / "market.md").read_text(encoding="utf-8")
    found = {}
    tables = r"^\| (field[^|]*) \| default \|.*\n\|---.*\n((?:\|.*\n)*)"
    for head, rows in re.findall(tables, text, re.MULTILINE):
        cells = [row.split(" | ")[0] for row in rows.splitlines()]
        found[head] = {name for cell in cells for name in re.findall(r"`\[?(\w+)\]?`", cell)}
    return found


@pytest.mark.parametrize(
    ("head", "changes", "more"),
    [
        ("field", {"nosuch": 1}, {"market", "participants"}),
        ("field of [market]", {"market.nosuch": 1}, set()),
        ("field of [[participants]]", {"participants.anna.nosuch": 1}, set()),
    ],
)
def test_the_page_has_every_field(head: str, changes: dict[str, Any], more: set[str]) -> None:
    """Its tables name the fields that the program knows, no more and no less; a base is read before."""
    with pytest.raises(BadInput, match=r"^nosuch in ") as error:
        read_market_scenario(TUMOURS, changes)
    known = set(error.value.hint.partition("What it may have: ")[2].removesuffix(".").split(", "))
    assert known == (fields_of_the_page()[head] | more) - {"base"}
