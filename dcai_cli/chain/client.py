"""`Chain`: what the services ask of a chain, the same for the embedded chain and for any node behind HTTP."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from dcai_cli.chain import abi
from dcai_cli.chain.answers import (
    to_block,
    to_count,
    to_data,
    to_event,
    to_form,
    to_number,
    to_receipt,
    to_time,
)
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.errors import GasTooHigh, NotMined, RpcError
from dcai_cli.chain.fees import Wishes, current_fees
from dcai_cli.chain.logs import LogReader, make_query
from dcai_cli.chain.records import Block, Event, Fees, Receipt, SignedTransaction
from dcai_cli.chain.refusals import execution_error, is_revert, refusal, too_much_gas
from dcai_cli.chain.signing import PLAIN_GAS, sign, unsigned
from dcai_cli.domain import MAX_TRANSACTION_GAS
from dcai_cli.errors import DcaiError, Reverted, UsageError, WrongChain
from dcai_cli.files import lock
from dcai_cli.hashing import keccak256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from eth_account.signers.local import LocalAccount

    from dcai_cli.chain.embedded import EmbeddedNode
    from dcai_cli.chain.layer2 import Layer2
    from dcai_cli.config import Settings

_LOCK_WAIT_S = 10.0
_DATA_MARGIN_PERCENT = 50
_LEAST_GAS = 21_000
"""What a transaction takes that does nothing."""

_POLLS_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Node(Protocol):
    """What answers JSON-RPC requests."""

    @property
    def label(self) -> str:
        """Its host, or "embedded"."""

    def request(self, method: str, *params: Any) -> Any:  # noqa: ANN401 - JSON
        """Answer one request, or raise RpcError or RpcUnreachable."""

    def request_many(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Answer many requests; what a node answers with an error is an RpcError in the list."""


@contextmanager
def open_chain(settings: Settings, *, clock: Callable[[], float] = time.time) -> Iterator[Chain]:
    """Open the chain of the settings: the embedded one, or the nodes at `rpc_url`.

    The embedded chain is locked while it is open.

    Args:
        settings: `rpc_url`, `rpc_headers`, `chain_id`, the gas prices and `devnet_path` count.
        clock: seconds since 1970, for the embedded chain.

    Raises:
        WrongChain: the chain's id is not `settings.chain_id`.
        RpcUnreachable: no node answers.
        Locked: another process uses the embedded chain.
    """
    if settings.rpc_urls:
        from dcai_cli.chain.remote import RemoteNode

        with closing(RemoteNode(settings.rpc_urls, settings.rpc_headers, hint=settings.nodes_hint)) as remote:
            yield Chain(remote, settings)
        return
    with _embedded_lock(settings.devnet_path):
        from dcai_cli.chain.embedded import EmbeddedNode
        from dcai_cli.chain.store import Store

        with closing(Store(settings.devnet_path)) as store, closing(EmbeddedNode(store, clock)) as node:
            yield Chain(node, settings, embedded=node)


def reset(settings: Settings) -> None:
    """Delete the embedded chain; the next command starts a new one with another genesis hash.

    Raises:
        Locked: another process uses it.
    """
    path = settings.devnet_path
    with _embedded_lock(path):
        # The main file goes last: without it, SQLite's side files would belong to a chain that is not there.
        for suffix in ("-wal", "-shm", ""):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _wrong_chain(label: str, chain_id: int, settings: Settings) -> WrongChain:
    """What to say of a node whose chain id is not the pinned one."""
    name = settings.network if settings.rpc_urls else None
    which = "" if name is None else f", which the network {name} is"
    return WrongChain(
        f"The node at {label} is on chain {chain_id}, not on chain {settings.chain_id}{which}.",
        hint="Point --rpc-url at a node of that chain, or change network or chain_id in the settings."
        if name is None
        else f"Name a node of that chain: dcai network add {name} --rpc-url URL",
    )


@contextmanager
def _embedded_lock(path: Path) -> Iterator[None]:
    with lock(path.with_suffix(".lock"), what="The embedded chain", wait_s=_LOCK_WAIT_S):
        yield


