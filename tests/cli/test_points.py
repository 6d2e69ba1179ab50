"""Models with points: contributing without deposits, earning, validating others, and the leaderboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account

from dcai_cli.chain.records import Fees
from dcai_cli.ledger import Ledger
from tests.cli.conftest import ADDRESSES, KEYS, STRANGER, add_account, distinct

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

ALICE, BOB = ADDRESSES["alice"], ADDRESSES["bob"]
OTHER = Account.from_key(STRANGER).address
NOBODY = "0x00000000000000000000000000000000000000ff"


def view(dcai: Dcai, function: str, *args: object) -> Any:
    """What the incentive mechanism of the club says."""
    incentive = dcai.data("model", "show", "club")["incentive"]
    with dcai.chain() as chain:
        return chain.view("PointsIncentive", incentive, function, *args)


def drain(dcai: Dcai, name: str, *, left_wei: int) -> None:
    """Leave an account with exactly so much ether."""
    key = Account.from_key(KEYS[name])
    with dcai.chain() as chain:
        price_wei = chain.fees().max_fee_per_gas_wei
        gas, nonce = 21_000, chain.next_nonce(key.address)
        value_wei = chain.balance_wei(key.address) - gas * price_wei - left_wei
        fees = Fees(price_wei, price_wei)  # the whole offer is paid, so that nothing comes back
        signed = chain.sign(key, to=NOBODY, data=b"", value_wei=value_wei, nonce=nonce, gas=gas, fees=fees)
        assert chain.wait(chain.send(signed.raw)).status
        assert chain.balance_wei(key.address) == left_wei


def standings(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a leaderboard, without badges and names."""
    return [
        (row["rank"], row["contributor"], row["model_points"], row["validation_points"])
        for row in data["leaderboard"]
    ]


def test_contributing_costs_gas_and_nothing_else(club: Dcai) -> None:
    """No deposit is planned, sent or held, under the strictest limit; the balance falls by the fees."""
    before_wei = club.balance_wei(ALICE)
    file = club.write("new.csv", distinct("new", 4))
    data = club.data("contribute", file, "--max-deposit", "0", "--yes")
    assert (data["contributed"], data["deposit_wei"]) == (4, "0")
    assert (data["plan"]["deposit_at_most_wei"], data["plan"]["at_risk_wei"]) == ("0", "0")
    assert club.balance_wei(ALICE) == before_wei - int(data["fee_wei"])
    assert club.data("model", "show")["balance_wei"] == "0"


def test_the_plan_tells_of_points_where_no_deposit_is(club: Dcai) -> None:
    """The words for people name the wait and what earns a point, and neither deposits nor a risk."""
    file = club.write("new.csv", distinct("new", 4))
    planned = club("contribute", file, "--dry-run").out
    assert "points    one for each sample that surprises the model" in planned
    assert "1 d later" in planned
    assert "deposit" not in planned
    assert "at risk" not in planned
    done = club("contribute", file, "--yes", "--quiet").out
    assert "4 of them surprised the model and can earn a point" in done
    assert "Earn the points in " in done
    assert "deposit" not in done


def test_who_has_no_ether_is_told_what_the_fees_are(club: Dcai) -> None:
    """With an empty balance the contribution is refused for its fees, which are named; nothing is planned."""
    file = club.write("new.csv", distinct("new", 4))
    command = ("contribute", file, "--account", "bob")
    price = {"ETH_GAS_PRICE": str(10**10)}
    fee_wei = int(club.data(*command, "--dry-run", **price)["plan"]["fee_offer_wei"])
    drain(club, "bob", left_wei=fee_wei - 1)
    with club.unchanged():
        error = club.error(*command, "--yes", **price)
    assert error["exit_code"] == 12
    # In ether both would look the same.
    assert error["message"] == f"Fees can take {fee_wei} wei; {BOB} has {fee_wei - 1} wei."


