"""Books that ask nobody but the chain and the ledger's tables: what must hold after every fault.

Nothing of dcai's services is used: the chain is read by plain JSON-RPC with the contracts' ABIs, the ledger
by SQL. An audit returns what differs, with row keys and wei, so that a scenario can say all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dcai_cli.chain import abi
from dcai_cli.chain.artifacts import artifact
from dcai_cli.features.featurize import FeaturizedRow, featurize
from dcai_cli.features.payload import split_payload
from dcai_cli.features.readers import read_rows
from dcai_cli.features.spec import FeatureSpec
from tests.chaos import tables
from tests.conftest import RICH_WEI

Rpc = Callable[..., Any]

TRAINER = "CollaborativeTrainer"
LOG_SPAN = 2_000
SHOWN_KEYS = 3


@dataclass(frozen=True)
class Event:
    """An event of the trainer."""

    name: str
    args: dict[str, Any]
    transaction: str


@dataclass(frozen=True)
class Deposit:
    """A batch, by its event."""

    batch_id: int
    contributor: str
    added_at: int
    deposit_per_unit_wei: int
    informative: int
    payload: bytes
    samples: tuple[bytes, ...]
    transaction: str

    @property
    def units(self) -> int:
        """What it is priced by, of samples without values: a unit for each 64 features begun."""
        return sum(-(-int.from_bytes(sample[1:3], "big") // 64) for sample in self.samples)

    @property
    def deposit_wei(self) -> int:
        """Its deposit."""
        return self.deposit_per_unit_wei * self.units


@dataclass
class Chain:
    """A model as the chain has it.

    Args:
        rpc: asks the node; no fault stands between.
        trainer: the model's address.
    """

    rpc: Rpc
    trainer: str

    def view(self, contract: str, address: str, function: str, *values: object) -> Any:
        """Call a function."""
        entry = artifact(contract).functions[function]
        data = abi.selector(entry) + abi.encode(entry["inputs"], values)
        answer = self.rpc("eth_call", {"to": address, "data": f"0x{data.hex()}"}, "latest")
        found = abi.decode(entry["outputs"], bytes.fromhex(answer.removeprefix("0x")))
        return found[0] if len(entry["outputs"]) == 1 else found

    def trainer_view(self, function: str, *values: object) -> Any:
        """Call a function of the trainer."""
        return self.view(TRAINER, self.trainer, function, *values)

    @cached_property
    def spec(self) -> FeatureSpec:
        """How rows become samples."""
        return FeatureSpec.from_json(self.trainer_view("featureSpec"))

    @cached_property
    def events(self) -> list[Event]:
        """All events of the trainer, in their order."""
        known = artifact(TRAINER).events_by_topic
        head = int(self.rpc("eth_blockNumber"), 16)
        found = []
        for first in range(0, head + 1, LOG_SPAN):
            last = min(first + LOG_SPAN - 1, head)
            blocks = {"fromBlock": hex(first), "toBlock": hex(last)}
            query = {"address": self.trainer, "topics": [], **blocks}
            for log in self.rpc("eth_getLogs", query):
                topics = [bytes.fromhex(topic.removeprefix("0x")) for topic in log["topics"]]
                entry = known.get(topics[0])
                if entry is None:
                    continue
                args = abi.decode_event(entry, topics, bytes.fromhex(log["data"].removeprefix("0x")))
                found.append(Event(entry["name"], args, log["transactionHash"]))
        return found

    @cached_property
    def deposits(self) -> list[Deposit]:
        """All batches, in their order."""
        return [
            Deposit(
                batch_id=event.args["batchId"],
                contributor=event.args["contributor"],
                added_at=event.args["addedAt"],
                deposit_per_unit_wei=event.args["depositPerUnit"],
                informative=event.args["informative"],
                payload=event.args["payload"],
                samples=tuple(split_payload(event.args["payload"], self.spec.wire)),
                transaction=event.transaction,
            )
            for event in self.events
            if event.name == "Contributed"
        ]

    def of(self, account: str) -> list[Deposit]:
        """The batches of one account."""
        return [deposit for deposit in self.deposits if deposit.contributor.lower() == account.lower()]

    def paid(self, batch_id: int) -> Iterator[tuple[str, str, int]]:
        """What left a batch: (event, who was paid, wei)."""
        for event in self.payments.get(batch_id, []):
            yield event.name, event.args[_PAID_TO[event.name]], event.args["amountWei"]

    @cached_property
    def payments(self) -> dict[int, list[Event]]:
        """The paying events of each batch."""
        found: dict[int, list[Event]] = {}
        for event in self.events:
            if event.name in _PAID_TO:
                found.setdefault(event.args["batchId"], []).append(event)
        return found

    def stake(self, batch_id: int) -> tuple[int, int]:
        """Which samples of a batch are settled, and what was paid of it in wei."""
        settled, paid_wei, _ = self.view("StakeIncentive", self.incentive, "stakeOf", batch_id)
        return settled, paid_wei

    @cached_property
    def incentive(self) -> str:
        """The incentive mechanism."""
        return str(self.trainer_view("incentive"))

    @cached_property
    def model(self) -> str:
        """The model itself."""
        return str(self.trainer_view("model"))

    @cached_property
    def refund_wait_s(self) -> int:
        """From when a deposit is due."""
        return int(self.trainer_view("terms")[0])

    def now(self) -> int:
        """The time of the latest block."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def balance_wei(self, address: str) -> int:
        """A balance."""
        return int(self.rpc("eth_getBalance", address, "latest"), 16)


