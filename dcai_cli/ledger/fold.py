"""What events do to batches: each is what its contribution and its payouts say, in whatever order they come.

Receipts, the index of events and reorganisations all end here, so that the same event counts once however
often it is read, and what a block said is gone when the block is. Every function works inside a database
transaction of its caller, which holds the model's row (`lock_model`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, or_, select, update

from dcai_cli.ledger.records import Contribution, Opened, Payout
from dcai_cli.ledger.schema import batches, claims, models, payouts, replaced, samples, transactions

UNSETTLED = ("signed", "sent")
"""States of a transaction whose outcome is not known yet."""

DONE = ("mined", "reverted", "cancelled")
"""States of a transaction that is in a block."""

_MOST_BATCHES = 200
"""Batches that are inserted together: some 6 MB of samples."""

_MOST_KEYS = 10_000
"""Values of one statement; SQLite takes 32,766."""

_PLANNED_AGAIN: dict[str, Any] = {
    "batch_id": None,
    "added_at": None,
    "deposit_per_unit_wei": None,
    "informative": None,
    "block_number": None,
    "block_hash": None,
    "settled": 0,
    "taken": 0,
    "refunded_wei": 0,
    "lost_wei": 0,
}
"""What a batch loses that is not on-chain any more."""

NOT_IN_A_BLOCK: dict[str, Any] = {
    "state": "sent",
    "final": False,
    "block_number": None,
    "block_hash": None,
    "gas_used": None,
    "fee_wei": None,
    "contract_address": None,
}
"""What becomes of a transaction whose block was reorganised away."""


def lock_model(connection: Connection, chain: str, model: str) -> None:
    """Hold a model's row until the transaction ends: whoever folds its events is the only one."""
    connection.execute(
        select(models.c.name).where(models.c.chain == chain, models.c.address == model).with_for_update()
    )


def take_contributions(
    connection: Connection, chain: str, model: str, found: Sequence[Contribution], own: Collection[str]
) -> None:
    """Take over batches from their events; the arguments are those of `take_contribution`.

    Those that this ledger knows nothing of are inserted together: a reading of many others' batches takes no
    more statements than one of few.
    """
    for at in range(0, len(found), _MOST_BATCHES):
        part = found[at : at + _MOST_BATCHES]
        fresh = _is_fresh(connection, chain, model, part)
        _insert(connection, chain, model, list(compress(part, fresh)), own)
        for one in compress(part, (not is_fresh for is_fresh in fresh)):
            take_contribution(connection, chain, model, one, own)


def take_contribution(
    connection: Connection, chain: str, model: str, found: Contribution, own: Collection[str]
) -> None:
    """Take over a batch from its event.

    Args:
        connection: inside a database transaction.
        chain: the chain's key.
        model: the trainer's address.
        found: the batch.
        own: accounts of this user: of their batches the samples are kept, so that none is sent twice.
    """
    row = _planned_for(connection, chain, found.place.transaction_hash)
    if row is None:
        row = _batch(connection, chain, model, found.batch.id)
        if row is not None and row.block_hash != found.place.block_hash:
            release(connection, row)
            row = None
    if row is None:
        _insert(connection, chain, model, [found], own)
        refold(connection, chain, model, found.batch.id)
    elif row.block_hash != found.place.block_hash:
        open_batch(connection, row, found.opened)


def open_batch(connection: Connection, row: Row[Any], opened: Opened) -> None:
    """Write down that a batch of this ledger is on-chain."""
    former = _batch(connection, row.chain, row.model, opened.batch_id)
    if former is not None and former.id != row.id:
        release(connection, former)
    if row.block_hash is not None and row.block_hash != opened.place.block_hash:
        _forget_batch_payouts(connection, row)
    values = {
        "state": "open",
        "batch_id": opened.batch_id,
        "added_at": opened.added_at,
        "deposit_per_unit_wei": opened.deposit_per_unit_wei,
        "informative": opened.informative,
        "block_number": opened.place.block_number,
        "block_hash": opened.place.block_hash,
    }
    connection.execute(update(batches).where(batches.c.id == row.id).values(**values))
    refold(connection, row.chain, row.model, opened.batch_id)


def take_payout(connection: Connection, chain: str, model: str, found: Payout) -> None:
    """Take over from its event what left a batch; the same event again changes nothing."""
    place = found.place
    moved = (
        payouts.c.chain == chain,
        payouts.c.transaction_hash == place.transaction_hash,
        payouts.c.block_hash != place.block_hash,
    )
    before = set(connection.execute(select(payouts.c.batch_id).where(*moved)).scalars())
    connection.execute(delete(payouts).where(*moved))
    known = select(payouts.c.id).where(
        payouts.c.chain == chain,
        payouts.c.block_hash == place.block_hash,
        payouts.c.log_index == place.log_index,
    )
    if connection.execute(known).first() is None:
        connection.execute(
            insert(payouts).values(
                chain=chain,
                model=model,
                batch_id=found.batch_id,
                kind=found.kind,
                account=found.account,
                bitmap=found.bitmap,
                amount_wei=found.amount_wei,
                block_number=place.block_number,
                block_hash=place.block_hash,
                transaction_hash=place.transaction_hash,
                log_index=place.log_index,
            )
        )
    for batch_id in before | {found.batch_id}:
        refold(connection, chain, model, batch_id)


