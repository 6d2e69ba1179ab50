"""What the ledger hands out: frozen records."""

from __future__ import annotations

from dataclasses import dataclass, field

from dcai_cli.domain import Batch


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model that this user deployed or used.

    Args:
        chain: the chain's key.
        address: the trainer's address.
        name: the name this user calls it by.
        owner: the owner's address.
        spec: the feature spec as canonical JSON.
        description: addresses, terms and parameters as JSON.
        from_block: its first block.
    """

    chain: str
    address: str
    name: str
    owner: str
    spec: str
    description: str
    from_block: int


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A signed transaction: it is in the ledger before it is sent.

    `raw` and `hash` are those of the newest attempt while it is on its way, and of the one that was mined
    afterwards; `cancels` says whether that attempt only uses up the nonce. It is `final` once no
    reorganisation is expected to reach its block.
    """

    id: int
    chain: str
    account: str
    kind: str
    detail: str
    model: str | None
    hash: str
    nonce: int
    raw: bytes = field(repr=False)
    state: str
    cancels: bool
    final: bool
    created_at: int
    block_number: int | None
    block_hash: str | None
    gas_used: int | None
    fee_wei: int | None
    contract_address: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signing of a transaction: its first, or one that offers more, or that only uses up the nonce."""

    hash: str
    raw: bytes = field(repr=False)
    cancels: bool


@dataclass(frozen=True, slots=True)
class ContributionTotals:
    """Sums over all batches of a model.

    Args:
        samples: their samples.
        informative: of how many of these the model predicted another label when they came.
        contributors: accounts that sent some.
    """

    samples: int
    informative: int
    contributors: int


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch of samples, from plan to settlement; what others contributed begins open.

    `account` is the contributor. `payload` is None where nothing is left to claim, or where it was not asked
    for.
    """

    id: int
    chain: str
    account: str
    model: str
    state: str
    transaction_id: int | None
    count: int
    units: int
    samples_root: bytes
    batch_id: int | None
    added_at: int | None
    deposit_per_unit_wei: int | None
    informative: int | None
    block_number: int | None
    block_hash: str | None
    settled: int
    taken: int
    refunded_wei: int
    lost_wei: int
    payload: bytes | None = field(repr=False)

    @property
    def deposit_wei(self) -> int:
        """The whole deposit; 0 until the batch is on-chain."""
        return (self.deposit_per_unit_wei or 0) * self.units

    def on_chain(self) -> Batch:
        """The committed meta-data; only a batch that is on-chain has any."""
        assert self.batch_id is not None
        assert self.added_at is not None
        assert self.deposit_per_unit_wei is not None
        assert self.informative is not None
        return Batch(
            id=self.batch_id,
            contributor=self.account,
            added_at=self.added_at,
            deposit_per_unit_wei=self.deposit_per_unit_wei,
            count=self.count,
            units=self.units,
            informative=self.informative,
            samples_root=self.samples_root,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands: what a reorganisation can move.

    Args:
        block_number: its block.
        block_hash: that block's hash.
        transaction_hash: what caused it.
        log_index: its place in the block.
    """

    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What the chain adds to a batch when it takes it.

    Args:
        batch_id: its number.
        added_at: the block's time.
        deposit_per_unit_wei: what a unit cost.
        informative: bitmap of the samples of which the model predicted another label.
        place: where the event stands.
    """

    batch_id: int
    added_at: int
    deposit_per_unit_wei: int
    informative: int
    place: Place


@dataclass(frozen=True, slots=True)
class Contribution:
    """A batch as its event tells it.

    Args:
        batch: the committed meta-data.
        payload: its samples.
        keys: for each sample, what tells it from others where nobody knows its row: the hash of its bytes.
        place: where the event stands.
    """

    batch: Batch
    payload: bytes = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    place: Place

    @property
    def opened(self) -> Opened:
        """What the chain added to the samples."""
        batch = self.batch
        return Opened(batch.id, batch.added_at, batch.deposit_per_unit_wei, batch.informative, self.place)


@dataclass(frozen=True, slots=True)
class Payout:
    """What left a batch, as an event tells it.

    Args:
        kind: refund, report or sweep.
        batch_id: of which batch.
        account: who was paid.
        bitmap: the samples that paid; 0 for a sweep, which takes all that is left.
        amount_wei: how much.
        place: where the event stands.
    """

    kind: str
    batch_id: int
    account: str
    bitmap: int
    amount_wei: int
    place: Place


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Up to which block the events of a model were read; the hash tells whether it is still there."""

    block_number: int
    block_hash: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What one transaction asks for of one batch."""

    kind: str
    batch_id: int
    mask: int


@dataclass(frozen=True, slots=True)
class Commitment:
    """What somebody is to show in a prediction market.

    Args:
        kind: piece (of a test set), contribution, or weights (to start with; nothing hides them).
        number: of the piece; of the first word of weights; 0 for a contribution.
        hash: what the market knows it by.
        payload: samples, or words of weights.
    """

    kind: str
    number: int
    hash: bytes
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PlannedSample:
    """A row on its way into a batch: its identity and where it comes from."""

    key: bytes
    occurrence: int
    row_number: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction: its receipt, as far as the ledger keeps it.

    Args:
        status: whether it was executed (False: it reverted).
        block_number: its block.
        block_hash: that block's hash.
        gas_used: gas, intrinsic part included.
        fee_wei: gas used times the effective price, and what a layer 2 took for the data.
        hash: of the attempt that was mined; the newest if empty.
        contract_address: the contract it created, if it did.
        contributed: what the chain added to its batch, if it contributed.
        payouts: what it was paid, if it claimed.
        points: model points that it earned, if it claimed where there are points.
    """

    status: bool
    block_number: int
    block_hash: str
    gas_used: int
    fee_wei: int
    hash: str = ""
    contract_address: str | None = None
    contributed: Opened | None = None
    payouts: tuple[Payout, ...] = ()
    points: int = 0
