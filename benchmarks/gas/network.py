"""An anvil of its own, whose every block has a time that we choose, so that figures repeat to the unit."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from dcai_cli.chain import Chain, Receipt
from dcai_cli.chain.remote import RemoteNode
from dcai_cli.config import Settings
from dcai_cli.domain import MAX_TRANSACTION_GAS

PROJECT = Path(__file__).resolve().parents[2]
HARDFORK = "osaka"
"""Later than EIP-7623 (calldata has a floor) and EIP-7825 (no transaction above 16,777,216 gas)."""

GENESIS_S = 1_800_000_000
STEP_S = 12
INTRINSIC_GAS = 21_000
FLOOR_GAS_PER_TOKEN = 10
"""EIP-7623: a zero byte of calldata is one token, any other byte is four."""


class Network:
    """A chain, its clock, and what it takes to send a transaction.

    Args:
        node: an anvil.
    """

    def __init__(self, node: RemoteNode) -> None:
        self.chain = Chain(node, Settings(Path(), Path(), Path()))
        self.now_s = GENESIS_S
        self._node = node

    @cache  # noqa: B019 - lives as long as the program
    def account(self, name: str) -> LocalAccount:
        """The rich account that belongs to a name, the same in every run."""
        account: LocalAccount = Account.from_key(keccak(text=f"gas benchmark: {name}"))
        self._node.request("anvil_setBalance", account.address, hex(10**24))
        return account

    def wait(self, seconds: int) -> None:
        """Let the next block come so much later."""
        self.now_s += seconds

    def mine(self, blocks: int) -> None:
        """Mine blocks with nothing in them."""
        for _ in range(blocks):
            self.now_s += STEP_S
            self._node.request("evm_setNextBlockTimestamp", self.now_s)
            self._node.request("evm_mine")

    def send(self, account: LocalAccount, to: str | None, data: bytes, value_wei: int = 0) -> Receipt:
        """Mine one transaction in a block of its own; it must succeed.

        Returns:
            The receipt; its gas is at least what EIP-7623 asks for the calldata.
        """
        chain = self.chain
        self.now_s += STEP_S
        self._node.request("evm_setNextBlockTimestamp", self.now_s)
        signed = chain.sign(
            account,
            to=to,
            data=data,
            value_wei=value_wei,
            nonce=chain.next_nonce(account.address),
            gas=MAX_TRANSACTION_GAS,
            fees=chain.fees(),
        )
        receipt = chain.wait(chain.send(signed.raw))
        if not receipt.status:
            raise chain.revert_reason(receipt)
        floor = INTRINSIC_GAS + FLOOR_GAS_PER_TOKEN * calldata_tokens(data)
        assert receipt.gas_used >= floor, f"{receipt.gas_used} gas is below the floor of {floor}"
        return receipt


def calldata_tokens(data: bytes) -> int:
    """What EIP-7623 counts.

    >>> calldata_tokens(bytes([0, 7]))
    5
    """
    return 4 * len(data) - 3 * data.count(0)


@contextmanager
def start_network() -> Iterator[Network]:
    """A fresh anvil on a free loopback port."""
    packaged = sorted((PROJECT / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil*"))
    program = str(packaged[0]) if packaged else shutil.which("anvil")
    if program is None:
        sys.exit("There is no anvil: run `npm ci`.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Left alone, anvil keeps gigabytes of old states in the home folder for good.
    options = ("--port", str(port), "--timestamp", str(GENESIS_S), "--hardfork", HARDFORK, "--silent")
    with (
        TemporaryDirectory() as states,
        subprocess.Popen([program, *options, "--cache-path", states]) as process,
    ):
        try:
            while process.poll() is None and not _listens(port):
                time.sleep(0.02)
            with closing(RemoteNode([f"http://127.0.0.1:{port}"], {})) as node:
                yield Network(node)
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
