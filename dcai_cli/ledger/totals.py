"""Sums over an account's claims: what they cost, what they paid, what was lost; read without any payload."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, String, func, literal, or_, select, type_coerce

from dcai_cli.ledger.schema import batches, claims, transactions

CLAIM_KINDS = ("refund", "report", "sweep")
"""Transactions that take something out of a model."""

MARKET_KINDS = (
    "market-commit",
    "market-reveal",
    "market-draw",
    "market-step",
    "market-fail",
    "market-collect",
)
"""Transactions in a prediction market, but for making one."""

_PAID_FOR = (*CLAIM_KINDS, *MARKET_KINDS)
"""What a daemon sends: its fees count for the day, whoever sent it."""

_SETTLED = ("mined", "reverted", "cancelled")
_UNSETTLED = ("signed", "sent")


@dataclass(frozen=True, slots=True)
class Totals:
    """What an account's claims on one chain came to.

    Args:
        claims: kind -> how many were mined.
        fee_wei: fees of all of them, of those that reverted or were cancelled, too.
        fee_since_wei: of those that were signed since the time that was asked for.
        lost_wei: what others took of this account's deposits.
        last_id: the newest transaction of the ledger.
        unsettled: claims whose outcome is not known yet, by their ids.
    """

    claims: dict[str, int] = field(default_factory=dict)
    fee_wei: int = 0
    fee_since_wei: int = 0
    lost_wei: int = 0
    last_id: int = 0
    unsettled: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SettledClaim:
    """What one claim did.

    Args:
        kind: refund, report or sweep, or what was done in a market (`MARKET_KINDS`).
        hash: its transaction.
        mined: whether it was executed; otherwise it reverted, or was cancelled.
        fee_wei: what it cost.
        gas_used: its gas.
        amount_wei: what it paid.
        samples: samples that paid, or earned a point.
    """

    kind: str
    hash: str
    mined: bool
    fee_wei: int
    gas_used: int
    amount_wei: int
    samples: int


@dataclass(frozen=True, slots=True)
class OpenSum:
    """What some open batches come to.

    Args:
        batches: how many they are.
        samples: samples that are open; where there are points, those among them that can earn one.
        amount_wei: what is left of the deposits.
    """

    batches: int = 0
    samples: int = 0
    amount_wei: int = 0

    def __add__(self, other: OpenSum) -> OpenSum:
        return OpenSum(
            self.batches + other.batches, self.samples + other.samples, self.amount_wei + other.amount_wei
        )


def read_open(
    connection: Connection, chain: str, account: str, model: str, *, due_before: int, has_points: bool
) -> tuple[OpenSum, OpenSum]:
    """What is open of an account's batches of a model: of those that came later, and by a time or sooner.

    Only what is added up is read, as digits: a batch more costs a few microseconds.
    """
    c = batches.c
    # As digits: most are 0, and need no number made of them.
    digits = (c.deposit_per_unit_wei, c.settled, c.refunded_wei, c.lost_wei)
    query = select(
        c.added_at,
        c.count,
        c.units,
        type_coerce(c.informative if has_points else literal("0"), String),
        *(type_coerce(column, String) for column in digits),
    ).where(c.chain == chain, c.account == account, c.state == "open", c.model == model)
    counts, samples, amounts = [0, 0], [0, 0], [0, 0]
    for added_at, count, units, informative, unit_wei, settled, refunded, lost in connection.execute(
        query
    ).all():
        due = added_at <= due_before
        counts[due] += 1
        left_wei = int(unit_wei) * units
        if refunded != "0" or lost != "0":
            left_wei -= int(refunded) + int(lost)
        amounts[due] += left_wei
        if has_points:
            samples[due] += (int(informative) & ~int(settled)).bit_count()
        else:
            samples[due] += count if settled == "0" else count - int(settled).bit_count()
    waiting, due_now = (OpenSum(*sums) for sums in zip(counts, samples, amounts, strict=True))
    return waiting, due_now


def read_totals(connection: Connection, chain: str, account: str, since: int) -> Totals:
    """The totals of an account; amounts are decimal digits in the tables, so they are added up here."""
    own = (
        transactions.c.chain == chain,
        transactions.c.account == account,
        transactions.c.kind.in_(_PAID_FOR),
    )
    counted = (
        select(transactions.c.kind, func.count())
        .where(*own, transactions.c.state == "mined")
        .group_by("kind")
    )
    fees = select(transactions.c.created_at, transactions.c.fee_wei).where(
        *own, transactions.c.state.in_(_SETTLED)
    )
    lost = select(batches.c.lost_wei).where(
        batches.c.chain == chain, batches.c.account == account, batches.c.lost_wei != 0
    )
    open_ids = select(transactions.c.id).where(*own, transactions.c.state.in_(_UNSETTLED))
    paid = [(created_at, fee_wei or 0) for created_at, fee_wei in connection.execute(fees)]
    return Totals(
        claims={str(kind): int(count) for kind, count in connection.execute(counted)},
        fee_wei=sum(fee_wei for _, fee_wei in paid),
        fee_since_wei=sum(fee_wei for created_at, fee_wei in paid if created_at >= since),
        lost_wei=sum(connection.execute(lost).scalars()),
        last_id=connection.execute(select(func.max(transactions.c.id))).scalar_one() or 0,
        unsettled=tuple(connection.execute(open_ids).scalars()),
    )


def read_settled_claims(
    connection: Connection, chain: str, account: str, beyond: Totals
) -> list[SettledClaim]:
    """The claims that were settled since some totals were read."""
    columns = transactions.c
    query = (
        select(columns.id, columns.kind, columns.hash, columns.state, columns.fee_wei, columns.gas_used)
        .where(
            columns.chain == chain,
            columns.account == account,
            columns.kind.in_(_PAID_FOR),
            columns.state.in_(_SETTLED),
            or_(columns.id > beyond.last_id, columns.id.in_(beyond.unsettled)),
        )
        .order_by(columns.id)
    )
    found = []
    for identity, kind, transaction_hash, state, fee_wei, gas_used in connection.execute(query).all():
        parts = select(claims.c.paid, claims.c.amount_wei).where(claims.c.transaction_id == identity)
        paid = [(mask or 0, amount_wei or 0) for mask, amount_wei in connection.execute(parts)]
        found.append(
            SettledClaim(
                kind=kind,
                hash=transaction_hash,
                mined=state == "mined",
                fee_wei=fee_wei or 0,
                gas_used=gas_used or 0,
                amount_wei=sum(amount_wei for _, amount_wei in paid),
                samples=sum(mask.bit_count() for mask, _ in paid),
            )
        )
    return found
