"""The daemon in markets: it shows in time, takes the steps that pay, collects, and leaves what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.chain.factory import MARKET, market_address
from dcai_cli.services.markets import create
from dcai_cli.services.markets.factory import known_deployer
from dcai_cli.services.markets.market import read_market
from dcai_cli.services.markets.moves import SHOWING, moves_now
from dcai_cli.services.workspace import Workspace
from tests.cli.conftest import ADDRESSES
from tests.cli.markets import (
    RULES,
    joined,
    joined_market,
    made,
    made_market,
    make_market,
    open_market,
    opened,
    rows,
)
from tests.cli.simulated import HOUR, Days, simulate
from tests.cli.test_market import address_of, die, state
from tests.cli.test_tx import Died

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

__all__ = ["joined", "joined_market", "made", "made_market", "open_market", "opened"]  # fixtures

DEAR_GAS = ("--max-gas-price", "1wei")
"""A ceiling that no block is under."""


NO_BUDGET = ("--daily-budget", "1wei")
"""A budget that pays for nothing."""


def once(dcai: Dcai, name: str, *options: str, market: str = "") -> dict[str, Any]:
    """What a cycle for somebody says of the market, or of the one of a name."""
    found = dcai.data("daemon", "run", "--once", "--account", name, *options)["markets"]
    (one,) = [one for one in found if market in {"", one["name"]}]
    assert isinstance(one, dict)
    return one


def test_it_does_all_that_is_to_be_done_in_a_market(joined: Dcai) -> None:
    """From the reveals to the money: participants' and provider's daemons need no command beside them."""
    assert once(joined, "bob")["moves"] == ["reveal"]
    assert once(joined, "carol")["moves"] == ["reveal"]
    assert once(joined, "bob")["moves"] == []
    joined.data("devnet", "advance", "2d")
    provider = once(joined, "alice")
    assert provider["moves"][:5] == ["piece", "piece", "piece", "order", "step"]
    assert provider["moves"][-1] == "left"
    assert (provider["stage"], int(provider["paid_wei"]) > 0) == ("published", True)
    owed_wei = {one["address"]: int(one["owed_wei"]) for one in state(joined)["participants"]}
    for name in ("bob", "carol"):
        report = joined.data("daemon", "run", "--once", "--account", name)
        (found,), (claim,) = report["markets"], report["claims"]
        assert int(found["paid_wei"]) == owed_wei[address_of(name)]
        assert (claim["kind"], claim["amount_wei"]) == ("market-collect", found["paid_wei"])
    assert joined.balance_wei(state(joined)["address"]) == 0
    # Nothing is left for them: the next cycle does not even look.
    assert joined.data("daemon", "run", "--once", "--account", "bob")["markets"] == []


def test_it_goes_on_where_everybody_harmed(opened: Dcai) -> None:
    """Nothing is left to train with; the provider's daemon still comes to the model, and to its bounty."""
    file = opened.write("carol.csv", rows(10, 15, is_wrong=True))
    opened.data("market", "join", "alice/bounty", file, "--account", "carol", "--yes")
    opened.data("devnet", "advance", "7d")
    assert once(opened, "carol")["moves"] == ["reveal"]
    opened.data("devnet", "advance", "2d")
    provider = once(opened, "alice")
    assert state(opened)["participants"][0]["removed"]
    assert (provider["stage"], provider["code"]) == ("published", None)


def test_it_wakes_up_when_samples_can_be_revealed(opened: Dcai) -> None:
    """With an interval of a month, the next cycle comes as soon as something has to be shown."""
    file = opened.write("alice.csv", rows(3, 1))
    opened.data("market", "join", "bounty", file, "--yes")
    days = Days(cycles=2)
    run = simulate(opened, days, interval_s=30 * 24 * HOUR)
    assert 6 * 24 * HOUR < days.pauses[0] <= 7 * 24 * HOUR + 2
    assert [entry["kind"] for entry in run.entries("claim")] == ["market-reveal"]


@pytest.mark.parametrize("hours", [1, 44])
def test_near_the_deadline_showing_may_cost_what_is_at_stake(joined: Dcai, hours: int) -> None:
    """Above the ceiling it waits at first, and says so; six hours before the stake burns it does not."""
    joined.data("devnet", "advance", f"{hours}h")
    found = once(joined, "bob", *DEAR_GAS)
    if hours == 1:
        assert (found["moves"], found["code"]) == ([], "fee-ceiling")
    else:
        assert (found["moves"], found["code"]) == (["reveal"], None)


def test_the_day_s_budget_keeps_nothing_from_being_shown(joined: Dcai) -> None:
    """With a budget of a wei the stake is still saved; what pays nothing waits."""
    assert once(joined, "bob", *NO_BUDGET)["moves"] == ["reveal"]
    joined.data("devnet", "advance", "2d")
    found = once(joined, "alice", *NO_BUDGET)
    assert (found["moves"], found["code"]) == (["piece"] * 3, "budget")


