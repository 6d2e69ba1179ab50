"""What the embedded chain does by its virtual machine: calls, estimates, transactions, blocks.

A call or an estimate runs in the block that would come next: its time is now, however old the last block is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from eth.constants import (
    BLANK_ROOT_HASH,
    POST_MERGE_DIFFICULTY,
    POST_MERGE_MIX_HASH,
    POST_MERGE_NONCE,
    ZERO_ADDRESS,
)
from eth.db.atomic import AtomicDB
from eth.exceptions import TransactionNotFound
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from dcai_cli.chain.blocks import REFUSED, Header
from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.evm import BLOCK_GAS_LIMIT, EmbeddedChain, deep_calls, forget_chains, least_gas
from dcai_cli.chain.rpcforms import Json, receipt_form, to_bytes, to_hex, transaction_form
from dcai_cli.domain import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_GAS
from dcai_cli.networks import EMBEDDED_CHAIN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dcai_cli.chain.blocks import Blocks
    from dcai_cli.chain.store import Store

_FAUCET = PrivateKey(keccak(text="dcai: the faucet of the embedded chain"))
"""Anyone can compute this key. It owns nothing but the play money of embedded chains."""

_FAUCET_WEI = 10**30
_PRIORITY_FEE_WEI = 10**9
_MOST_HISTORY = 1024
_REVERTED = 3


class Executor:
    """The machine of an embedded chain that is there.

    Args:
        store: where the chain is kept.
        blocks: what is there.
        next_timestamp: the time of a block mined now.
    """

    def __init__(self, store: Store, blocks: Blocks, next_timestamp: Callable[[], int]) -> None:
        self._store = store
        self._blocks = blocks
        self._next_timestamp = next_timestamp
        self._chain = EmbeddedChain(AtomicDB(store))
        self._methods: Mapping[str, Callable[..., Any]] = {
            "eth_maxPriorityFeePerGas": lambda: hex(_PRIORITY_FEE_WEI),
            "eth_gasPrice": lambda: hex(self._next_base_fee() + _PRIORITY_FEE_WEI),
            "eth_feeHistory": self._fee_history,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": self._send_raw,
            "evm_mine": self._mine_empty,
        }

    @staticmethod
    def create_chain(store: Store, timestamp: int) -> None:
        """Begin a chain in an empty store; the caller commits it.

        Args:
            store: where.
            timestamp: of its first block.
        """
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
        EmbeddedChain.from_genesis(AtomicDB(store), parameters, state)

    def request(self, method: str, *params: Any) -> Any:  # noqa: ANN401 - JSON
        """Answer one JSON-RPC request.

        Raises:
            RpcError: as a node would answer with an error.
        """
        handler = self._methods.get(method)
        if handler is None:
            raise RpcError(f"the embedded chain has no method {method}", rpc_code=-32_601)
        try:
            return handler(*params)
        except ValidationError as error:
            raise ValueError(error) from None

    def fund(self, account: bytes, value_wei: int) -> None:
        """Give an account some ether of the faucet's."""
        faucet = _FAUCET.public_key.to_canonical_address()
        head = self._blocks.head()
        unsigned = self._builder.new_unsigned_dynamic_fee_transaction(
            chain_id=EMBEDDED_CHAIN_ID,
            nonce=self._blocks.account(head, faucet).nonce,
            max_priority_fee_per_gas=0,
            max_fee_per_gas=2 * head.base_fee_wei,
            gas=21_000,
            to=account,
            value=value_wei,
            data=b"",
            access_list=(),
        )
        self._send_raw(to_hex(unsigned.as_signed_transaction(_FAUCET).encode()))

    def close(self) -> None:
        """Free what py-evm keeps beyond the chain."""
        forget_chains()

    # Reading

    @property
    def _builder(self) -> Any:  # noqa: ANN401 - py-evm's; so below
        return self._chain.get_vm().get_transaction_builder()

    def _header(self, header: Header) -> Any:  # noqa: ANN401
        return self._chain.get_block_header_by_hash(header.hash)

    def _header_after(self, block: str) -> Any:  # noqa: ANN401
        """The header that came, or would come, after a block: calls see its time."""
        parent = self._blocks.header(block)
        if parent.number == self._blocks.head().number:
            timestamp = self._next_timestamp()
        else:
            timestamp = self._blocks.header(hex(parent.number + 1)).timestamp
        return self._chain.create_header_from_parent(self._header(parent), timestamp=timestamp)

    def _base_fee_after(self, header: Header) -> int:
        return int(self._chain.create_header_from_parent(self._header(header)).base_fee_per_gas)

    def _next_base_fee(self) -> int:
        return self._base_fee_after(self._blocks.head())

    def _fee_history(self, count: str, newest: str, percentiles: Sequence[float] = ()) -> Json:
        last = self._blocks.header(newest)
        first = max(last.number + 1 - min(int(count, 16), _MOST_HISTORY), 0)
        headers = [self._blocks.header(hex(number)) for number in range(first, last.number)] + [last]
        fees = [*(header.base_fee_wei for header in headers), self._base_fee_after(last)]
        return {
            "oldestBlock": hex(first),
            "baseFeePerGas": [hex(fee) for fee in fees],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            # A block has one transaction at most, so all percentiles are what that paid.
            "reward": [[hex(self._priority_fee(header))] * len(percentiles) for header in headers],
        }

    def _priority_fee(self, header: Header) -> int:
        if not header.gas_used:
            return 0
        transaction = self._chain.get_canonical_transaction_by_index(header.number, 0)
        room = transaction.max_fee_per_gas - header.base_fee_wei
        return int(min(transaction.max_priority_fee_per_gas, room))

    def _find(self, transaction_hash: str) -> tuple[Header, Any] | None:
        try:
            number, _ = self._chain.get_canonical_transaction_index(to_bytes(transaction_hash))
        except TransactionNotFound:
            return None
        found = self._chain.get_canonical_transaction_by_index(number, 0)
        return self._blocks.header(hex(number)), found

    def _transaction(self, transaction_hash: str) -> Json | None:
        found = self._find(transaction_hash)
        return found and transaction_form(*found)

    def _receipt(self, transaction_hash: str) -> Json | None:
        found = self._find(transaction_hash)
        if found is None:
            return None
        header, transaction = found
        receipt = self._chain.get_transaction_receipt(transaction.hash)
        return receipt_form(header, transaction, receipt, self._blocks.logs(header))

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
            raise RpcError(_refusal(str(error)), rpc_code=REFUSED) from None
        finally:
            # What an execution writes into the store is not part of the chain.
            self._store.rollback()
        if computation.is_error:
            if computation.ran_out_of_gas:
                raise RpcError("out of gas", rpc_code=REFUSED)
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
            raise RpcError(f"invalid transaction: {error}", rpc_code=REFUSED) from None
        refusal = self._refuse(transaction, len(signed))
        if refusal:
            raise RpcError(refusal, rpc_code=REFUSED)
        self._mine(transaction)
        return to_hex(transaction.hash)

    def _mine(self, *transactions: Any) -> None:  # noqa: ANN401
        """Mine the next block, and commit it before anybody hears of it."""
        chain = self._chain
        try:
            head = self._header(self._blocks.head())
            chain.header = chain.create_header_from_parent(head, timestamp=self._next_timestamp())
            with deep_calls():
                for transaction in transactions:
                    chain.apply_transaction(transaction)
            # A value that differs from block to block, for contracts that ask for randomness.
            chain.mine_block(coinbase=ZERO_ADDRESS, mix_hash=keccak(head.hash), blob_gas_used=0)
            self._store.commit()
        except BaseException:
            self._store.rollback()
            raise

    def _refuse(self, transaction: Any, size: int) -> str:  # noqa: ANN401
        """Why a node would not take a transaction, in geth's words; empty if it would."""
        if self._find(to_hex(transaction.hash)):
            return "already known"
        sender = self._blocks.account(self._blocks.head(), transaction.sender)
        nonce, balance = sender.nonce, sender.balance_wei
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

    def _mine_empty(self) -> str:
        self._mine()
        return "0x0"


def _refusal(words: str) -> str:
    """py-evm's words for a call that no block could hold, in those of other nodes."""
    poor = "enough balance" in words or "cannot afford" in words
    return f"insufficient funds for gas * price + value: {words}" if poor else words