def test_points_wait_and_nobody_else_can_ever_take_them(club: Dcai) -> None:
    """Before the wait a batch is listed without a price and without an end; a claim sends nothing."""
    club.data("contribute", club.write("new.csv", distinct("new", 4)), "--yes")
    (item,) = club.data("refunds")["items"]
    assert (item["samples"], item["claimable_samples"], item["points"]) == (4, 0, 0)
    assert (item["amount_wei"], item["expires_at"], item["state"]) == ("0", None, "waiting")
    lines = club("refunds").out.splitlines()
    assert lines[0].endswith("of club: 4 samples, up to 4 points, waiting")
    assert lines[1].startswith("  due in 23 h")
    assert "for others" not in lines[1]
    assert lines[2:] == ["in all 0 points now"]
    with club.unchanged():
        assert club.data("refunds", "--claim", "--yes")["transactions"] == []


@pytest.mark.parametrize("wait", ["25h", "400d"])
def test_due_points_are_earned_once(club: Dcai, wait: str) -> None:
    """A claim earns a point a sample, however late it comes; then chain and ledger have nothing left open."""
    club.data("contribute", club.write("new.csv", distinct("new", 4)), "--yes")
    club.data("devnet", "advance", wait)
    (item,) = club.data("refunds")["items"]
    assert (item["points"], item["claimable_samples"], item["state"]) == (4, 4, "due")
    assert club("refunds").out.splitlines()[-1] == "in all 4 points now"
    asked = club("refunds", "--claim").err
    assert "Claim 4 samples of 1 batch, which earn up to 4 points?" in asked
    data = club.data("refunds", "--claim", "--yes")
    assert (data["points"], data["claimed_samples"], data["refunded_wei"]) == (4, 4, "0")
    assert view(club, "pointsOf", ALICE)[0] == 28
    assert club.query("SELECT DISTINCT state, payload FROM batches") == [("settled", None)]
    assert club.data("refunds")["items"] == []
    with club.unchanged():
        assert club.data("refunds", "--claim", "--yes")["points"] == 0


def test_a_claim_of_points_says_so(club: Dcai) -> None:
    """For people a claim names the points, and no ether but the fees."""
    club.data("contribute", club.write("new.csv", distinct("new", 4)), "--yes")
    club.data("devnet", "advance", "25h")
    assert club("refunds", "--claim", "--yes").out.startswith("earned 4 points of 4 samples, fees ")


def test_samples_that_the_model_predicted_are_not_waited_for(club: Dcai) -> None:
    """Of a batch only informative samples are claimed; a batch without any is done when it is on-chain."""
    known, new = distinct("first", 2), distinct("new", 2)
    bob = ("--account", "bob", "--yes")
    (batch,) = club.data("contribute", club.write("known.csv", known), *bob)["batches"]
    assert (batch["samples"], batch["informative"]) == (2, 0)
    assert club.data("refunds", "--account", "bob")["items"] == []
    (batch,) = club.data("contribute", club.write("both.csv", [distinct("first", 3)[2], *new]), *bob)[
        "batches"
    ]
    assert (batch["samples"], batch["informative"]) == (3, 2)
    club.data("devnet", "advance", "25h")
    (item,) = club.data("refunds", "--account", "bob")["items"]
    assert (item["samples"], item["points"]) == (2, 2)
    data = club.data("refunds", "--claim", *bob)
    assert (data["points"], data["claimed_samples"], data["disagreed_samples"]) == (2, 2, 0)
    assert club.query("SELECT DISTINCT state, payload FROM batches") == [("settled", None)]


def test_what_the_model_rejects_stays_open_until_it_agrees(club: Dcai) -> None:
    """A disputed sample earns nothing, is counted, and earns its point when the model changed its mind."""
    text, label = distinct("new", 4)[3]
    wrong = {"negative": "positive", "positive": "negative"}[label]
    club.data("contribute", club.write("wrong.csv", [(text, wrong)]), "--account", "bob", "--yes")
    for number in range(2):
        file = club.write(f"right{number}.csv", [(f"{text} indeed{number}", label)])
        club.data("contribute", file, "--yes")
    club.data("devnet", "advance", "25h")
    (item,) = club.data("refunds", "--account", "bob")["items"]
    assert (item["samples"], item["points"], item["state"]) == (1, 0, "disputed")
    with club.unchanged():
        data = club.data("refunds", "--claim", "--account", "bob", "--yes")
    assert (data["points"], data["disagreed_samples"]) == (0, 1)
    for number in range(3):
        file = club.write(f"more{number}.csv", [(f"{text} truly{number}", wrong)])
        club.data("contribute", file, "--yes")
    club.data("devnet", "advance", "1h")
    assert club.data("refunds", "--claim", "--account", "bob", "--yes")["points"] == 1


