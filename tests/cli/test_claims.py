"""Refunds, reports and sweeps: who gets what and when, and books that agree with the chain to the wei."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.cli import claims
from dcai_cli.domain import format_ether

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

FLIPPED = [
    ("a wonderful story with a great heart", "negative"),
    ("great and warm acting", "negative"),
    ("a cold dull mess", "positive"),
]


class Books:
    """What each account has, and what a command did to it.

    Args:
        dcai: the command line.
    """

    def __init__(self, dcai: Dcai) -> None:
        self.dcai = dcai
        self.model = dcai.data("model", "show")["address"]
        accounts = dcai.data("account", "list")["accounts"]
        self.addresses = {account["name"]: account["address"] for account in accounts}

    def change(self, who: str, *command: str | Path) -> tuple[dict[str, Any], int]:
        """Run a command as somebody; returns its data, and what it changed in the balance."""
        before_wei = self.dcai.balance_wei(self.addresses[who])
        data = self.dcai.data(*command, "--account", who, "--yes")
        return data, self.dcai.balance_wei(self.addresses[who]) - before_wei

    @property
    def held_wei(self) -> int:
        """What the contract holds."""
        return self.dcai.balance_wei(self.model)

    def of(self, who: str) -> dict[str, int]:
        """An account's batches in the ledger, summed up."""
        rows = self.dcai.query(
            "SELECT deposit_per_unit_wei, units, refunded_wei, lost_wei FROM batches WHERE account = ?",
            self.addresses[who],
        )
        return {
            "deposit_wei": sum(int(row[0]) * row[1] for row in rows),
            "refunded_wei": sum(int(row[2]) for row in rows),
            "lost_wei": sum(int(row[3]) for row in rows),
        }


@pytest.fixture
def books(dcai: Dcai, films: Path) -> Books:
    """Alice sent six honest rows, bob three flipped ones, alice twelve more: the model keeps to her."""
    books = Books(dcai)
    dcai.data("contribute", films, "--yes")
    dcai.data("contribute", dcai.write("flipped.csv", FLIPPED), "--account", "bob", "--yes")
    more = [(f"{text} indeed {number}", label) for number in range(2) for text, label in honest(films)]
    dcai.data("contribute", dcai.write("more.csv", more), "--yes")
    return books


def honest(films: Path) -> list[tuple[str, str]]:
    """The rows of a file."""
    lines = films.read_text().splitlines()[1:]
    return [(text, label) for text, _, label in (line.rpartition(",") for line in lines)]


def test_nothing_is_due_before_its_wait(books: Books) -> None:
    """Everything waits at first; a claim then sends nothing and needs no password."""
    items = books.dcai.data("refunds")["items"]
    assert [(item["samples"], item["state"]) for item in items] == [(6, "waiting"), (12, "waiting")]
    with books.dcai.unchanged():
        data = books.dcai.data("refunds", "--claim", "--yes", ETH_PASSWORD="")
        assert books.dcai("refunds", "--claim").out == "Nothing can be claimed now.\n"
    assert (data["refunded_wei"], data["claimed_samples"], data["transactions"]) == ("0", 0, [])


def test_due_deposits_come_back_to_the_wei(books: Books) -> None:
    """After the refund wait balance, contract, ledger and report of the command agree."""
    dcai = books.dcai
    held_wei, deposit_wei = books.held_wei, books.of("alice")["deposit_wei"]
    dcai.data("devnet", "advance", "25h")
    assert {item["state"] for item in dcai.data("refunds")["items"]} == {"due"}
    data, change_wei = books.change("alice", "refunds", "--claim")
    refunded_wei = int(data["refunded_wei"])
    assert (data["claimed_samples"], data["disagreed_samples"], refunded_wei) == (18, 0, deposit_wei)
    assert change_wei == refunded_wei - int(data["fee_wei"])
    assert books.held_wei == held_wei - refunded_wei
    assert books.of("alice") == {"deposit_wei": deposit_wei, "refunded_wei": deposit_wei, "lost_wei": 0}
    assert dcai.data("refunds")["items"] == []
    assert dcai("refunds").out == "Nothing is pending.\n"


def test_what_the_model_rejects_stays_out_and_is_counted(books: Books) -> None:
    """The flipped samples are disputed: nothing is claimed, and the command says why."""
    dcai = books.dcai
    dcai.data("devnet", "advance", "25h")
    (item,) = dcai.data("refunds", "--account", "bob")["items"]
    assert (item["state"], item["samples"], item["claimable_samples"]) == ("disputed", 3, 0)
    with dcai.unchanged():
        data = dcai.data("refunds", "--claim", "--account", "bob", "--yes")
        said = dcai("refunds", "--claim", "--account", "bob", "--yes").out
    assert (data["claimed_samples"], data["disagreed_samples"]) == (0, 3)
    assert "3 samples are due" in said