def begun_ahead(dcai: Dcai, *more: str) -> None:
    """Alice makes a market that begins with weights; the command dies where it was to draw and write them."""
    test, train = (str(dcai.write(f"{seed}.csv", rows(24, seed))) for seed in (5, 77))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(create, "make_all", die)
        with pytest.raises(Died):
            dcai("market", "create", "ahead", "--test", test, *RULES, *more, "--pretrain", train)


def test_no_budget_keeps_it_from_what_comes_before_the_first_piece(made: Dcai) -> None:
    """Where `create` died, it draws and writes the weights as well: without them half of the bounty burns."""
    begun_ahead(made)
    found = once(made, "alice", *NO_BUDGET, market="ahead")
    assert (found["moves"], found["stage"]) == (["draw", "weights", "piece"], "participating")
    assert found["code"] is None


def test_above_the_ceiling_it_draws_at_once_and_writes_weights_near_the_deadline(made: Dcai) -> None:
    """The block of the draw is soon out of reach; the weights have the time that the piece has."""
    begun_ahead(made)
    found = once(made, "alice", *DEAR_GAS, market="ahead")
    assert (found["moves"], found["stage"], found["code"]) == (["draw"], "opening", "fee-ceiling")
    made.data("devnet", "advance", "23h")
    found = once(made, "alice", *DEAR_GAS, market="ahead")
    assert (found["moves"], found["stage"]) == (["weights", "piece"], "participating")


def test_the_first_piece_waits_for_the_draw_and_for_all_weights(made: Dcai) -> None:
    """Left for their price, they hold it back: once it is shown, no weights can be written any more."""
    begun_ahead(made, "--n-features", "16384")
    with Workspace(made.settings) as workspace:
        deployer = known_deployer(workspace)
        assert deployer is not None
        market = read_market(workspace.chain, market_address(deployer, ADDRESSES["alice"], "ahead"))
        own = moves_now(workspace, market, ADDRESSES["alice"], SHOWING)
        others = moves_now(workspace, market, ADDRESSES["bob"], SHOWING)
    names = [move.name for move in own]
    assert (names[0], set(names[1:-1]), names[-1], len(names) > 3) == ("draw", {"weights"}, "piece", True)
    assert [{*move.after} for move in own] == [set(), *[{"weights"}] * (len(own) - 2), {"draw", "weights"}]
    assert [move.at_stake_wei for move in own] == [10**18 // 2] * len(own)
    assert [(move.name, move.at_stake_wei) for move in others] in ([], [("draw", 0)])


def poor_market(dcai: Dcai) -> None:
    """A market of alice with bob's samples, where a step earns a wei, and the orders are to be drawn."""
    make_market(dcai, "--reserve", "2000wei", "--bounty", "1ether", name="poor")
    dcai.data("market", "reveal", "poor", "--yes")
    file = dcai.write("bob.csv", rows(6, 1))
    dcai.data("market", "join", "alice/poor", file, "--account", "bob", "--yes")
    dcai.data("devnet", "advance", "7d")
    dcai.data("market", "reveal", "alice/poor", "--account", "bob", "--yes")
    dcai.data("devnet", "advance", "2d")
    dcai.data("market", "reveal", "poor", "--yes")


def test_it_takes_no_step_that_does_not_pay(made: Dcai) -> None:
    """A step that earns a wei is left, and why is said; a command takes it all the same."""
    poor_market(made)
    found = once(made, "bob")
    assert (found["moves"], found["stage"], found["code"]) == (["order"], "evaluating", "unprofitable")
    left = made.data("market", "step", "alice/poor", "--min-profit", "0", "--account", "bob", "--yes")
    assert left["moves"] == []
    done = made.data("market", "step", "alice/poor", "--account", "bob", "--yes")
    assert {move["move"] for move in done["moves"]} == {"step"}


def test_it_collects_where_a_step_does_not_pay(made: Dcai) -> None:
    """What is owed before the model is published waits for no step; why the step was left is still said."""
    poor_market(made)
    assert once(made, "bob")["moves"] == ["order"]

    def poor() -> dict[str, Any]:
        (market,) = made.data("market", "status", "alice/poor")["markets"]
        assert isinstance(market, dict)
        return market

    with made.chain() as chain:
        step = chain.encode(MARKET, "step", 256)
    while poor()["stage"] != "publishing":
        made.send("alice", poor()["address"], step)
    (bob,) = poor()["participants"]
    found = once(made, "bob")
    assert (found["moves"], found["stage"], found["code"]) == (["collect"], "publishing", "unprofitable")
    assert int(found["paid_wei"]) == int(bob["owed_wei"]) > 0
    again = once(made, "bob")
    assert (again["moves"], again["code"]) == ([], "unprofitable")


def test_it_ends_a_market_whose_provider_is_late_for_its_stake(joined: Dcai) -> None:
    """A participant ends it and collects; the provider would only lose by that, and does not."""
    assert once(joined, "bob")["moves"] == ["reveal"]
    joined.data("devnet", "advance", "97h")
    late = once(joined, "alice")
    assert (late["moves"], late["code"]) == ([], "unprofitable")
    found = once(joined, "bob")
    assert (found["moves"], found["stage"]) == (["fail", "collect"], "failed")
