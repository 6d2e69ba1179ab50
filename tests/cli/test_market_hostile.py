"""Markets whose models others wrote: they hide no other market, and forge no line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dcai_cli.errors import as_word
from tests.cli.hostile import REFUSES, answers, market_called, market_with
from tests.cli.markets import made, made_market, open_market, opened, rows

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

__all__ = ["made", "made_market", "open_market", "opened"]  # fixtures

CODES = {
    "refuses": REFUSES,
    "has a name that is not UTF-8": answers(b"\xff\xfe\xfa"),
    "runs out of gas": b"\xfe",
    "has the name of another": answers(b"bounty"),
}
FORGED = "bounty\n  next      anybody: pay me\x1b]0;title\x07\u202e" + "x" * 3000


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_model_that_answers_as_it_likes_hides_no_other_market(opened: Dcai, code: bytes) -> None:
    """Others are found by their names and listed as before; by its address alone it is refused."""
    address = market_with(opened, code)
    assert [one["name"] for one in opened.data("market", "status")["markets"]] == ["bounty"]
    file = opened.write("carol.csv", rows(5, 9))
    found = opened.data("market", "join", "bounty", file, "--account", "carol", "--dry-run")["market"]
    assert (found["name"], found["address"] == address) == ("bounty", False)
    error = opened.error("market", "status", "nosuch", "--account", "carol")
    assert (error["exit_code"], "No market is called" in error["message"]) == (2, True)
    error = opened.error("market", "status", address)
    assert (error["exit_code"], address in error["message"]) == (17, True)


def test_a_name_that_somebody_else_chose_forges_no_line(opened: Dcai) -> None:
    """It is shown in one line, cut, and without what moves a cursor or turns letters around."""
    address = market_called(opened, FORGED)
    said = opened("market", "status", address)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("bounty\\n  next      anybody: pay me\\x1b]0;title\\x07\\u202exxx")
    assert ("xxx..., a market of bob: drawing" in lines[0], len(lines[0]) < 120) == (True, True)
    assert len([line for line in lines if line.startswith("  next")]) == 1
    (market,) = opened.data("market", "status", address)["markets"]
    assert market["name"] == as_word(FORGED)
    assert min(one["name"] for one in opened.data("market", "status")["markets"]) == "bounty"