def test_a_limit_for_fees_that_lets_nothing_be_claimed_is_an_error(books: Books) -> None:
    """Exit code 16, for refunds and for reports; --min-profit says what is worth it, and is no limit."""
    dcai = books.dcai
    dcai.data("devnet", "advance", "25h")
    for command, wait in (("refunds", "24h"), ("reports", "0s")):
        with dcai.unchanged():
            error = dcai.error(command, "--claim", "--max-fee", "1gwei", "--yes")
            assert (error["exit_code"], "--max-fee 1gwei" in error["message"]) == (16, True)
            said = dcai(command, "--claim", "--max-fee", "1gwei", "--yes")
            assert (said.code, said.out.splitlines()[0]) == (16, "Nothing can be claimed now.")
            left = dcai.data(command, "--claim", "--min-profit", "1ether", "--yes")["left"]
            assert "unprofitable" in {one["code"] for one in left}
        books.change("alice", command, "--claim")
        dcai.data("devnet", "advance", wait)


def test_a_limit_for_fees_that_stops_a_part_says_so(books: Books) -> None:
    """Two models, and ether for one refund: exit code 3, and the same command again takes more."""
    dcai = books.dcai
    dcai.data("model", "deploy", "--name", "second", "--labels", "negative,positive", "--yes")
    other = [("a wonderful film", "positive"), ("a dull mess", "negative")]
    rows = dcai.write("other.csv", [*other, *[(f"{text} again", label) for text, label in other]])
    dcai.data("contribute", rows, "--model", "second", "--yes")
    dcai.data("devnet", "advance", "25h")
    before = dcai.data("refunds")["items"]
    with dcai.chain() as chain:
        price_wei = chain.fees().max_fee_per_gas_wei
    for gas in range(50_000, 500_000, 25_000):  # until one of both fits
        limit = ("--max-fee", str(price_wei * gas), "--min-profit=-1ether")
        command = ("refunds", "--claim", *limit, "--yes")
        error = dcai.error(*command)
        if error["exit_code"] != 16:
            break
    assert (error["exit_code"], "1 claim is on-chain" in error["message"]) == (3, True)
    assert " left by --max-fee" in error["message"]
    after = dcai.data("refunds")["items"]
    assert 0 < len(after) < len(before)
    assert dcai(*command).code in {0, 3}
    assert len(dcai.data("refunds")["items"]) < len(after)


def test_others_batches_that_wait_are_a_line(books: Books) -> None:
    """Nothing is listed that cannot be taken now; --all lists it, and JSON has it with its sums."""
    dcai = books.dcai
    waiting = dcai("reports", "--account", "bob").out
    due, later, _ = waiting.splitlines()
    assert due == "due: 0 batches, 0 samples, 0 ETH"
    assert later.startswith(
        "waiting: 2 batches, 18 samples; what the model rejects of the first can be taken in "
    )
    assert "batch 0 of" in dcai("reports", "--account", "bob", "--all").out
    data = dcai.data("reports", "--account", "bob")
    assert (data["shown"], data["totals"]["waiting"]["batches"], data["totals"]["batches"]) == (2, 2, 2)
    assert data["next_due_at"] == data["items"][0]["due_at"]
    dcai.data("devnet", "advance", "25h")
    books.change("alice", "refunds", "--claim")
    dcai.data("devnet", "advance", "24h")
    due, totals = dcai("reports").out, dcai.data("reports")["totals"]
    assert "batch 1 of films: 3 of 3 samples" in due
    assert (totals["due"]["samples"], totals["due"]["amount_wei"]) == (3, str(books.held_wei))