def forget_transaction(connection: Connection, transaction: Row[Any]) -> None:
    """Undo all that a transaction's block said: it is on its way again, and its batch, too."""
    connection.execute(
        update(transactions).where(transactions.c.id == transaction.id).values(**NOT_IN_A_BLOCK)
    )
    connection.execute(
        update(claims).where(claims.c.transaction_id == transaction.id).values(paid=None, amount_wei=None)
    )
    if transaction.model is None:
        return
    from_it = payouts.c.chain == transaction.chain, payouts.c.transaction_hash == transaction.hash
    touched = set(connection.execute(select(payouts.c.batch_id).where(*from_it)).scalars())
    connection.execute(delete(payouts).where(*from_it))
    for batch_id in touched:
        refold(connection, transaction.chain, transaction.model, batch_id)
    contributed = select(batches).where(
        batches.c.transaction_id == transaction.id, batches.c.state.in_(("open", "settled"))
    )
    for row in connection.execute(contributed).all():
        release(connection, row)


def release(connection: Connection, row: Row[Any]) -> None:
    """A batch is not on-chain any more: one that this ledger sent is on its way again, others are gone."""
    _forget_batch_payouts(connection, row)
    if row.transaction_id is None:
        connection.execute(delete(samples).where(samples.c.batch == row.id))
        connection.execute(delete(batches).where(batches.c.id == row.id))
        return
    connection.execute(update(batches).where(batches.c.id == row.id).values(state="signed", **_PLANNED_AGAIN))
    connection.execute(
        update(transactions)
        .where(transactions.c.id == row.transaction_id, transactions.c.state.in_(DONE))
        .values(**NOT_IN_A_BLOCK)
    )


def roll_back(connection: Connection, chain: str, model: str, block_number: int) -> None:
    """Forget what blocks after this one said of a model."""
    later = payouts.c.chain == chain, payouts.c.model == model, payouts.c.block_number > block_number
    touched = set(connection.execute(select(payouts.c.batch_id).where(*later)).scalars())
    connection.execute(delete(payouts).where(*later))
    for batch_id in touched:
        refold(connection, chain, model, batch_id)
    gone = select(batches).where(
        batches.c.chain == chain, batches.c.model == model, batches.c.block_number > block_number
    )
    for row in connection.execute(gone).all():
        release(connection, row)
    mined = select(transactions).where(
        transactions.c.chain == chain,
        transactions.c.model == model,
        transactions.c.block_number > block_number,
        transactions.c.state.in_(DONE),
    )
    for row in connection.execute(mined).all():
        forget_transaction(connection, row)


def has_payout_after(block_number: int) -> ColumnElement[bool]:
    """Whether something left a batch in a later block, as a condition on `batches`."""
    return exists().where(
        payouts.c.chain == batches.c.chain,
        payouts.c.model == batches.c.model,
        payouts.c.batch_id == batches.c.batch_id,
        payouts.c.block_number > block_number,
    )


def refold(connection: Connection, chain: str, model: str, batch_id: int) -> None:
    """Work out anew what is settled of a batch, from everything that left it."""
    row = _batch(connection, chain, model, batch_id)
    if row is None or row.state not in {"open", "settled"}:
        return
    left = connection.execute(
        select(payouts.c.kind, payouts.c.account, payouts.c.bitmap, payouts.c.amount_wei).where(
            payouts.c.chain == chain, payouts.c.model == model, payouts.c.batch_id == batch_id
        )
    ).all()
    own = row.account.lower()
    refunded_wei = sum(paid.amount_wei for paid in left if paid.account.lower() == own)
    lost_wei = sum(paid.amount_wei for paid in left) - refunded_wei
    taken = row.taken if any(paid.kind == "report" for paid in left) else 0
    settled = taken
    for paid in left:
        if paid.kind == "refund":
            settled |= paid.bitmap
    deposit_wei = row.deposit_per_unit_wei * row.units
    if deposit_wei and refunded_wei + lost_wei == deposit_wei:
        settled = (1 << row._mapping["count"]) - 1  # noqa: SLF001 - `count` is a method of tuples
    # Without a deposit there are points, which only informative samples can earn.
    closed = refunded_wei + lost_wei == deposit_wei if deposit_wei else not row.informative & ~settled
    connection.execute(
        update(batches)
        .where(batches.c.id == row.id)
        .values(
            state="settled" if closed else "open",
            settled=settled,
            taken=taken,
            refunded_wei=refunded_wei,
            lost_wei=lost_wei,
        )
    )


def _batch(connection: Connection, chain: str, model: str, batch_id: int) -> Row[Any] | None:
    return connection.execute(
        select(batches).where(
            batches.c.chain == chain, batches.c.model == model, batches.c.batch_id == batch_id
        )
    ).one_or_none()


