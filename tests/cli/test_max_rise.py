"""`contribute --max-rise`: what a batch offers, and what others can make it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from eth_account import Account

from dcai_cli.chain import Chain
from dcai_cli.cli.output import Output
from dcai_cli.domain import format_ether
from tests.cli.conftest import ADDRESSES, HONEST, KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Dcai

HIGHEST_WEI = 2_160_000 * 10**9
"""The deposits of six samples of one unit at the highest price."""


def copied_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bob contribute the same batch while the question waits for its answer, which is yes."""
    seen: list[tuple[Chain, str | None, bytes]] = []
    estimate = Chain.estimate_gas

    def estimate_gas(
        chain: Chain, sender: str, to: str | None, data: bytes, value_wei: int = 0, *, pending: bool = False
    ) -> int:
        seen.append((chain, to, data))
        return estimate(chain, sender, to, data, value_wei, pending=pending)

    def ask(_output: Output, _question: str) -> None:
        monkeypatch.undo()
        chain, to, data = seen[-1]
        key = Account.from_key(KEYS["bob"])
        gas = chain.estimate_gas(key.address, to, data, HIGHEST_WEI)
        nonce, fees = chain.next_nonce(key.address), chain.fees()
        signed = chain.sign(key, to=to, data=data, value_wei=HIGHEST_WEI, nonce=nonce, gas=gas, fees=fees)
        assert chain.wait(chain.send(signed.raw)).status

    monkeypatch.setattr(Chain, "estimate_gas", estimate_gas)
    monkeypatch.setattr(Output, "ask", ask)


@pytest.mark.parametrize(("percent", "times_100"), [("25", 125), ("0", 100), ("12.5%", 112.5)])
def test_a_batch_with_a_ceiling_costs_what_it_would_without(
    dcai: Dcai, films: Path, percent: str, times_100: float
) -> None:
    """It offers so much above the price of now, the plan says so, and the price is paid as ever."""
    dcai.data("devnet", "advance", "1h")
    plain = dcai.data("contribute", films, "--dry-run")["plan"]
    assert (plain["deposit_at_most_wei"], plain["ceiling"]) == (str(HIGHEST_WEI), None)

    data = dcai.data("contribute", films, "--max-rise", percent, "--yes")

    ceiling = data["plan"]["ceiling"]
    quoted_wei, offer_wei = int(ceiling["quoted_wei"]), int(ceiling["offer_wei"])
    assert ceiling["samples"] == 6
    assert offer_wei == -(-quoted_wei * int(times_100 * 10) // 1000)
    assert data["plan"]["deposit_at_most_wei"] == ceiling["offer_wei"]
    assert 0 <= int(data["plan"]["at_risk_wei"]) <= offer_wei < HIGHEST_WEI
    assert data["deposit_wei"] == ceiling["quoted_wei"]
    (sent,) = dcai.query("SELECT state FROM transactions WHERE kind = 'contribute'")
    assert sent == ("mined",)
    dcai.data("devnet", "advance", "1h")
    others = dcai.write("others.csv", [(f"{text} indeed", label) for text, label in HONEST])
    assert dcai.data("contribute", others, "--yes")["deposit_wei"] == data["deposit_wei"]


def test_a_ceiling_above_the_highest_price_offers_that(dcai: Dcai, films: Path) -> None:
    """Nothing can cost more than a batch that follows another at once."""
    dcai.data("devnet", "advance", "1h")
    plan = dcai.data("contribute", films, "--max-rise", "1000000", "--dry-run")["plan"]
    assert plan["ceiling"]["offer_wei"] == plan["deposit_at_most_wei"] == str(HIGHEST_WEI)


def test_a_plan_tells_people_the_ceiling_of_the_first_batch(dcai: Dcai, films: Path) -> None:
    """One batch is "it"; of several, only the first is below the highest price."""
    dcai.data("devnet", "advance", "1h")
    command = ("contribute", films, "--max-rise", "25", "--dry-run")
    for several, subject in ((), "it"), (("--batch-size", "2"), "the first batch"):
        plan = dcai.data(*command, *several)["plan"]
        ceiling = plan["ceiling"]
        offer, quoted = format_ether(int(ceiling["offer_wei"])), format_ether(int(ceiling["quoted_wei"]))
        lines = dcai(*command, *several).out
        assert f"ceiling   {subject} would cost {quoted} now, and is refused above {offer}\n" in lines
        rest_wei = HIGHEST_WEI * (6 - ceiling["samples"]) // 6
        assert int(plan["deposit_at_most_wei"]) == int(ceiling["offer_wei"]) + rest_wei


def test_a_batch_that_grew_too_dear_before_the_answer_is_not_sent(
    dcai: Dcai, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody contributes during the question: exit code 16, nothing is sent, and later it goes through."""
    dcai.data("devnet", "advance", "1h")
    before_wei = dcai.balance_wei(ADDRESSES["alice"])
    copied_before_the_answer(monkeypatch)

    error = dcai.error("contribute", films, "--max-rise", "25")

    assert (error["code"], error["exit_code"]) == ("limit-exceeded", 16)
    assert error["message"].startswith("Others contributed first: a batch would cost 0.00")
    assert "that --max-rise allows; it was not sent" in error["message"]
    assert "later, when it costs less, or raise --max-rise" in error["hint"]
    assert dcai.balance_wei(ADDRESSES["alice"]) == before_wei
    dcai.data("devnet", "advance", "1h")
    assert dcai.data("contribute", films, "--max-rise", "25", "--yes")["contributed"] == 6


def test_without_a_ceiling_the_same_batch_goes_through_at_any_price(
    dcai: Dcai, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left out, the option changes nothing: what others made dearer is paid."""
    dcai.data("devnet", "advance", "1h")
    copied_before_the_answer(monkeypatch)
    data = dcai.data("contribute", films)
    assert data["contributed"] == 6
    assert int(data["deposit_wei"]) > HIGHEST_WEI // 2


def test_a_limit_for_deposits_is_compared_with_the_ceiling(dcai: Dcai, films: Path) -> None:
    """What a batch cannot come to cost does not count against --max-deposit."""
    dcai.data("devnet", "advance", "1h")
    command = ("contribute", films, "--max-rise", "25", "--max-deposit")
    offer_wei = int(dcai.data(*command, "1ether", "--dry-run")["plan"]["ceiling"]["offer_wei"])
    assert dcai.error(*command, str(offer_wei - 1), "--yes")["exit_code"] == 16
    assert dcai.data(*command, str(offer_wei), "--yes")["contributed"] == 6


def test_a_ceiling_is_refused_for_a_market(dcai: Dcai, films: Path) -> None:
    """A market has a stake, not a price that rises."""
    error = dcai.error("contribute", films, "--market", "films", "--max-rise", "25", "--yes")
    assert error["exit_code"] == 2
    assert "--max-rise" in error["message"]
