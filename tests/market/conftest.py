"""Places where markets are played: the embedded chain, and an anvil."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from benchmarks.gas.market import Site, build_site
from dcai_cli.chain import Chain, Fees, Receipt, open_chain
from dcai_cli.config import Settings
from dcai_cli.domain import MAX_TRANSACTION_GAS

GENESIS_S = 1_800_000_000
FEES = Fees(10**10, 10**9)


class EmbeddedGround:
    """The embedded chain, as markets are played on it.

    Args:
        chain: the chain.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._nonces: dict[str, int] = {}

    @cache  # noqa: B019 - lives as long as the session
    def account(self, name: str) -> LocalAccount:
        """The funded account that belongs to a name."""
        account: LocalAccount = Account.from_key(keccak(text=f"market test: {name}"))
        self.chain.fund_if_new(account.address)
        return account

    def wait(self, seconds: int) -> None:
        """Let the next block come so much later."""
        self.chain.advance(seconds)

    def mine(self, blocks: int) -> None:
        """Mine blocks with nothing in them."""
        for _ in range(blocks):
            self.chain.advance(1)

    def send(self, account: LocalAccount, to: str | None, data: bytes, value_wei: int = 0) -> Receipt:
        """Mine one transaction; it must succeed."""
        # Only this class sends, so what the chain would answer is known.
        nonce = self._nonces.get(account.address, 0)
        signed = self.chain.sign(
            account, to=to, data=data, value_wei=value_wei, nonce=nonce, gas=MAX_TRANSACTION_GAS, fees=FEES
        )
        receipt = self.chain.receipt(self.chain.send(signed.raw))
        self._nonces[account.address] = nonce + 1
        assert receipt is not None
        if not receipt.status:
            raise self.chain.revert_reason(receipt)
        return receipt


@contextmanager
def embedded_ground(folder: Path) -> Iterator[EmbeddedGround]:
    """An embedded chain that draws the same in every run: its first block has nothing random in it.

    Args:
        folder: where its file goes.
    """
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dcai_cli.chain.executor.os", SimpleNamespace(urandom=bytes))
            opened = open_chain(Settings(folder, folder, folder), clock=lambda: GENESIS_S)
            chain = stack.enter_context(opened)
        yield EmbeddedGround(chain)


@pytest.fixture(scope="session")
def embedded_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Registry and market contracts on one embedded chain for the whole session."""
    with embedded_ground(tmp_path_factory.mktemp("market")) as ground:
        yield build_site(ground)
