"""The daemon in markets: it shows in time, takes the steps that pay, collects, and leaves what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.markets import (
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
from tests.cli.test_market import address_of, state

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

__all__ = ["joined", "joined_market", "made", "made_market", "open_market", "opened"]  # fixtures

DEAR_GAS = ("--max-gas-price", "1wei")
"""A ceiling that no block is under."""


def once(dcai: Dcai, name: str, *options: str) -> dict[str, Any]:
    """What a cycle for somebody says of the market."""
    (market,) = dcai.data("daemon", "run", "--once", "--account", name, *options)["markets"]
    assert isinstance(market, dict)
    return market


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
    assert once(joined, "bob", "--daily-budget", "1wei")["moves"] == ["reveal"]
    joined.data("devnet", "advance", "2d")
    found = once(joined, "alice", "--daily-budget", "1wei")
    assert (found["moves"], found["code"]) == (["piece"] * 3, "budget")


def test_it_takes_no_step_that_does_not_pay(made: Dcai) -> None:
    """A step that earns a wei is left, and why is said; a command takes it all the same."""
    test = ("--reserve", "2000wei", "--bounty", "1ether")
    make_market(made, *test, name="poor")
    made.data("market", "reveal", "poor", "--yes")
    file = made.write("bob.csv", rows(6, 1))
    made.data("market", "join", "alice/poor", file, "--account", "bob", "--yes")
    made.data("devnet", "advance", "7d")
    made.data("market", "reveal", "alice/poor", "--account", "bob", "--yes")
    made.data("devnet", "advance", "2d")
    made.data("market", "reveal", "poor", "--yes")
    found = once(made, "bob")
    assert (found["moves"], found["stage"], found["code"]) == (["order"], "evaluating", "unprofitable")
    left = made.data("market", "step", "alice/poor", "--min-profit", "0", "--account", "bob", "--yes")
    assert left["moves"] == []
    done = made.data("market", "step", "alice/poor", "--account", "bob", "--yes")
    assert {move["move"] for move in done["moves"]} == {"step"}


def test_it_ends_a_market_whose_provider_is_late_for_its_stake(joined: Dcai) -> None:
    """A participant ends it and collects; the provider would only lose by that, and does not."""
    assert once(joined, "bob")["moves"] == ["reveal"]
    joined.data("devnet", "advance", "97h")
    late = once(joined, "alice")
    assert (late["moves"], late["code"]) == ([], "unprofitable")
    found = once(joined, "bob")
    assert (found["moves"], found["stage"]) == (["fail", "collect"], "failed")