def test_deposits_and_points_are_claimed_together(club: Dcai) -> None:
    """One command takes back what one model owes and earns what another gives, and says both."""
    shape = ("--labels", "negative,positive", "--n-features", "256")
    club.data("model", "deploy", "--name", "quiet", *shape, "--yes")
    club.data("devnet", "advance", "1h")
    club.data("contribute", club.write("films.csv", distinct("film", 2)), "--model", "quiet", "--yes")
    club.data("contribute", club.write("new.csv", distinct("new", 3)), "--yes")
    club.data("devnet", "advance", "25h")
    lines = club("refunds").out.splitlines()
    assert re.fullmatch(r"in all 0\.0000\d+ ETH", lines[-2])
    assert lines[-1] == "in all 3 points now"
    # Two deposits after an idle hour are worth less than the gas: they are claimed only if that may be.
    with_points_only = club("refunds", "--claim", "--model", "quiet", "--yes")
    assert "unprofitable" in with_points_only.out
    data = club.data("refunds", "--claim", "--min-profit=-1ether", "--yes")
    assert (data["points"], data["claimed_samples"], data["left"]) == (3, 5, [])
    assert int(data["refunded_wei"]) > 0


def test_there_is_nothing_to_report_where_points_are(club: Dcai) -> None:
    """However late, others' batches of a model with points are not among what can be taken."""
    club.data("contribute", club.write("new.csv", distinct("new", 4)), "--account", "bob", "--yes")
    club.data("devnet", "advance", "400d")
    assert club.data("reports")["items"] == []
    with club.unchanged():
        assert club.data("reports", "--claim", "--yes")["transactions"] == []


def test_validating_gives_a_point_and_spends_one(club: Dcai) -> None:
    """By name or by address; the document, the chain and the leaderboard agree."""
    data = club.data("validate", "bob", OTHER.lower(), "--yes")
    assert (data["account"], data["points_left"], data["already_validated"]) == (ALICE, 22, [])
    assert [one["contributor"] for one in data["validated"]] == [BOB, OTHER]
    assert data["gas_used"] == sum(one["gas_used"] for one in data["validated"])
    assert view(club, "pointsOf", ALICE) == (24, 0, 2)
    assert view(club, "pointsOf", BOB) == (3, 1, 0)
    assert view(club, "validationsBy", ALICE, 0, 9) == (BOB, OTHER)
    assert standings(club.data("leaderboard")) == [(1, ALICE, 24, 0), (2, BOB, 3, 1), (3, OTHER, 1, 1)]


def test_validating_asks_before_anything_is_sent(club: Dcai) -> None:
    """The question names whom and how many points; without an answer nothing happens."""
    with club.unchanged():
        result = club("validate", "bob")
    assert result.code == 2
    assert f"Validate {BOB}, and spend 1 of the 24 points that alice has left?" in result.err
    assert "--yes" in result.err
    assert club("validate", "bob", "--yes").out.splitlines()[0] == f"validated {BOB}"


@pytest.mark.parametrize(
    ("arguments", "code", "phrases"),
    [
        (["alice"], 2, ["alice", ALICE, "itself"]),
        ([OTHER, "--account", "bob"], 14, ["bob", "3 model points", "20", "refunds --model club --claim"]),
        ([NOBODY], 14, ["no model points from club", "leaderboard"]),
        ([f"0x{number:040x}" for number in range(1, 26)], 14, ["24 of its 24 model points", "25"]),
        (["bob", "--model", "films"], 2, ["films takes deposits", "model list"]),
        (["carol"], 10, ["'carol'"]),
    ],
    ids=["oneself", "too few points", "no contributor", "not enough left", "deposits", "no such account"],
)
def test_what_the_contract_would_refuse_is_refused_before_anything_is_sent(
    club: Dcai, arguments: list[str], code: int, phrases: list[str]
) -> None:
    """The message names the value, the hint says what to do; chain, money, ledger and keys stay the same."""
    with club.unchanged():
        error = club.error("validate", *arguments, "--yes")
    assert error["exit_code"] == code
    for phrase in phrases:
        assert phrase in f"{error['message']} {error['hint']}"