def _planned_for(connection: Connection, chain: str, transaction_hash: str) -> Row[Any] | None:
    """The batch that a transaction of this ledger was to contribute, whichever of its attempts was mined."""
    earlier = select(replaced.c.transaction_id).where(replaced.c.hash == transaction_hash)
    sent = select(transactions.c.id).where(
        transactions.c.chain == chain,
        or_(transactions.c.hash == transaction_hash, transactions.c.id.in_(earlier)),
    )
    return connection.execute(select(batches).where(batches.c.transaction_id.in_(sent))).one_or_none()


def _forget_batch_payouts(connection: Connection, row: Row[Any]) -> None:
    if row.batch_id is not None:
        connection.execute(
            delete(payouts).where(
                payouts.c.chain == row.chain,
                payouts.c.model == row.model,
                payouts.c.batch_id == row.batch_id,
                payouts.c.block_number >= row.block_number,
            )
        )


def _is_fresh(connection: Connection, chain: str, model: str, found: Sequence[Contribution]) -> list[bool]:
    """Which contributions this ledger knows nothing of: no transaction, no row, nothing that left them."""
    hashes = {one.place.transaction_hash for one in found}
    ids = {one.batch.id for one in found}
    own = set(
        connection.execute(
            select(transactions.c.hash).where(transactions.c.chain == chain, transactions.c.hash.in_(hashes))
        ).scalars()
    )
    # Hashes are no chain's own; one that is another's only takes the longer way.
    own.update(connection.execute(select(replaced.c.hash).where(replaced.c.hash.in_(hashes))).scalars())
    known: set[int | None] = set()
    for table in (batches, payouts):
        c = table.c
        known.update(
            connection.execute(
                select(c.batch_id).where(c.chain == chain, c.model == model, c.batch_id.in_(ids)).distinct()
            ).scalars()
        )
    times = Counter(one.batch.id for one in found)
    return [
        one.place.transaction_hash not in own and one.batch.id not in known and times[one.batch.id] == 1
        for one in found
    ]


def _insert(
    connection: Connection, chain: str, model: str, found: Sequence[Contribution], own: Collection[str]
) -> None:
    """Batches that this ledger did not send: others', or one's own from before the ledger was lost."""
    if not found:
        return
    rows = []
    for one in found:
        batch = one.batch
        # As `refold` would find it: nothing left it yet, and without a deposit only points can be open.
        is_open = batch.deposit_per_unit_wei * batch.units or batch.informative
        rows.append(
            {
                "chain": chain,
                "account": batch.contributor,
                "model": model,
                "state": "open" if is_open else "settled",
                "count": batch.count,
                "units": batch.units,
                "samples_root": batch.samples_root,
                "batch_id": batch.id,
                "added_at": batch.added_at,
                "deposit_per_unit_wei": batch.deposit_per_unit_wei,
                "informative": batch.informative,
                "block_number": one.place.block_number,
                "block_hash": one.place.block_hash,
                "payload": one.payload,
            }
        )
    connection.execute(insert(batches), rows)
    _insert_samples(connection, chain, model, [one for one in found if one.batch.contributor in own])


def _insert_samples(connection: Connection, chain: str, model: str, found: Sequence[Contribution]) -> None:
    """The samples of one's own batches, whose rows nobody knows any more."""
    if not found:
        return
    c = batches.c
    ids = select(c.batch_id, c.id).where(
        c.chain == chain, c.model == model, c.batch_id.in_([one.batch.id for one in found])
    )
    rows = dict(connection.execute(ids).all())
    values = []
    for account in {one.batch.contributor for one in found}:
        place = {"chain": chain, "account": account, "model": model}
        of_account = [one for one in found if one.batch.contributor == account]
        free = _free_occurrences(connection, place, {key for one in of_account for key in one.keys})
        for one in of_account:
            for position, key in enumerate(one.keys):
                values.append(
                    place
                    | {
                        "key": key,
                        "occurrence": free[key],
                        "batch": rows[one.batch.id],
                        "position": position,
                        "row_number": 0,
                    }
                )
                free[key] += 1
    # In the order of their index, which is written with each of them.
    values.sort(key=itemgetter("key"))
    connection.execute(insert(samples), values)


def _free_occurrences(
    connection: Connection, place: dict[str, str], keys: Collection[bytes]
) -> Counter[bytes]:
    """From which occurrence on each key is free."""
    free = Counter[bytes]()
    wanted = sorted(keys)
    for at in range(0, len(wanted), _MOST_KEYS):
        part = wanted[at : at + _MOST_KEYS]
        query = select(samples.c.key, samples.c.occurrence).where(
            samples.c.chain == place["chain"],
            samples.c.account == place["account"],
            samples.c.model == place["model"],
            samples.c.key.in_(part),
        )
        for key, occurrence in connection.execute(query):
            free[bytes(key)] = max(free[bytes(key)], occurrence + 1)
    return free
