"""The embedded chain: an Ethereum node in this process, kept in one SQLite file.

It answers the JSON-RPC methods that `dcai_cli.chain.client` uses, in the forms that geth and anvil use, so
that the client has one path for all nodes. Each transaction is mined at once into a block of its own, and
block and state are on disk before the answer is given: a process killed at any moment leaves the chain before
or after a block.

A call or an estimate runs in the block that would come next: its time is now, however old the last block is.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

from eth.constants import (
    BLANK_ROOT_HASH,
    POST_MERGE_DIFFICULTY,
    POST_MERGE_MIX_HASH,
    POST_MERGE_NONCE,
    ZERO_ADDRESS,
)
from eth.db.atomic import AtomicDB
from eth.exceptions import HeaderNotFound, TransactionNotFound
from eth_bloom.bloom import BloomFilter
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.evm import BLOCK_GAS_LIMIT, EmbeddedChain, deep_calls, least_gas
from dcai_cli.chain.rpcforms import Json, block_form, receipt_form, to_bytes, to_hex, transaction_form
from dcai_cli.config import EMBEDDED_CHAIN_ID
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dcai_cli.chain.store import Store

_log = logging.getLogger(__name__)

FUNDS_WEI = 1_000 * 10**18
"""What each new account gets."""

_FAUCET = PrivateKey(keccak(text="dcai: the faucet of the embedded chain"))
"""Anyone can compute this key. It owns nothing but the play money of embedded chains."""

_FAUCET_WEI = 10**30
_PRIORITY_FEE_WEI = 10**9
_MOST_HISTORY = 1024
_REVERTED = 3
_REFUSED = -32_000


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
        if store.fact("genesis"):
            self._chain = EmbeddedChain(AtomicDB(store))
        else:
            self._chain = _new_chain(store, int(clock()))
            store.commit(genesis=1)
        self._methods: Mapping[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(EMBEDDED_CHAIN_ID),
            "eth_blockNumber": lambda: hex(self._head.block_number),
            "eth_maxPriorityFeePerGas": lambda: hex(_PRIORITY_FEE_WEI),
            "eth_gasPrice": lambda: hex(self._next_base_fee() + _PRIORITY_FEE_WEI),
            "eth_feeHistory": self._fee_history,
            "eth_getBalance": lambda who, block: hex(self._state(block).get_balance(to_bytes(who))),
            "eth_getTransactionCount": lambda who, block: hex(self._state(block).get_nonce(to_bytes(who))),
            "eth_getCode": lambda who, block: to_hex(self._state(block).get_code(to_bytes(who))),
            "eth_getBlockByNumber": self._block,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": self._send_raw,
            "evm_increaseTime": self._increase_time,
            "evm_setNextBlockTimestamp": self._set_next_timestamp,
            "evm_mine": self._mine_empty,
        }

    def request(self, method: str, *params: Any) -> Any:  # noqa: ANN401 - JSON
        """Answer one JSON-RPC request.

        Raises:
            RpcError: as a node would answer with an error.
        """
        handler = self._methods.get(method)
        if handler is None:
            raise RpcError(f"the embedded chain has no method {method}", rpc_code=-32_601)
        began = time.monotonic()
        try:
            return handler(*params)
        except (ValueError, ValidationError) as error:
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
        return max(int(self._head.timestamp) + 1, int(self._clock()) + self._store.fact("offset_s"))

    def fund(self, address: str, wei: int = FUNDS_WEI) -> None:
        """Give ether to an account that is new: what it has less, if it sent nothing yet."""
        account = to_bytes(address)
        state = self._state("latest")
        missing_wei = wei - state.get_balance(account)
        if state.get_nonce(account) or missing_wei <= 0:
            return
        unsigned = self._builder.new_unsigned_dynamic_fee_transaction(
            chain_id=EMBEDDED_CHAIN_ID,
            nonce=state.get_nonce(_FAUCET.public_key.to_canonical_address()),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=2 * self._head.base_fee_per_gas,
            gas=21_000,
            to=account,
            value=missing_wei,
            data=b"",
            access_list=(),
        )
        self._send_raw(to_hex(unsigned.as_signed_transaction(_FAUCET).encode()))

    # Reading

    @property
    def _head(self) -> Any:  # noqa: ANN401 - py-evm's header; so below
        return self._chain.get_canonical_head()

    @property
    def _builder(self) -> Any:  # noqa: ANN401
        return self._chain.get_vm().get_transaction_builder()

    def _header(self, block: str) -> Any:  # noqa: ANN401
        if not block.startswith("0x"):
            return self._head
        try:
            return self._chain.get_canonical_block_header_by_number(int(block, 16))
        except HeaderNotFound:
            raise RpcError(f"no block {int(block, 16)}", rpc_code=_REFUSED) from None

    def _header_after(self, block: str) -> Any:  # noqa: ANN401
        """The header that came, or would come, after a block: calls see its time."""
        parent = self._header(block)
        if parent.block_number == self._head.block_number:
            timestamp = self.next_timestamp()
        else:
            timestamp = self._header(hex(parent.block_number + 1)).timestamp
        return self._chain.create_header_from_parent(parent, timestamp=timestamp)

    def _state(self, block: str) -> Any:  # noqa: ANN401
        return self._chain.get_vm(self._header(block)).state

    def _block(self, block: str, _with_transactions: object = None) -> Json:
        return block_form(self._header(block))

    def _next_base_fee(self) -> int:
        return int(self._chain.create_header_from_parent(self._head).base_fee_per_gas)

    def _fee_history(self, count: str, newest: str, percentiles: Sequence[float] = ()) -> Json:
        last = self._header(newest)
        first = max(last.block_number + 1 - min(int(count, 16), _MOST_HISTORY), 0)
        headers = [self._header(hex(number)) for number in range(first, last.block_number)] + [last]
        following = self._chain.create_header_from_parent(last).base_fee_per_gas
        return {
            "oldestBlock": hex(first),
            "baseFeePerGas": [hex(fee) for fee in (*(h.base_fee_per_gas for h in headers), following)],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            # A block has one transaction at most, so all percentiles are what that paid.
            "reward": [[hex(self._priority_fee(header))] * len(percentiles) for header in headers],
        }

    def _priority_fee(self, header: Any) -> int:  # noqa: ANN401
        if not header.gas_used:
            return 0
        transaction = self._chain.get_canonical_transaction_by_index(header.block_number, 0)
        room = transaction.max_fee_per_gas - header.base_fee_per_gas
        return int(min(transaction.max_priority_fee_per_gas, room))

    def _find(self, transaction_hash: str) -> tuple[Any, Any] | None:
        try:
            number, _ = self._chain.get_canonical_transaction_index(to_bytes(transaction_hash))
        except TransactionNotFound:
            return None
        return self._header(hex(number)), self._chain.get_canonical_transaction_by_index(number, 0)

    def _transaction(self, transaction_hash: str) -> Json | None:
        found = self._find(transaction_hash)
        return found and transaction_form(*found)

    def _receipt(self, transaction_hash: str) -> Json | None:
        found = self._find(transaction_hash)
        return found and receipt_form(*found, self._chain.get_transaction_receipt(found[1].hash))

    def _logs(self, query: Mapping[str, Any]) -> list[Json]:
        addresses = [to_bytes(address) for address in _choices(query.get("address"))]
        topics = [[int(topic, 16) for topic in _choices(wanted)] for wanted in query["topics"]]
        blooms = [[_bloom(address) for address in addresses]]
        blooms += [[_bloom(topic.to_bytes(32, "big")) for topic in wanted] for wanted in topics]
        last = self._header(query["toBlock"]).block_number
        found: list[Json] = []
        for number in range(int(query["fromBlock"], 16), last + 1):
            header = self._header(hex(number))
            # The header's Bloom filter rules most blocks out without reading their receipts.
            if not header.bloom or not all(_may_hold(header.bloom, choices) for choices in blooms):
                continue
            transaction = self._chain.get_canonical_transaction_by_index(number, 0)
            receipt = self._chain.get_transaction_receipt(transaction.hash)
            forms = receipt_form(header, transaction, receipt)["logs"]
            found += [
                form
                for form, log in zip(forms, receipt.logs, strict=True)
                if (not addresses or log.address in addresses) and _matches(topics, log.topics)
            ]
        return found

    # Executing

    def _execute(self, call: Mapping[str, str], block: str, gas: int) -> tuple[Any, int]:
        try:
            with deep_calls():
                computation, intrinsic = self._chain.execute_free(
                    self._header_after(block),
                    sender=to_bytes(call.get("from", to_hex(ZERO_ADDRESS))),
                    to=to_bytes(call.get("to") or ""),
                    data=to_bytes(call.get("data", "")),
                    value_wei=int(call.get("value", "0x0"), 16),
                    gas=gas,
                )
        except ValidationError as error:
            raise RpcError(_refusal(str(error)), rpc_code=_REFUSED) from None
        finally:
            # What an execution writes into the store is not part of the chain.
            self._store.rollback()
        if computation.is_error:
            if computation.ran_out_of_gas:
                raise RpcError("out of gas", rpc_code=_REFUSED)
            raise RpcError("execution reverted", rpc_code=_REVERTED, data=bytes(computation.output))
        return computation, intrinsic

    def _call(self, call: Mapping[str, str], block: str = "latest") -> str:
        computation, _ = self._execute(call, block, BLOCK_GAS_LIMIT)
        return to_hex(computation.output)

    def _estimate(self, call: Mapping[str, str]) -> str:
        computation, intrinsic = self._execute(
            call, "latest", int(call.get("gas", hex(MAX_TRANSACTION_GAS)), 16)
        )
        return hex(
            max(intrinsic + computation.gas_needed, least_gas(to_bytes(call.get("data", "")), intrinsic))
        )

    # Mining

    def _send_raw(self, raw: str) -> str:
        signed = to_bytes(raw)
        try:
            transaction = self._builder.decode(signed)
            transaction.check_signature_validity()
            transaction.validate()
        except Exception as error:  # noqa: BLE001 - a decoder of strange bytes raises strange things
            raise RpcError(f"invalid transaction: {error}", rpc_code=_REFUSED) from None
        refusal = self._refuse(transaction, len(signed))
        if refusal:
            raise RpcError(refusal, rpc_code=_REFUSED)
        self._mine(transaction)
        return to_hex(transaction.hash)

    def _mine(self, *transactions: Any) -> None:  # noqa: ANN401
        """Mine the next block, and commit it before anybody hears of it."""
        chain = self._chain
        try:
            chain.header = chain.create_header_from_parent(self._head, timestamp=self.next_timestamp())
            with deep_calls():
                for transaction in transactions:
                    chain.apply_transaction(transaction)
            # A value that differs from block to block, for contracts that ask for randomness.
            chain.mine_block(coinbase=ZERO_ADDRESS, mix_hash=keccak(self._head.hash), blob_gas_used=0)
            self._store.commit()
        except BaseException:
            self._store.rollback()
            raise

    def _refuse(self, transaction: Any, size: int) -> str:  # noqa: ANN401
        """Why a node would not take a transaction, in geth's words; empty if it would."""
        if self._find(to_hex(transaction.hash)):
            return "already known"
        state = self._state("latest")
        nonce = state.get_nonce(transaction.sender)
        balance = state.get_balance(transaction.sender)
        cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
        least = least_gas(transaction.data, transaction.intrinsic_gas)
        base_fee = self._next_base_fee()
        refusals = (
            (
                f"oversized data: transaction size {size}, limit {MAX_TRANSACTION_BYTES}",
                size > MAX_TRANSACTION_BYTES,
            ),
            (
                f"transaction gas limit too high (cap: {MAX_TRANSACTION_GAS}, tx: {transaction.gas})",
                transaction.gas > MAX_TRANSACTION_GAS,
            ),
            (
                f"invalid chain id: have {transaction.chain_id}, want {EMBEDDED_CHAIN_ID}",
                transaction.chain_id != EMBEDDED_CHAIN_ID,
            ),
            (f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}", transaction.nonce < nonce),
            (f"nonce too high: next nonce {nonce}, tx nonce {transaction.nonce}", transaction.nonce > nonce),
            (f"intrinsic gas too low: have {transaction.gas}, want {least}", transaction.gas < least),
            (
                f"max fee per gas less than block base fee: {transaction.max_fee_per_gas} < {base_fee}",
                transaction.max_fee_per_gas < base_fee,
            ),
            (
                f"insufficient funds for gas * price + value: balance {balance}, tx cost {cost}",
                balance < cost,
            ),
        )
        return next((words for words, holds in refusals if holds), "")

    def _increase_time(self, seconds: int) -> int:
        # Many blocks within a second run ahead of the clock: what counts is the time that the chain shows.
        offset_s = self.next_timestamp() + seconds - int(self._clock())
        self._store.commit(offset_s=offset_s)
        return offset_s

    def _set_next_timestamp(self, timestamp: int) -> None:
        if timestamp <= self._head.timestamp:
            raise RpcError(f"{timestamp} is not behind the last block's time, {self._head.timestamp}")
        self._store.commit(offset_s=timestamp - int(self._clock()))

    def _mine_empty(self) -> str:
        self._mine()
        return "0x0"


