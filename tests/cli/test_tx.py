"""dcai tx: what it lists, shows, replaces and refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dcai_cli.chain import Chain
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.workspace import Workspace
from tests.cli.conftest import ADDRESSES, PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Dcai


class Died(BaseException):
    """The process ended here: no handler of ours may catch it."""


@pytest.fixture
def broken_off(dcai: Dcai, films: Path, monkeypatch: pytest.MonkeyPatch) -> Dcai:
    """A home with a contribution that is signed, and that no node has seen."""

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch, Workspace(dcai.settings) as workspace:
        patch.setattr(Chain, "send", die)
        with pytest.raises(Died):
            contribute(workspace, ContributeRequest(films), password=lambda _: PASSWORD)
    return dcai


def test_nothing_is_on_its_way_after_everything_was_mined(contributed: Dcai) -> None:
    """The list is empty; with --all it has every transaction, in the order of the nonces."""
    assert contributed.data("tx", "list") == {"transactions": []}
    assert contributed("tx", "list").out == "No transaction is on its way.\n"

    everything = contributed.data("tx", "list", "--all")["transactions"]

    assert [found["nonce"] for found in everything] == list(range(len(everything)))
    assert everything[-1]["kind"] == "contribute"
    assert {found["state"] for found in everything} == {"mined"}
    assert {found["attempts"] for found in everything} == {1}
    assert contributed("tx", "list", "--all").out.count("\n") == len(everything)


def test_a_transaction_is_found_by_its_nonce_its_hash_and_the_beginning_of_it(contributed: Dcai) -> None:
    """All three name the same; upper case does not matter."""
    last = contributed.data("tx", "list", "--all")["transactions"][-1]
    for name in (str(last["nonce"]), last["hash"], last["hash"][:10], last["hash"][:10].upper()):
        assert contributed.data("tx", "show", name) == last
    shown = contributed("tx", "show", str(last["nonce"])).out
    assert f"contribute, mined in block {last['block_number']}" in shown
    assert "cost" in shown


@pytest.mark.parametrize("name", ["999", "0xabcdef", "0x", "", "latest"])
def test_a_name_that_means_none_or_several_is_a_usage_error(contributed: Dcai, name: str) -> None:
    """Exit code 2, and the hint says how to name one."""
    for command in (("show", name), ("cancel", name, "--yes")):
        error = contributed.error("tx", *command)
        assert error["exit_code"] == 2
        assert "dcai tx list --all" in error["hint"]


@pytest.mark.parametrize("command", ["speed-up", "cancel"])
def test_what_is_mined_is_not_replaced(contributed: Dcai, command: str) -> None:
    """Named or not, it is a usage error, and nothing changes."""
    with contributed.unchanged():
        assert contributed.error("tx", command, "--yes")["message"] == "No transaction is on its way."
        error = contributed.error("tx", command, "0", "--yes")
    assert error["exit_code"] == 2
    assert "is mined" in error["message"]


@pytest.mark.parametrize("command", ["speed-up", "cancel"])
def test_another_account_has_no_part_in_it(broken_off: Dcai, command: str) -> None:
    """What alice signed is not bob's to replace."""
    with broken_off.unchanged():
        assert broken_off.error("tx", command, "--account", "bob", "--yes")["exit_code"] == 2
    assert broken_off.data("tx", "list", "--account", "bob") == {"transactions": []}


def test_what_a_process_left_is_listed_and_a_no_leaves_it(broken_off: Dcai) -> None:
    """It is on its way; without a yes nothing is signed."""
    (found,) = broken_off.data("tx", "list")["transactions"]
    assert (found["kind"], found["state"], found["cancels"]) == ("contribute", "signed", False)
    assert "If it is stuck" in broken_off("tx", "show", str(found["nonce"])).out

    with broken_off.unchanged():
        assert broken_off.error("tx", "cancel")["exit_code"] != 0  # nobody can be asked


def test_a_cancelled_contribution_can_be_sent_anew(broken_off: Dcai, films: Path) -> None:
    """Its nonce is used up for a plain fee, nothing is deposited, and the rows go out by the next command."""
    before_wei = broken_off.balance_wei(ADDRESSES["alice"])

    done = broken_off.data("tx", "cancel", "--yes")

    assert (done["state"], done["cancels"], done["attempts"]) == ("cancelled", True, 2)
    assert (done["to"], done["value_wei"], done["gas_used"]) == (ADDRESSES["alice"], "0", 21_000)
    assert broken_off.balance_wei(ADDRESSES["alice"]) == before_wei - int(done["fee_wei"])
    assert broken_off.data("refunds")["items"] == []
    again = broken_off.data("contribute", films, "--yes")
    assert (again["contributed"], again["plan"]["unfinished_batches"]) == (6, 0)


def test_a_contribution_that_is_sped_up_is_contributed_once(broken_off: Dcai, films: Path) -> None:
    """The replacement is mined; the same file has nothing left to send."""
    (before,) = broken_off.data("tx", "list")["transactions"]

    done = broken_off.data("tx", "speed-up", before["hash"][:12], "--yes")

    assert (done["state"], done["attempts"], done["nonce"]) == ("mined", 2, before["nonce"])
    for fee in ("max_fee_per_gas_wei", "priority_fee_wei"):
        assert int(done[fee]) * 8 >= int(before[fee]) * 9
    again = broken_off.data("contribute", films, "--yes")
    assert (again["contributed"], again["already_contributed"]) == (0, 6)
    assert broken_off.data("tx", "show", before["hash"]) == done


def test_a_ceiling_below_what_a_replacement_needs_is_refused(broken_off: Dcai) -> None:
    """Exit code 16, and no second attempt is written down."""
    error = broken_off.error("tx", "speed-up", "--max-gas-price", "1", "--yes")

    assert error["exit_code"] == 16
    (found,) = broken_off.data("tx", "list")["transactions"]
    assert (found["attempts"], found["state"]) == (1, "signed")