def test_a_validator_counts_once_and_a_contributor_only_as_its_points(club: Dcai) -> None:
    """A second validation is refused, or left out beside others; a full contributor is refused."""
    club.data("validate", OTHER, "--yes")
    with club.unchanged():
        error = club.error("validate", OTHER, "--yes")
    assert (error["exit_code"], f"has validated {OTHER} already" in error["message"]) == (14, True)
    data = club.data("validate", OTHER, "bob", "bob", "--yes")
    assert ([one["contributor"] for one in data["validated"]], data["already_validated"]) == ([BOB], [OTHER])
    more = club.write("more.csv", distinct("more", 18))
    club.data("contribute", more, "--account", "bob", "--yes")
    club.data("devnet", "advance", "25h")
    club.data("refunds", "--claim", "--account", "bob", "--yes")
    with club.unchanged():
        error = club.error("validate", OTHER, "--account", "bob", "--yes")
    assert error["exit_code"] == 14
    assert f"{OTHER} has 1 validation point, as many as its model points: 1." in error["message"]


def test_validating_that_broke_off_goes_on(club: Dcai) -> None:
    """With ether for one transaction it is partly done; the same command again does the rest, and no more."""
    price = {"ETH_GAS_PRICE": str(10**10), "ETH_PRIORITY_GAS_PRICE": str(10**10)}
    drain(club, "alice", left_wei=140_000 * 10**10)
    error = club.error("validate", "bob", OTHER, "--yes", **price)
    assert error["exit_code"] == 3, error
    assert "1 validation is on-chain" in error["message"]
    assert "goes on where this one stopped" in error["hint"]
    club.send("bob", ALICE, value_wei=10**18)
    data = club.data("validate", "bob", OTHER, "--yes", **price)
    assert ([one["contributor"] for one in data["validated"]], data["already_validated"]) == ([OTHER], [BOB])
    assert view(club, "pointsOf", ALICE) == (24, 0, 2)


