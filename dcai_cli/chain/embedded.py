"""The embedded chain: an Ethereum node in this process, kept in one SQLite file.

It answers the JSON-RPC methods that `dcai_cli.chain.client` uses, in the forms that geth and anvil use, so
that the client has one path for all nodes. Each transaction is mined at once into a block of its own, and
block and state are on disk before the answer is given: a process killed at any moment leaves the chain before
or after a block.

What is there is read without the virtual machine, which takes long to import.
"""

from __future__ import annotations

import logging
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.blocks import Account, Blocks, bloom_of
from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.precompiles import defer_curves
from dcai_cli.chain.rpcforms import Json, block_form, log_form, to_bytes, to_hex
from dcai_cli.networks import EMBEDDED_CHAIN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dcai_cli.chain.executor import Executor
    from dcai_cli.chain.store import Store

_log = logging.getLogger(__name__)

FUNDS_WEI = 1_000 * 10**18
"""What each new account gets."""

_ADDRESS_BYTES = 20


class EmbeddedNode:
    """A node that needs no network.

    Args:
        store: where the chain is kept; an empty one gets a new chain.
        clock: seconds since 1970.
    """

    label = "embedded"

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._blocks = Blocks(store)
        if not store.fact("genesis"):
            _machine().create_chain(store, int(clock()))
            store.commit(genesis=1)
        self._reads: Mapping[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(EMBEDDED_CHAIN_ID),
            "eth_blockNumber": lambda: hex(self._blocks.head().number),
            "eth_getBalance": lambda who, block: hex(self._account(who, block).balance_wei),
            "eth_getTransactionCount": lambda who, block: hex(self._account(who, block).nonce),
            "eth_getCode": lambda who, block: to_hex(self._account(who, block).code),
            "eth_getBlockByNumber": lambda block, _whole=False: block_form(self._blocks.header(block)),
            "eth_getLogs": self._logs,
            "evm_increaseTime": self._increase_time,
            "evm_setNextBlockTimestamp": self._set_next_timestamp,
        }

    @cached_property
    def _executor(self) -> Executor:
        return _machine()(self._store, self._blocks, self.next_timestamp)

    def request(self, method: str, *params: Any) -> Any:  # noqa: ANN401 - JSON
        """Answer one JSON-RPC request.

        Raises:
            RpcError: as a node would answer with an error.
        """
        began = time.monotonic()
        try:
            read = self._reads.get(method)
            return self._executor.request(method, *params) if read is None else read(*params)
        except ValueError as error:
            raise RpcError(f"invalid argument: {error}", rpc_code=-32_602) from None
        finally:
            _log.debug("%s: %s, %.0f ms", self.label, method, (time.monotonic() - began) * 1000)

    def request_many(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Answer requests one by one; errors stand in the list."""
        return [self._answer(method, *params) for method, params in requests]

    def _answer(self, method: str, *params: Any) -> Any:  # noqa: ANN401 - JSON
        try:
            return self.request(method, *params)
        except RpcError as error:
            return error

    def next_timestamp(self) -> int:
        """The time of a block mined now: the clock plus what was advanced, but later than the last block."""
        return max(self._blocks.head().timestamp + 1, int(self._clock()) + self._store.fact("offset_s"))

    def fund(self, address: str, wei: int = FUNDS_WEI) -> None:
        """Give ether to an account that is new: what it has less, if it sent nothing yet."""
        account = self._account(address, "latest")
        if not account.nonce and account.balance_wei < wei:
            self._executor.fund(to_bytes(address), wei - account.balance_wei)

    def close(self) -> None:
        """Free what the machine keeps, if it was needed."""
        if "_executor" in self.__dict__:
            self._executor.close()

    def _account(self, address: str, block: str) -> Account:
        found = to_bytes(address)
        if len(found) != _ADDRESS_BYTES:
            raise ValueError(f"{address[:60]!r} is no address")
        return self._blocks.account(self._blocks.header(block), found)

    def _logs(self, query: Mapping[str, Any]) -> list[Json]:
        addresses = [to_bytes(address) for address in _choices(query.get("address"))]
        topics = [[to_bytes(topic) for topic in _choices(wanted)] for wanted in query["topics"]]
        blooms = [[bloom_of(value) for value in wanted] for wanted in (addresses, *topics)]
        last = self._blocks.header(query["toBlock"]).number
        found: list[Json] = []
        for number in range(int(query["fromBlock"], 16), last + 1):
            header = self._blocks.header(hex(number))
            # The header's Bloom filter rules most blocks out without reading their receipts.
            if not header.bloom or not all(_may_hold(header.bloom, choices) for choices in blooms):
                continue
            found += [
                log_form(header, log)
                for log in self._blocks.logs(header)
                if (not addresses or log.address in addresses) and _matches(topics, log.topics)
            ]
        return found

    def _increase_time(self, seconds: int) -> int:
        # Many blocks within a second run ahead of the clock: what counts is the time that the chain shows.
        offset_s = self.next_timestamp() + seconds - int(self._clock())
        self._store.commit(offset_s=offset_s)
        return offset_s

    def _set_next_timestamp(self, timestamp: int) -> None:
        last = self._blocks.head().timestamp
        if timestamp <= last:
            raise RpcError(f"{timestamp} is not behind the last block's time, {last}")
        self._store.commit(offset_s=timestamp - int(self._clock()))


def _machine() -> type[Executor]:
    """The virtual machine, imported when it is first needed."""
    defer_curves()
    from dcai_cli.chain.executor import Executor

    return Executor


def _choices(wanted: str | list[str] | None) -> list[str]:
    """What a member of a query of logs accepts; empty if it accepts anything."""
    if wanted is None:
        return []
    return wanted if isinstance(wanted, list) else [wanted]


def _may_hold(bloom: int, choices: Sequence[int]) -> bool:
    return not choices or any(bloom & choice == choice for choice in choices)


def _matches(wanted: Sequence[Sequence[bytes]], topics: Sequence[bytes]) -> bool:
    if len(wanted) > len(topics):
        return False
    return all(not want or have in want for want, have in zip(wanted, topics, strict=False))