def _new_chain(store: Store, timestamp: int) -> EmbeddedChain:
    parameters = {
        "coinbase": ZERO_ADDRESS,
        "difficulty": POST_MERGE_DIFFICULTY,
        "mix_hash": POST_MERGE_MIX_HASH,
        "nonce": POST_MERGE_NONCE,
        "receipt_root": BLANK_ROOT_HASH,
        "transaction_root": BLANK_ROOT_HASH,
        "gas_limit": BLOCK_GAS_LIMIT,
        "timestamp": timestamp,
        # Two chains must differ even if they began in the same second.
        "extra_data": os.urandom(16),
    }
    faucet = {"balance": _FAUCET_WEI, "nonce": 0, "code": b"", "storage": {}}
    state = {_FAUCET.public_key.to_canonical_address(): faucet}
    chain: EmbeddedChain = EmbeddedChain.from_genesis(AtomicDB(store), parameters, state)
    return chain


def _refusal(words: str) -> str:
    """py-evm's words for a call that no block could hold, in those of other nodes."""
    poor = "enough balance" in words or "cannot afford" in words
    return f"insufficient funds for gas * price + value: {words}" if poor else words


def _choices(wanted: str | list[str] | None) -> list[str]:
    """What a member of a query of logs accepts; empty if it accepts anything."""
    if wanted is None:
        return []
    return wanted if isinstance(wanted, list) else [wanted]


def _bloom(value: bytes) -> int:
    return int(BloomFilter.from_iterable([value]))


def _may_hold(bloom: int, choices: Sequence[int]) -> bool:
    return not choices or any(bloom & choice == choice for choice in choices)


def _matches(wanted: Sequence[Sequence[int]], topics: Sequence[int]) -> bool:
    if len(wanted) > len(topics):
        return False
    return all(not want or have in want for want, have in zip(wanted, topics, strict=False))
