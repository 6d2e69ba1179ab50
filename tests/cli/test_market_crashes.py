"""A market whose every command dies again and again, one transaction further each time."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.chain import Chain
from dcai_cli.ledger import Ledger
from dcai_cli.services.workspace import Workspace
from tests.cli.conftest import ADDRESSES, STRANGER, Dcai, add_account
from tests.cli.markets import BURN, RULES, rows
from tests.cli.test_market import address_of
from tests.cli.test_tx import Died

DEATHS = {
    "after what is committed to is written down": (Ledger, "keep", True),
    "before a signed transaction is sent": (Chain, "send", False),
    "after it is sent": (Chain, "send", True),
    "before what became of it is written down": (Ledger, "settle", False),
}
"""Where a command dies."""


def insist(dcai: Dcai, owner: type, step: str, *arguments: str | Path, after: bool) -> int:
    """Type a command until it goes through; each time it dies at one more call of a step.

    Returns:
        How often it died.
    """
    work = getattr(owner, step)
    for call in itertools.count(1):
        calls = itertools.count(1)

        def die(*args: Any, **kwargs: Any) -> Any:
            if next(calls) != call:  # noqa: B023 - it is called in this round only
                return work(*args, **kwargs)
            if after:
                work(*args, **kwargs)
            raise Died

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, step, die)
            try:
                dcai.data(*arguments)
            except Died:
                continue
        return call - 1
    raise AssertionError  # count never ends


@pytest.mark.parametrize(("owner", "step", "after"), DEATHS.values(), ids=DEATHS)
def test_a_market_whose_commands_die_at_every_transaction_pays_everybody_once(
    owner: type, step: str, after: bool, prepared: Path, tmp_path: Path
) -> None:
    """From the bounty to the money: one stake each, every amount to the wei, and nothing left in it."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    dcai = Dcai(tmp_path)
    add_account(dcai, "carol", STRANGER)
    died: Counter[str] = Counter()

    def typed(command: str, *arguments: str | Path, name: str = "alice") -> None:
        whole = ("market", command, *arguments, "--account", name, "--yes")
        died[command] += insist(dcai, owner, step, *whole, after=after)

    people = {name: address_of(name) for name in ("alice", "bob", "carol")}
    with Workspace(dcai.settings) as workspace:
        for address in people.values():
            workspace.chain.fund_if_new(address)
        earlier = {stored.id for stored in workspace.ledger.transactions(workspace.chain.key)}
    before_wei = sum(dcai.balance_wei(address) for address in people.values())
    typed("create", "bounty", "--test", dcai.write("test.csv", rows(24, 5)), *RULES, "--orders", "1")
    typed("reveal", "bounty")
    for name, count, is_wrong in (("bob", 16, False), ("carol", 10, True)):
        file = dcai.write(f"{name}.csv", rows(count, len(name) + count, is_wrong=is_wrong))
        typed("join", "alice/bounty", file, name=name)
    dcai.data("devnet", "advance", "7d")
    for name in ("bob", "carol"):
        typed("reveal", "alice/bounty", name=name)
    dcai.data("devnet", "advance", "2d")
    typed("reveal", "bounty")
    typed("step", "bounty")
    (market,) = dcai.data("market", "status", "alice/bounty")["markets"]
    assert market["stage"] == "published"
    for name in people:
        typed("collect", "alice/bounty", name=name)

    commits = {"create", "join"}
    assert {command for command, times in died.items() if times} == (commits if step == "keep" else {*died})
    with Workspace(dcai.settings) as workspace:
        mined = workspace.ledger.transactions(workspace.chain.key, states=("mined",))
    own = [stored for stored in mined if stored.id not in earlier]
    kinds = Counter((stored.kind, stored.account) for stored in own)
    assert kinds["market-create", ADDRESSES["alice"]] == 1
    for name in ("bob", "carol"):
        assert {kind: kinds[kind, people[name]] for kind in ("market-commit", "market-reveal")} == {
            "market-commit": 1,
            "market-reveal": 1,
        }
    after_wei = sum(dcai.balance_wei(address) for address in people.values())
    fees_wei = sum(stored.fee_wei or 0 for stored in own)
    assert dcai.balance_wei(market["address"]) == 0
    assert before_wei == after_wei + dcai.balance_wei(BURN) + fees_wei