class Chain:
    """One chain, through one node.

    Args:
        node: answers the requests.
        settings: pins the chain id and the gas prices.
        embedded: the node again, if it is the embedded chain.
        sleep: waits some seconds between looking for receipts.

    Raises:
        WrongChain: the node's chain id is not the pinned one.
    """

    def __init__(
        self,
        node: Node,
        settings: Settings,
        *,
        embedded: EmbeddedNode | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._node = node
        self._settings = settings
        self._embedded = embedded
        self._sleep = sleep
        self._layer2: list[Layer2 | None] = []  # empty until the node has said it
        self._log_reader = LogReader(node)
        self.chain_id = self._count("eth_chainId")
        if not self.chain_id:
            # What is signed for no chain is valid on every chain.
            raise RpcError(f"The node at {node.label} says that its chain has the number 0.")
        if settings.chain_id not in (None, self.chain_id):
            raise _wrong_chain(node.label, self.chain_id, settings)

    def __repr__(self) -> str:
        return f"Chain({self.url_label}, {self.chain_id})"

    # Who it is

    @cached_property
    def key(self) -> str:
        """What tells this chain from all others: chain id and the beginning of its genesis hash."""
        return f"{self.chain_id}-{to_data(self._block(0).get('hash'))[:4].hex()}"

    @property
    def is_embedded(self) -> bool:
        """Whether it is the chain in this process."""
        return self._embedded is not None

    @property
    def url_label(self) -> str:
        """The node's host, or "embedded"."""
        return self._node.label

    # What it holds

    def timestamp(self) -> int:
        """The chain's time: of the latest block; on the embedded chain, of a block mined now."""
        if self._embedded is not None:
            return self._embedded.next_timestamp()
        return self.block_time("latest")

    def block_number(self) -> int:
        """The number of the latest block."""
        return self._count("eth_blockNumber")

    def block_time(self, number: int | str) -> int:
        """The timestamp of a block.

        Raises:
            DcaiError: the node does not have it.
        """
        return to_time(self._block(number).get("timestamp"))

    def block_hash(self, number: int) -> str | None:
        """The hash of a block; None if the chain does not reach it."""
        form = self._node.request("eth_getBlockByNumber", hex(number), False)
        return None if form is None else to_block(form).hash

    def block(self, number: int | str) -> Block:
        """A block by its number, or the one that "latest" names.

        Raises:
            RpcError: the node does not have it, or answers with another.
        """
        return self._numbered(number)[0]

    def header(self, number: int) -> bytes:
        """The header of a block in RLP, as contracts read it; it has the block's hash.

        Raises:
            RpcError: the node does not have the block, answers with another, or with fields that make no
                such header.
        """
        from dcai_cli.chain.headers import header_rlp

        return header_rlp(self._numbered(number)[1])

    def _numbered(self, number: int | str) -> tuple[Block, dict[str, Any]]:
        """A block, and all that the node says of it."""
        form = self._block(number)
        found = to_block(form)
        if isinstance(number, int) and found.number != number:
            raise RpcError(
                f"The node at {self.url_label} answers with block {found.number}, not with block {number}.",
                hint="Give --rpc-url the URL of another node.",
            )
        return found, form

    def balance_wei(self, address: str) -> int:
        """The balance of an account."""
        return self._number("eth_getBalance", address, "latest")

    def next_nonce(self, address: str) -> int:
        """The nonce of the account's next transaction, behind those that wait in the node's pool."""
        return self._count("eth_getTransactionCount", address, "pending")

    def mined_nonce(self, address: str) -> int:
        """How many transactions of the account have been mined."""
        return self._count("eth_getTransactionCount", address, "latest")

    def code(self, address: str) -> bytes:
        """The code at an address; empty if there is none."""
        return to_data(self._node.request("eth_getCode", address, "latest"))

    def fund_if_new(self, address: str) -> None:
        """On the embedded chain, give a new account 1,000 ether; elsewhere, do nothing."""
        if self._embedded is not None:
            self._embedded.fund(address)

    # Contracts

    def encode(self, contract_name: str, function: str, *args: object) -> bytes:
        """The input that calls a function."""
        entry = artifact(contract_name).functions[function]
        return abi.selector(entry) + abi.encode(entry["inputs"], args)

    def encode_deploy(self, contract_name: str, *args: object) -> bytes:
        """The input that deploys a contract."""
        contract = artifact(contract_name)
        return contract.bytecode + abi.encode(contract.constructor_inputs, args)

    def view(
        self,
        contract_name: str,
        address: str,
        function: str,
        *args: object,
        block: int | str = "latest",
    ) -> Any:  # noqa: ANN401 - by ABI
        """Call a function without a transaction.

        Args:
            contract_name: says what the function looks like.
            address: the contract.
            function: its name.
            args: its arguments.
            block: after which block; the latest if left out.

        Returns:
            Its result; a tuple if it has several. Structs are tuples.

        Raises:
            Reverted: the contract refused.
            WrongChain: what is at the address does not answer like this contract.
        """
        outputs = artifact(contract_name).functions[function]["outputs"]
        data = self.call(address, self.encode(contract_name, function, *args), block=block)
        try:
            values = abi.decode(outputs, data)
        except ValueError:
            raise WrongChain(
                f"What is at {address} on {self.url_label} is not a {contract_name}: "
                f"{function} answers with {len(data)} bytes.",
                hint="Check the address and the network: dcai config show",
            ) from None
        return values[0] if len(outputs) == 1 else values

    def call(
        self,
        to: str | None,
        data: bytes,
        *,
        sender: str | None = None,
        value_wei: int = 0,
        block: int | str = "latest",
    ) -> bytes:
        """Execute an input without a transaction.

        Raises:
            Reverted: the contract refused.
        """
        try:
            return to_data(
                self._node.request("eth_call", _call(sender, to, data, value_wei), _block_tag(block))
            )
        except RpcError as error:
            raise execution_error(error, self.url_label) from None

    def call_number(self, to: str, data: bytes, *, sender: str) -> int:
        """Execute an input without a transaction, whose result is one number.

        Raises:
            Reverted: the contract refused.
            RpcError: the result is none.
        """
        answer = self.call(to, data, sender=sender)
        if len(answer) != 32:
            raise RpcError(f"The node at {self.url_label} answers with {len(answer):,} bytes for a number.")
        return int.from_bytes(answer, "big")

    def estimate_gas(
        self, sender: str, to: str | None, data: bytes, value_wei: int = 0, *, pending: bool = False
    ) -> int:
        """The gas that a transaction needs, without any margin.

        Args:
            sender: whose transaction.
            to: the contract, or None to create one.
            data: the input.
            value_wei: ether that goes along.
            pending: reckon with the transactions that wait in the node's pool.

        Raises:
            Reverted: the contract would refuse it.
            GasTooHigh: it does not fit into one transaction.
            InsufficientFunds: the sender does not have the value.
        """
        try:
            return self._estimate(sender, to, data, value_wei, MAX_TRANSACTION_GAS, pending=pending)
        except GasTooHigh:
            from dcai_cli.chain.layer2 import Layer2, data_gas

            if self.layer2 is not Layer2.ARBITRUM:
                raise
            # The limit is one of execution; there, what the data costs is added to it as gas.
            most = min(MAX_TRANSACTION_GAS + data_gas(self, to, data), self.most_gas)
            return self._estimate(sender, to, data, value_wei, most, pending=pending)

    def _estimate(
        self,
        sender: str,
        to: str | None,
        data: bytes,
        value_wei: int,
        most_gas: int,
        *,
        pending: bool,
    ) -> int:
        call = {**_call(sender, to, data, value_wei), "gas": hex(most_gas)}
        try:
            gas = self._number("eth_estimateGas", call, *(("pending",) if pending else ()))
        except RpcError as error:
            # Our contracts name every refusal: a revert without data is an inner call that ran out of gas.
            if data and is_revert(error) and not error.data:
                raise too_much_gas() from None
            raise execution_error(error, self.url_label) from None
        if gas > most_gas:
            raise too_much_gas()
        if gas < _LEAST_GAS:
            raise RpcError(f"The node at {self.url_label} says that a transaction takes {gas:,} gas.")
        return gas

    # Transactions

    def fees(self, ceiling_wei: int | None = None) -> Fees:
        """What to offer for gas: by the market, or what the settings say.

        Args:
            ceiling_wei: the most that a unit of gas may cost; never exceeded.

        Raises:
            FeesAboveCeiling: no block takes a transaction for as little.
        """
        return current_fees(
            self._node.request,
            Wishes(self._settings.gas_price_wei, self._settings.priority_fee_wei, ceiling_wei),
        )

    def data_fee_wei(self, raw_or_size: bytes | int, *, gas: int = 0) -> int:
        """What a layer 2 charges for a transaction on top of its gas; 0 on other networks.

        On Arbitrum it is 0, too: there an estimate of gas has the data in it.

        Args:
            raw_or_size: the transaction's bytes, for what they cost now; or how many they are, for the most
                that so many cost while layer 1 grows dearer by a quarter.
            gas: if given, what the operator of some networks takes for so much gas is added.

        Raises:
            RpcError: the network's oracle does not answer as it should.
        """
        from dcai_cli.chain import layer2

        if self.layer2 is not layer2.Layer2.OP_STACK:
            return 0
        return layer2.data_fee_wei(self, raw_or_size, gas)

    @property
    def layer2(self) -> Layer2 | None:
        """Which kind of layer 2 it is; None if it is none, or none that charges for data."""
        if self._embedded is not None:
            return None
        if not self._layer2:
            from dcai_cli.chain.layer2 import detect

            try:
                self._layer2.append(detect(self))
            except RpcError:
                return None  # The node may say more the next time.
        return self._layer2[0]

    def gas_limit(self, estimate: int, margin_percent: int) -> int:
        """The gas to offer for a transaction that needs so much: with a margin, if it fits."""
        offered = estimate * (100 + margin_percent) // 100
        return offered if offered <= MAX_TRANSACTION_GAS else min(offered, self.most_gas)

    @property
    def most_gas(self) -> int:
        """The most gas that a transaction may offer here: on Arbitrum the data's, too, counts as gas."""
        from dcai_cli.chain.layer2 import ARBITRUM_MOST_GAS, Layer2

        return ARBITRUM_MOST_GAS if self.layer2 is Layer2.ARBITRUM else MAX_TRANSACTION_GAS

    def sign(
        self,
        key: LocalAccount,
        *,
        to: str | None,
        data: bytes,
        value_wei: int,
        nonce: int,
        gas: int,
        fees: Fees,
    ) -> SignedTransaction:
        """Sign a transaction for this chain; asks no node, unless it offers more gas than most networks take.

        Raises:
            GasTooHigh: more gas or bytes than one transaction may have.
        """
        return sign(
            key,
            chain_id=self.chain_id,
            to=to,
            data=data,
            value_wei=value_wei,
            nonce=nonce,
            gas=gas,
            fees=fees,
            most_gas=MAX_TRANSACTION_GAS if gas <= MAX_TRANSACTION_GAS else self.most_gas,
        )

    def unsigned(
        self, *, to: str | None, data: bytes, value_wei: int, nonce: int, gas: int, fees: Fees
    ) -> bytes:
        """The bytes that a key would sign, for `data_fee_wei`."""
        return unsigned(
            chain_id=self.chain_id, to=to, data=data, value_wei=value_wei, nonce=nonce, gas=gas, fees=fees
        )

    def sign_cancel(self, key: LocalAccount, *, nonce: int, fees: Fees) -> SignedTransaction:
        """Sign a transaction that does nothing but use up a nonce: nothing, sent to oneself."""
        from dcai_cli.chain.layer2 import Layer2

        gas = PLAIN_GAS
        if self.layer2 is Layer2.ARBITRUM:
            gas = self.gas_limit(self.estimate_gas(key.address, key.address, b""), _DATA_MARGIN_PERCENT)
        return self.sign(key, to=key.address, data=b"", value_wei=0, nonce=nonce, gas=gas, fees=fees)

    def send(self, raw: bytes) -> str:
        """Send a signed transaction; sending the same one again is no error.

        Returns:
            Its hash.

        Raises:
            InsufficientFunds: the balance does not cover it.
            NonceTaken: another transaction took its nonce.
            FeeTooLow: the pool wants a higher fee.
            RpcError: the node refuses it for another reason.
        """
        transaction_hash = f"0x{keccak256(raw).hex()}"
        try:
            self._node.request("eth_sendRawTransaction", f"0x{raw.hex()}")
        except RpcError as error:
            # Whatever the node says of a transaction that it has, the aim is reached.
            if not self.knows(transaction_hash):
                raise refusal(error, self.url_label) from None
        return transaction_hash

    def knows(self, transaction_hash: str) -> bool:
        """Whether the node has the transaction, waiting or mined."""
        return self._node.request("eth_getTransactionByHash", transaction_hash) is not None

    def receipt(self, transaction_hash: str) -> Receipt | None:
        """The receipt of a mined transaction; None if it is not mined."""
        form = self._node.request("eth_getTransactionReceipt", transaction_hash)
        # Some nodes answer with a form without a block while the transaction waits.
        if form is None or to_form(form).get("blockNumber") is None:
            return None
        receipt = to_receipt(form)
        if receipt.hash != transaction_hash.lower():
            raise RpcError(
                f"The node at {self.url_label} answers with another transaction's receipt: {receipt.hash}",
                hint="Give --rpc-url the URL of another node.",
            )
        return receipt

    def wait(self, transaction_hash: str, timeout_s: float = 180) -> Receipt:
        """Wait until a transaction is mined.

        Raises:
            NotMined: it was not mined in time; it may still be.
        """
        return self.wait_for(lambda: self.receipt(transaction_hash), transaction_hash, timeout_s)

    def wait_for(
        self, look: Callable[[], Receipt | None], transaction_hash: str, timeout_s: float
    ) -> Receipt:
        """Wait until somebody finds a receipt.

        Args:
            look: looks for it.
            transaction_hash: what the transaction is called if it is not mined in time.
            timeout_s: how long to look; it is looked for once in any case.

        Raises:
            NotMined: it was not mined in time; it may still be.
        """
        waited_s = 0.0
        polls = iter(_POLLS_S)
        poll_s = 0.0
        while True:
            receipt = look()
            if receipt is not None:
                return receipt
            if waited_s >= timeout_s:
                raise NotMined(
                    f"Transaction {transaction_hash} was not mined within {timeout_s:.0f} seconds.",
                    hint="It may still be mined: type the same command again later.",
                )
            poll_s = min(next(polls, poll_s), timeout_s - waited_s)
            self._sleep(poll_s)
            waited_s += poll_s

    def revert_reason(self, receipt: Receipt) -> Reverted:
        """Why a mined transaction failed, by executing it again on the state before its block, then after it.

        Before it, what others did in the same block is not there yet.
        """
        form = to_form(self._node.request("eth_getTransactionByHash", receipt.hash), "value", "gas")
        again = f"Run the same command again; what it cost: dcai tx show {receipt.hash}"
        for block in (receipt.block_number - 1, receipt.block_number):
            try:
                self.call(
                    form.get("to"),
                    to_data(form.get("input")),
                    sender=form.get("from"),
                    value_wei=form["value"],
                    block=block,
                )
            except Reverted as error:
                return error
            except DcaiError as error:
                return Reverted(f"Transaction {receipt.hash} failed: {error.message}", hint=again)
            # An inner call that runs out leaves its callers, a proxy and the trainer, a 64th each.
            if receipt.gas_used * 10 >= form["gas"] * 9:
                message = f"Transaction {receipt.hash} failed: it ran out of its {form['gas']:,} gas."
                return Reverted(message, hint=again)
        return Reverted(f"Transaction {receipt.hash} failed, but the same call now succeeds.", hint=again)

    # Events

    def events(self, contract_name: str, logs: Receipt | Iterable[dict[str, Any]]) -> list[Event]:
        """Decode the logs that are events of a contract; others are left out."""
        known = artifact(contract_name).events_by_topic
        found = (to_event(log, known) for log in (logs.logs if isinstance(logs, Receipt) else logs))
        return [event for event in found if event is not None]

    def logs(
        self,
        contract_name: str,
        address: str | None,
        event: str,
        from_block: int,
        to_block: int | None = None,
        **indexed: object,
    ) -> list[Event]:
        """All events of one kind that a contract emitted, in their order.

        Args:
            contract_name: says what the event looks like.
            address: the contract; any if None, and then the events come without their arguments.
            event: the event's name.
            from_block: the first block.
            to_block: the last block; the latest if None.
            indexed: values that indexed arguments must have.

        Raises:
            PrunedLogs: the node does not have these blocks any more.
        """
        parts = self.logs_of(contract_name, address, [event], from_block, to_block, **indexed)
        return [found for _, events in parts for found in events]

    def logs_of(
        self,
        contract_name: str,
        address: str | None,
        events: Sequence[str],
        from_block: int,
        to_block: int | None = None,
        **indexed: object,
    ) -> Iterator[tuple[int, list[Event]]]:
        """Events of several kinds, in ranges of blocks that grow and shrink with what the node accepts.

        Args:
            contract_name: says what the events look like.
            address: the contract; any if None, and then the events come without their arguments.
            events: their names.
            from_block: the first block.
            to_block: the last block; the latest if None.
            indexed: values that indexed arguments must have, which stand at the same place in all of them.

        Returns:
            For each range its last block and its events, both in their order. What came before is complete.

        Raises:
            PrunedLogs: while it is read: the node does not have these blocks any more.
        """
        query = make_query(artifact(contract_name).events, address, events, indexed)
        last = self.block_number() if to_block is None else to_block
        return self._log_reader.read(query, from_block, last)

    # Time, on chains for development

    def advance(self, seconds: int) -> None:
        """Let time pass and mine a block.

        Raises:
            UsageError: the node is not one for development, or the time is negative.
        """
        if seconds < 0:
            raise UsageError(f"Time moves forwards only, not by {seconds} s.", hint="Write for instance 25h.")
        try:
            self._node.request("evm_increaseTime", seconds)
            self._node.request("evm_mine")
        except RpcError as error:
            raise UsageError(
                f"The node at {self.url_label} does not let time be advanced: {error.message}.",
                hint="Wait; time can be moved on the embedded chain, anvil and hardhat only.",
            ) from None

    def mine_next_at(self, timestamp: int) -> None:
        """Give the next block this time.

        Raises:
            UsageError: the node is not one for development, or the time is not behind the last block's.
        """
        self._for_development("evm_setNextBlockTimestamp", timestamp)

    def set_balance(self, address: str, wei: int) -> None:
        """Give an account ether; on the embedded chain it can only become more.

        Raises:
            UsageError: the node is not one for development.
        """
        if self._embedded is not None:
            self._embedded.fund(address, wei)
            return
        self._for_development("anvil_setBalance", address, hex(wei))

    def _for_development(self, method: str, *params: object) -> None:
        try:
            self._node.request(method, *params)
        except RpcError as error:
            raise UsageError(
                f"The node at {self.url_label} refuses {method}: {error.message}.",
                hint="This works on the embedded chain and on anvil.",
            ) from None

    # The rest

    def _count(self, method: str, *params: object) -> int:
        return to_count(self._node.request(method, *params))

    def _number(self, method: str, *params: object) -> int:
        return to_number(self._node.request(method, *params))

    def _block(self, number: int | str) -> dict[str, Any]:
        form = self._node.request("eth_getBlockByNumber", _block_tag(number), False)
        if form is None:
            raise RpcError(f"The node at {self.url_label} does not have block {number}.")
        return to_form(form)


def _call(sender: str | None, to: str | None, data: bytes, value_wei: int) -> dict[str, str]:
    call = {"data": f"0x{data.hex()}", "value": hex(value_wei)}
    if sender is not None:
        call["from"] = sender
    if to is not None:
        call["to"] = to
    return call


def _block_tag(block: int | str) -> str:
    return hex(block) if isinstance(block, int) else block