def test_what_can_be_taken_is_capped(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many batches as refunds lists, and a word of the others; --all lists all."""
    monkeypatch.setattr(claims, "SHOWN", 1)
    dcai = books.dcai
    dcai.data("devnet", "advance", "217h")
    listed = dcai("reports", "--account", "bob")
    assert listed.out.count("sweepable") == 1
    assert listed.err == "1 more batch can be taken; all of them: dcai reports --all\n"
    assert dcai("reports", "--account", "bob", "--all").out.count("sweepable") == 2
    data = dcai.data("reports", "--account", "bob")
    assert (data["shown"], len(data["items"]), data["totals"]["due"]["batches"]) == (1, 1, 2)


def test_a_rejected_deposit_goes_to_the_validated_reporter(books: Books) -> None:
    """Alice, the only validated contributor, takes all of it; bob's books show the loss."""
    dcai = books.dcai
    dcai.data("devnet", "advance", "25h")
    books.change("alice", "refunds", "--claim")
    dcai.data("devnet", "advance", "24h")
    (item,) = dcai.data("reports")["items"]
    assert (item["contributor"], item["samples"], item["state"]) == (books.addresses["bob"], 3, "due")
    at_stake_wei = books.held_wei
    assert int(item["amount_wei"]) == at_stake_wei == books.of("bob")["deposit_wei"]

    data, change_wei = books.change("alice", "reports", "--claim")
    assert (data["claimed_samples"], int(data["reported_wei"])) == (3, at_stake_wei)
    assert change_wei == at_stake_wei - int(data["fee_wei"])
    assert books.held_wei == 0
    assert dcai.data("reports")["items"] == []

    # Bob sees it when he looks, and his books take it over when he claims.
    assert dcai.data("refunds", "--account", "bob")["items"] == []
    assert dcai.data("refunds", "--claim", "--account", "bob", "--yes")["transactions"] == []
    assert books.of("bob") == {"deposit_wei": at_stake_wei, "refunded_wei": 0, "lost_wei": at_stake_wei}


def test_whoever_earned_no_standing_gets_nothing_for_a_report(books: Books) -> None:
    """Bob never had a refund: he is shown nothing to take, and a claim sends nothing."""
    dcai = books.dcai
    dcai.data("devnet", "advance", "49h")
    items = dcai.data("reports", "--account", "bob")["items"]
    assert {item["amount_wei"] for item in items} == {"0"}
    with dcai.unchanged():
        data = dcai.data("reports", "--claim", "--account", "bob", "--yes")
    assert (data["reported_wei"], data["transactions"]) == ("0", [])


def test_what_everybody_left_goes_to_the_models_owner_after_the_owner_wait(books: Books) -> None:
    """Alice owns the model: after seven days she sweeps bob's leftovers."""
    dcai = books.dcai
    left_wei = books.of("bob")["deposit_wei"]
    dcai.data("devnet", "advance", "169h")
    books.change("alice", "refunds", "--claim")
    assert books.held_wei == left_wei
    (item,) = dcai.data("reports")["items"]
    assert (item["state"], int(item["amount_wei"])) == ("sweepable", left_wei)
    data, change_wei = books.change("alice", "reports", "--claim")
    assert int(data["reported_wei"]) == left_wei
    assert change_wei == left_wei - int(data["fee_wei"])
    assert books.held_wei == 0


def test_ones_own_leftovers_come_back_after_the_public_wait(books: Books) -> None:
    """Anybody may sweep then, so bob takes his own rejected deposit back before another does."""
    dcai = books.dcai
    deposit_wei = books.of("bob")["deposit_wei"]
    dcai.data("devnet", "advance", "217h")
    (item,) = dcai.data("refunds", "--account", "bob")["items"]
    assert (item["state"], int(item["amount_wei"]), item["claimable_samples"]) == (
        "sweepable",
        deposit_wei,
        3,
    )
    data, change_wei = books.change("bob", "refunds", "--claim")
    assert int(data["refunded_wei"]) == deposit_wei
    assert data["disagreed_samples"] == 0
    assert change_wei == deposit_wei - int(data["fee_wei"])
    assert books.of("bob") == {"deposit_wei": deposit_wei, "refunded_wei": deposit_wei, "lost_wei": 0}


def test_the_export_says_what_became_of_every_sample(books: Books) -> None:
    """One csv row per sample: open at first, then refunded, reported; labels are the model's words."""
    dcai = books.dcai

    def states() -> list[str]:
        dcai.data("data", "export", "--output", "out.csv", "--force")
        with (dcai.folder / "out.csv").open(newline="") as file:
            return [row["state"] for row in csv.DictReader(file)]

    assert states() == ["open"] * 21
    dcai.data("devnet", "advance", "25h")
    books.change("alice", "refunds", "--claim")
    dcai.data("devnet", "advance", "24h")
    books.change("alice", "reports", "--claim")
    assert states() == ["refunded"] * 6 + ["reported"] * 3 + ["refunded"] * 12
    first = (dcai.folder / "out.csv").read_text().splitlines()[1].split(",")
    assert first[:4] == ["0", "0", books.addresses["alice"], "positive"]
    assert all(pair.endswith(":1") for pair in first[4].split(" "))


def test_a_claim_says_what_it_pays_before_it_asks(books: Books) -> None:
    """The question names the amount that is then paid, and the account's balance."""
    dcai = books.dcai
    dcai.data("devnet", "advance", "25h")
    for command, name, wait in (("refunds", "alice", "24h"), ("reports", "alice", "0s")):
        question = " ".join(dcai(command, "--claim", "--account", name).err.split())
        assert f"Account {name}, balance " in question
        data, _ = books.change(name, command, "--claim")
        paid_wei = int(data["refunded_wei" if command == "refunds" else "reported_wei"])
        assert paid_wei > 0
        assert f"which pay up to {format_ether(paid_wei)}? " in question
        dcai.data("devnet", "advance", wait)


def test_claims_can_be_of_one_model_only(books: Books) -> None:
    """--model leaves other models' batches alone."""
    dcai = books.dcai
    dcai.data(
        "model", "deploy", "--name", "second", "--labels", "negative,positive", "--n-features", "256", "--yes"
    )
    dcai.data("contribute", "films.csv", "--model", "second", "--yes")
    dcai.data("devnet", "advance", "25h")
    data = dcai.data("refunds", "--claim", "--model", "second", "--yes")
    assert data["claimed_samples"] == 6
    assert sum(item["samples"] for item in dcai.data("refunds")["items"]) == 18