def test_an_interrupted_validation_is_finished_and_not_repeated(
    club: Dcai, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent when Ctrl-C came is found by the next command, which spends nothing a second time."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "mark_sent", interrupt)
        stopped = club("validate", "bob", "--yes")
    assert stopped.code == 130
    assert "goes on where this one stopped" in stopped.err
    data = club.data("validate", "bob", "--yes")
    assert [one["contributor"] for one in data["validated"]] == [BOB]
    assert data["points_left"] == 23
    assert view(club, "pointsOf", ALICE) == (24, 0, 1)
    assert club.query("SELECT state FROM transactions WHERE kind = 'validate'") == [("mined",)]


def test_the_leaderboard_is_sorted_by_either_kind_of_points(
    club: Dcai, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points that are asked for count first, then the others; pages and limits change nothing but the end."""
    club.data("validate", OTHER, "--yes")
    by_model = [(1, ALICE, 24, 0), (2, BOB, 3, 0), (3, OTHER, 1, 1)]
    by_validation = [(1, OTHER, 1, 1), (2, ALICE, 24, 0), (3, BOB, 3, 0)]
    for page in (1, 2, 3, 500):
        monkeypatch.setattr("dcai_cli.services.points.PAGE", page)
        assert standings(club.data("leaderboard")) == by_model
        assert standings(club.data("leaderboard", "--by", "validation")) == by_validation
    data = club.data("leaderboard", "--limit", "2")
    assert (standings(data), data["contributors"]) == (by_model[:2], 3)
    assert club("leaderboard", "--limit", "2").out.splitlines()[-1] == "1 more; show them with --limit"


def test_the_leaderboard_marks_ones_own_accounts_and_badges(club: Dcai) -> None:
    """Own accounts have their names; the badge is the highest of those that the chain gives."""
    rows = club.data("leaderboard")["leaderboard"]
    assert [(row["account"], row["badge_level"]) for row in rows] == [("alice", 2), ("bob", 1), (None, 1)]
    for row in rows:
        assert view(club, "balanceOf", row["contributor"]) == row["badge_level"]
    lines = [line.split() for line in club("leaderboard").out.splitlines()]
    assert lines[0] == ["rank", "contributor", "model", "points", "validation", "points", "badge", "account"]
    assert lines[1:] == [
        ["1", ALICE, "24", "0", "2", "alice"],
        ["2", BOB, "3", "0", "1", "bob"],
        ["3", OTHER, "1", "0", "1"],
    ]


def test_the_leaderboard_can_be_of_trusted_contributors_only(club: Dcai) -> None:
    """The trusted and whom they validated; who has no points leads nowhere."""
    club.data("validate", OTHER, "--yes")
    data = club.data("leaderboard", "--trust", "alice")
    assert (standings(data), data["contributors"]) == ([(1, ALICE, 24, 0), (2, OTHER, 1, 1)], 2)
    assert standings(club.data("leaderboard", "--trust", BOB.lower())) == [(1, BOB, 3, 0)]
    assert len(club.data("leaderboard", "--trust", "bob", "--trust", "alice")["leaderboard"]) == 3
    assert club.data("leaderboard", "--trust", NOBODY)["leaderboard"] == []
    assert club("leaderboard", "--trust", NOBODY).out == "Nobody to be ranked has earned a point yet.\n"


def test_who_is_trusted_is_found_in_large_models_too(club: Dcai, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one call would take too much gas, following the validations by pages finds the same."""
    club.data("validate", OTHER, "bob", "--yes")
    trusts = (["alice"], ["bob"], [OTHER, "alice"], [NOBODY])
    commands = [[word for name in names for word in ("--trust", name)] for names in trusts]
    at_once = [club.data("leaderboard", *command) for command in commands]
    assert [data["contributors"] for data in at_once] == [3, 1, 3, 0]
    monkeypatch.setattr("dcai_cli.services.points.REACHABLE_AT_ONCE", 0)
    for page in (1, 500):
        monkeypatch.setattr("dcai_cli.services.points.PAGE", page)
        assert [club.data("leaderboard", *command) for command in commands] == at_once


@pytest.mark.parametrize(
    ("arguments", "code", "phrases"),
    [
        (["--model", "films"], 2, ["films takes deposits", "points"]),
        (["--by", "age"], 2, ["'age'", "--by validation"]),
        (["--limit", "0"], 2, ["--limit"]),
        (["--trust", "carol"], 10, ["'carol'", "alice"]),
    ],
    ids=["deposits", "no such order", "no rows", "no such account"],
)
def test_a_leaderboard_that_there_is_not_is_refused(
    club: Dcai, arguments: list[str], code: int, phrases: list[str]
) -> None:
    """What cannot be ranked is named, with what to type instead."""
    error = club.error("leaderboard", *arguments)
    assert error["exit_code"] == code
    for phrase in phrases:
        assert phrase in f"{error['message']} {error['hint']}"


def test_claims_made_elsewhere_close_the_batch_here(club: Dcai) -> None:
    """A ledger that has not seen the claim takes it over from the chain, and sends nothing."""
    add_account(club, "stranger", STRANGER)
    club.data("contribute", club.write("new.csv", distinct("new", 2)), "--account", "stranger", "--yes")
    club.data("devnet", "advance", "25h")
    ledger = (club.home / "ledger.sqlite").read_bytes()
    club.data("refunds", "--claim", "--account", "stranger", "--yes")
    (club.home / "ledger.sqlite").write_bytes(ledger)
    assert club.data("refunds", "--account", "stranger")["items"] == []
    assert club.data("refunds", "--claim", "--account", "stranger", "--yes")["transactions"] == []
    assert club.query("SELECT DISTINCT state, lost_wei FROM batches") == [("settled", "0")]