_PAID_TO = {"Refunded": "contributor", "Reported": "reporter", "Swept": "sweeper"}


@dataclass(frozen=True)
class Books:
    """What is audited together.

    Args:
        rpc: asks the node directly.
        query: reads the ledger.
        account: the account's address.
        trainer: the model's address.
        start_wei: what the account had at first.
    """

    rpc: Rpc
    query: tables.Query
    account: str
    trainer: str
    start_wei: int = RICH_WEI

    def audit(self, *files: Path, is_claimed: bool = False) -> list[str]:
        """Compare everything.

        Args:
            files: every row of them is on-chain exactly once; none is compared if there are none.
            is_claimed: whether everything that is due must have been refunded.

        Returns:
            What differs; nothing if all is well.
        """
        chain = Chain(self.rpc, self.trainer)
        return [
            *(self._rows(chain, files) if files else ()),
            *self._batches(chain),
            *self._transactions(chain),
            *self._money(chain),
            *(self._claimed(chain) if is_claimed else ()),
        ]

    def unclaimed(self) -> list[str]:
        """What is due, what the model agrees with, and what is not claimed yet."""
        return list(self._claimed(Chain(self.rpc, self.trainer)))

    def _rows(self, chain: Chain, files: Iterable[Path]) -> Iterator[str]:
        keys: dict[str, bytes] = {}
        for file in files:
            keys |= {
                row.key.hex(): row.sample
                for row in featurize(read_rows(file), chain.spec)
                if isinstance(row, FeaturizedRow)
            }
        wanted = Counter(keys.values())
        found = Counter(sample for deposit in chain.of(self.account) for sample in deposit.samples)
        names = {sample: key for key, sample in keys.items()}
        missing, more = wanted - found, found - wanted
        if missing:
            yield f"{missing.total()} rows are not on-chain: {_shown(names, missing)}"
        if more:
            yield f"{more.total()} samples are on-chain too often: {_shown(names, more)}"
        stored = Counter(tables.row_keys(self.query, self.account, self.trainer))
        known = Counter(keys.keys())
        if stored != known:
            unknown, lost = stored - known, known - stored
            yield (
                f"the ledger lacks {lost.total()} rows and has {unknown.total()} too many: "
                f"{[*list(lost)[:SHOWN_KEYS], *list(unknown)[:SHOWN_KEYS]]}"
            )

    def _batches(self, chain: Chain) -> Iterator[str]:
        stored = tables.batches(self.query, self.account, self.trainer)
        known = {batch.batch_id: batch for batch in stored if batch.batch_id is not None}
        if len(known) != sum(batch.batch_id is not None for batch in stored):
            yield "the ledger has a batch twice"
        on_chain = {deposit.batch_id: deposit for deposit in chain.of(self.account)}
        if missing := sorted(on_chain.keys() - known.keys()):
            yield f"batches {missing[:9]} ({len(missing)}) are on-chain and not in the ledger"
        if made_up := sorted(known.keys() - on_chain.keys()):
            yield f"batches {made_up[:9]} ({len(made_up)}) are in the ledger and not on-chain"
        if unfinished := [batch.state for batch in stored if not batch.is_on_chain]:
            yield f"the ledger still has batches that are {dict(Counter(unfinished))}"
        for batch_id in sorted(on_chain.keys() & known.keys()):
            yield from self._batch(chain, on_chain[batch_id], known[batch_id])

    def _batch(self, chain: Chain, deposit: Deposit, batch: tables.LedgerBatch) -> Iterator[str]:
        name = f"batch {deposit.batch_id}"
        for what, there, here in (
            ("samples", len(deposit.samples), batch.count),
            ("units", deposit.units, batch.units),
            ("added at", deposit.added_at, batch.added_at),
            ("wei a unit", deposit.deposit_per_unit_wei, batch.deposit_per_unit_wei),
            ("informative", deposit.informative, batch.informative),
        ):
            if there != here:
                yield f"{name}: {what} {there} on-chain, {here} in the ledger"
        own_wei = others_wei = 0
        for _, who, wei in chain.paid(deposit.batch_id):
            if who.lower() == self.account.lower():
                own_wei += wei
            else:
                others_wei += wei
        if (own_wei, others_wei) != (batch.refunded_wei, batch.lost_wei):
            yield (
                f"{name}: {own_wei} wei came back and {others_wei} wei went to others; the ledger has "
                f"{batch.refunded_wei} and {batch.lost_wei} wei"
            )

    def _transactions(self, chain: Chain) -> Iterator[str]:
        mined = int(chain.rpc("eth_getTransactionCount", self.account, "latest"), 16)
        used: Counter[int] = Counter()
        for stored in tables.transactions(self.query, self.account):
            receipt = chain.rpc("eth_getTransactionReceipt", stored.hash)
            name = f"transaction {stored.nonce} ({stored.kind}, {stored.state})"
            if stored.state == "dropped":
                if receipt is not None:
                    yield f"{name} is on-chain"
                continue
            if receipt is None:
                yield f"{name} is not on-chain"
                continue
            used[stored.nonce] += 1
            fee_wei = fee(receipt)
            if stored.state in tables.IN_FLIGHT:
                yield f"{name} is on-chain and not settled"
            elif (stored.state == "reverted") == (int(receipt["status"], 16) == 1):
                yield f"{name} has status {receipt['status']} on-chain"
            elif stored.fee_wei != fee_wei:
                yield f"{name} cost {fee_wei} wei, {stored.fee_wei} wei in the ledger"
            if stored.block_hash != receipt["blockHash"]:
                yield f"{name} is in block {receipt['blockHash']}, in {stored.block_hash} in the ledger"
        if used != Counter(range(mined)):
            absent, twice = sorted(set(range(mined)) - used.keys()), [n for n in used if used[n] > 1]
            yield f"{mined} nonces are used; {absent[:9]} are not in the ledger, {twice[:9]} are there twice"

    def _money(self, chain: Chain) -> Iterator[str]:
        mine = self.account.lower()
        deposited_wei = sum(deposit.deposit_wei for deposit in chain.of(self.account))
        got_wei = sum(
            wei for batch_id in chain.payments for _, who, wei in chain.paid(batch_id) if who.lower() == mine
        )
        fees_wei = sum(
            fee(receipt)
            for stored in tables.transactions(self.query, self.account)
            if (receipt := chain.rpc("eth_getTransactionReceipt", stored.hash)) is not None
        )
        balance_wei, due_wei = (
            chain.balance_wei(self.account),
            self.start_wei - fees_wei - deposited_wei + got_wei,
        )
        if balance_wei != due_wei:
            yield f"the account has {balance_wei} wei, {balance_wei - due_wei:+} wei from what its books say"
        open_wei = sum(deposit.deposit_wei - chain.stake(deposit.batch_id)[1] for deposit in chain.deposits)
        held_wei = chain.balance_wei(self.trainer)
        if held_wei != open_wei:
            yield f"the trainer holds {held_wei} wei, {held_wei - open_wei:+} wei from the open deposits"
        stored = tables.batches(self.query, self.account, self.trainer)
        ledger_wei = sum(
            batch.deposit_per_unit_wei * batch.units - batch.refunded_wei - batch.lost_wei
            for batch in stored
            if batch.is_on_chain
        )
        mine_open_wei = sum(
            deposit.deposit_wei - chain.stake(deposit.batch_id)[1] for deposit in chain.of(self.account)
        )
        if ledger_wei != mine_open_wei:
            yield f"{mine_open_wei} wei are open on-chain, {ledger_wei} wei in the ledger"

    def _claimed(self, chain: Chain) -> Iterator[str]:
        now = chain.now()
        for deposit in chain.of(self.account):
            if now < deposit.added_at + chain.refund_wait_s:
                continue
            settled, _ = chain.stake(deposit.batch_id)
            unsettled = (1 << len(deposit.samples)) - 1 & ~settled
            if not unsettled:
                continue
            _, agreed, _ = chain.view("Perceptron", chain.model, "assess", deposit.payload, unsettled)
            if agreed:
                yield (
                    f"batch {deposit.batch_id}: {agreed.bit_count()} refunds are due, the model agrees, and "
                    f"they are not claimed ({agreed.bit_count() * deposit.deposit_per_unit_wei} wei or more)"
                )


def fee(receipt: dict[str, Any]) -> int:
    """What a transaction cost in wei."""
    return int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)


def _shown(names: dict[bytes, str], samples: Counter[bytes]) -> str:
    keys = [names.get(sample, f"sample {sample.hex()[:24]}") for sample in list(samples)[:SHOWN_KEYS]]
    return ", ".join(keys) + (", ..." if len(samples) > SHOWN_KEYS else "")
