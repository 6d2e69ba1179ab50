"""Transactions in the ledger: signed, replaced, settled, and what they claim."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update

from dcai_cli.errors import Locked
from dcai_cli.ledger import fold
from dcai_cli.ledger.database import Database, lock_account, skip_locked
from dcai_cli.ledger.fold import DONE, UNSETTLED
from dcai_cli.ledger.records import (
    Attempt,
    Claim,
    Outcome,
    Payout,
    StoredBatch,
    StoredTransaction,
)
from dcai_cli.ledger.schema import batches, claims, replaced, transactions

if TYPE_CHECKING:
    from typing import Protocol

    class Signed(Protocol):
        """A signed transaction, as the chain floor makes it."""

        @property
        def hash(self) -> str: ...  # noqa: D102
        @property
        def raw(self) -> bytes: ...  # noqa: D102
        @property
        def nonce(self) -> int: ...  # noqa: D102


class TransactionStore(Database):
    """The part of the ledger that has the transactions; every method is one database transaction."""

    def add_transaction(
        self,
        *,
        chain: str,
        account: str,
        kind: str,
        created_at: int,
        next_nonce: int,
        sign: Callable[[int], Signed],
        detail: str = "",
        model: str | None = None,
        batch: StoredBatch | None = None,
        asked: Iterable[Claim] = (),
        over: Collection[int] = (),
    ) -> StoredTransaction:
        """Choose a nonce, sign, and write the transaction down with what it is about, before it is sent.

        Signing the same once more gives the same hash; what was dropped under it is forgotten.

        Args:
            chain: the chain's key.
            account: whose nonce it is.
            kind: what it does.
            created_at: now.
            next_nonce: the next nonce as the node has it; nonces of transactions on their way are left out.
            sign: signs with a nonce.
            detail: what the kind leaves open.
            model: the trainer's address, if it is about one.
            batch: the planned batch that it contributes.
            asked: what it claims.
            over: transactions on their way (their ids) that no node takes, so that their nonces are free.

        Raises:
            Locked: the batch, or one that it claims, is another process's work by now.
        """
        values: dict[str, Any] = {"kind": kind, "detail": detail, "model": model, "created_at": created_at}
        with self._begin() as connection:
            lock_account(connection, chain, account)
            _check_free(connection, (chain, account), batch, model, asked := list(asked), over)
            nonce = _free_nonce(connection, chain, account, next_nonce, over)
            signed = sign(nonce)
            _check_new(connection, signed.hash)
            dropped = transactions.c.hash == signed.hash, transactions.c.state == "dropped"
            same = select(transactions.c.id).where(*dropped)
            connection.execute(delete(claims).where(claims.c.transaction_id.in_(same)))
            connection.execute(delete(replaced).where(replaced.c.transaction_id.in_(same)))
            connection.execute(delete(transactions).where(*dropped))
            result = connection.execute(
                insert(transactions).values(
                    chain=chain,
                    account=account,
                    hash=signed.hash,
                    nonce=nonce,
                    raw=signed.raw,
                    state="signed",
                    **values,
                )
            )
            (transaction,) = result.inserted_primary_key or (None,)
            if batch is not None:
                connection.execute(
                    update(batches)
                    .where(batches.c.id == batch.id)
                    .values(state="signed", transaction_id=transaction)
                )
            for claim in asked:
                connection.execute(
                    insert(claims).values(
                        transaction_id=transaction, kind=claim.kind, batch_id=claim.batch_id, mask=claim.mask
                    )
                )
            return StoredTransaction(*_reread(connection, transactions, transaction))

    def replace(self, transaction: StoredTransaction, signed: Signed, *, cancels: bool) -> StoredTransaction:
        """Write down another attempt at a transaction, of the same nonce, before it is sent.

        Args:
            transaction: one that is on its way.
            signed: the new attempt.
            cancels: whether it only uses up the nonce.

        Raises:
            Locked: it is not on its way any more, or another process replaced it.
        """
        with self._begin() as connection:
            lock_account(connection, transaction.chain, transaction.account)
            row = _reread(connection, transactions, transaction.id)
            if row.state not in UNSETTLED or row.hash != transaction.hash:
                raise Locked(
                    f"Transaction {transaction.hash} is {row.state} by now, or another process replaced it.",
                    hint="Look at it again: dcai tx list",
                )
            # After a reorganisation the same offer can be made again.
            connection.execute(delete(replaced).where(replaced.c.hash == signed.hash))
            connection.execute(
                insert(replaced).values(
                    hash=row.hash, transaction_id=row.id, raw=row.raw, cancels=row.cancels
                )
            )
            connection.execute(
                update(transactions)
                .where(transactions.c.id == row.id)
                .values(hash=signed.hash, raw=signed.raw, cancels=cancels, state="signed")
            )
            return StoredTransaction(*_reread(connection, transactions, transaction.id))

    def attempts(self, transaction: StoredTransaction) -> list[Attempt]:
        """All attempts at a transaction, the newest, or the one that was mined, first."""
        query = select(replaced.c.hash, replaced.c.raw, replaced.c.cancels).where(
            replaced.c.transaction_id == transaction.id
        )
        with self._begin(write=False) as connection:
            earlier = [Attempt(row.hash, bytes(row.raw), row.cancels) for row in connection.execute(query)]
        return [Attempt(transaction.hash, transaction.raw, transaction.cancels), *earlier]

    def mark_sent(self, transaction: StoredTransaction) -> None:
        """A node took the transaction."""
        with self._begin() as connection:
            connection.execute(
                update(transactions)
                .where(transactions.c.id == transaction.id, transactions.c.state == "signed")
                .values(state="sent")
            )

    def drop(self, transaction: StoredTransaction) -> None:
        """The transaction can never be mined: its nonce was used by another; its batch is a plan again."""
        with self._begin() as connection:
            result = connection.execute(
                update(transactions)
                .where(transactions.c.id == transaction.id, transactions.c.state.in_(UNSETTLED))
                .values(state="dropped")
            )
            if result.rowcount:
                _unplan(connection, transaction)

    def settle(self, transaction: StoredTransaction, outcome: Outcome) -> None:
        """Write down what became of a transaction, and all that follows from it, once."""
        with self._begin() as connection:
            if transaction.model is not None:
                fold.lock_model(connection, transaction.chain, transaction.model)
            row = _reread(connection, transactions, transaction.id)
            if row.state not in UNSETTLED:
                return  # another process was faster
            cancelled = _make_current(connection, row, outcome.hash or row.hash)
            state = "mined" if outcome.status else "reverted"
            connection.execute(
                update(transactions)
                .where(transactions.c.id == transaction.id)
                .values(
                    state="cancelled" if cancelled else state,
                    block_number=outcome.block_number,
                    block_hash=outcome.block_hash,
                    gas_used=outcome.gas_used,
                    fee_wei=outcome.fee_wei,
                    contract_address=outcome.contract_address,
                )
            )
            if cancelled or not outcome.status:
                _unplan(connection, transaction)
                return
            if outcome.contributed is not None:
                batch = select(batches).where(batches.c.transaction_id == transaction.id)
                planned = connection.execute(batch).one_or_none()
                if planned is not None:
                    fold.open_batch(connection, planned, outcome.contributed)
            if transaction.model is not None:
                for paid in outcome.payouts:
                    fold.take_payout(connection, transaction.chain, transaction.model, paid)
                    _record_payment(connection, transaction, paid)

    def unsettle(self, transaction: StoredTransaction) -> StoredTransaction:
        """The block of a transaction was reorganised away: it is on its way again, with all that it did."""
        with self._begin() as connection:
            if transaction.model is not None:
                fold.lock_model(connection, transaction.chain, transaction.model)
            row = _reread(connection, transactions, transaction.id)
            if row.state in DONE and row.block_hash == transaction.block_hash:
                fold.forget_transaction(connection, row)
            return StoredTransaction(*_reread(connection, transactions, transaction.id))

    def finalize(self, done: Sequence[StoredTransaction]) -> None:
        """No reorganisation is expected to reach the blocks of these any more."""
        with self._begin() as connection:
            for transaction in done:
                connection.execute(
                    update(transactions)
                    .where(
                        transactions.c.id == transaction.id,
                        transactions.c.block_hash == transaction.block_hash,
                    )
                    .values(final=True)
                )

    def claims_in_flight(
        self, chain: str, account: str, *, over: Collection[int] = ()
    ) -> dict[tuple[str, int], int]:
        """What an account's transactions on their way claim: (model, batch id) to the transaction's number.

        Args:
            chain: the chain's key.
            account: who claims; what others claim of the same batches is no business of its own.
            over: transactions that no node takes, so that what they claim is free.
        """
        query = (
            select(transactions.c.model, claims.c.batch_id, transactions.c.id)
            .join(claims, claims.c.transaction_id == transactions.c.id)
            .where(transactions.c.chain == chain, *_claims(account, over))
        )
        with self._begin(write=False) as connection:
            return {(model, batch_id): identity for model, batch_id, identity in connection.execute(query)}

    @contextmanager
    def hold(self, rows: Sequence[int], account: str, *, over: Collection[int] = ()) -> Iterator[set[int]]:
        """Hold batches while it is found out whether claiming them pays; others that claim pass them by.

        Args:
            rows: the batches' numbers in the ledger.
            account: who claims.
            over: transactions that no node takes.

        Yields:
            Those that are open and free: nobody else holds them, and no transaction of this account that is
            on its way claims them.
        """
        claimed = (
            select(claims.c.id)
            .join(transactions, claims.c.transaction_id == transactions.c.id)
            .where(
                claims.c.batch_id == batches.c.batch_id,
                transactions.c.chain == batches.c.chain,
                transactions.c.model == batches.c.model,
                *_claims(account, over),
            )
            .exists()
        )
        query = select(batches.c.id).where(batches.c.id.in_(rows), batches.c.state == "open", ~claimed)
        if not self.is_server:
            # One process at a time: the account's lock. A transaction held open would keep writers waiting.
            with self._begin(write=False) as connection:
                free = set(connection.execute(query).scalars())
            yield free
            return
        with self._begin() as connection:
            yield set(connection.execute(skip_locked(query)).scalars())

    def fees_wei(self, chain: str, account: str, *, kinds: Sequence[str], since: int) -> int:
        """What an account paid for transactions of some kinds that it signed since a time."""
        query = select(transactions.c.fee_wei).where(
            transactions.c.chain == chain,
            transactions.c.account == account,
            transactions.c.kind.in_(kinds),
            transactions.c.created_at >= since,
            transactions.c.fee_wei.is_not(None),
        )
        with self._begin(write=False) as connection:
            return sum(connection.execute(query).scalars())

    def transaction(self, identity: int) -> StoredTransaction:
        """One transaction as it stands now."""
        with self._begin(write=False) as connection:
            return StoredTransaction(*_reread(connection, transactions, identity))

    def transactions(
        self,
        chain: str,
        *,
        account: str | None = None,
        states: Sequence[str] = (),
        kind: str | None = None,
        final: bool | None = None,
    ) -> list[StoredTransaction]:
        """Transactions of a chain in the order of their nonces per account."""
        query = select(transactions).where(transactions.c.chain == chain)
        if account is not None:
            query = query.where(transactions.c.account == account)
        if states:
            query = query.where(transactions.c.state.in_(states))
        if kind is not None:
            query = query.where(transactions.c.kind == kind)
        if final is not None:
            query = query.where(transactions.c.final.is_(final))
        with self._begin(write=False) as connection:
            rows = connection.execute(query.order_by(transactions.c.nonce, transactions.c.id))
            return [StoredTransaction(*row) for row in rows]


def _reread(connection: Connection, table: Table, identity: int | None) -> Any:  # noqa: ANN401
    return connection.execute(select(table).where(table.c.id == identity)).one()


def _unplan(connection: Connection, transaction: StoredTransaction) -> None:
    connection.execute(
        update(batches)
        .where(batches.c.transaction_id == transaction.id)
        .values(state="planned", transaction_id=None)
    )


def _claims(account: str, over: Collection[int]) -> tuple[ColumnElement[bool], ...]:
    """Whether a transaction's claims count: it is this account's, on its way, and not given up."""
    return (
        transactions.c.account == account,
        transactions.c.state.in_(UNSETTLED),
        transactions.c.id.not_in(over),
    )


def _check_new(connection: Connection, signed_hash: str) -> None:
    """The same bytes must not be two transactions: both would be taken for mined."""
    current = select(transactions.c.id).where(
        transactions.c.hash == signed_hash, transactions.c.state != "dropped"
    )
    earlier = (
        select(transactions.c.id)
        .join(replaced, replaced.c.transaction_id == transactions.c.id)
        .where(replaced.c.hash == signed_hash, transactions.c.state != "dropped")
    )
    if connection.execute(current.union(earlier)).first() is not None:
        raise Locked(
            f"Transaction {signed_hash} is on its way already.",
            hint="See it: dcai tx list. With other fees it is another one.",
        )


def _check_free(
    connection: Connection,
    of: tuple[str, str],
    batch: StoredBatch | None,
    model: str | None,
    asked: Sequence[Claim],
    over: Collection[int],
) -> None:
    chain, account = of
    if batch is not None and _reread(connection, batches, batch.id).state != "planned":
        raise Locked("Another process has taken over the planned batch.", hint="Run the same command again.")
    in_flight = (
        select(claims.c.batch_id)
        .join(transactions, claims.c.transaction_id == transactions.c.id)
        .where(transactions.c.chain == chain, transactions.c.model == model, *_claims(account, over))
    )
    taken = set(connection.execute(in_flight).scalars()) if asked else set()
    for claim in asked:
        if claim.batch_id in taken:
            raise Locked(
                f"Another transaction that claims batch {claim.batch_id} is on its way.",
                hint="Run the same command again.",
            )


def _free_nonce(
    connection: Connection, chain: str, account: str, next_nonce: int, over: Collection[int]
) -> int:
    """The first nonce that neither the node nor the ledger knows to be used."""
    own = transactions.c.chain == chain, transactions.c.account == account
    mined = select(func.max(transactions.c.nonce)).where(*own, transactions.c.state.in_(DONE))
    last = connection.execute(mined).scalar_one()
    # Behind one URL there may be several nodes, and one may lag behind what another has told before.
    nonce = max(next_nonce, 0 if last is None else last + 1)
    flying = select(transactions.c.nonce, transactions.c.id).where(*own, transactions.c.state.in_(UNSETTLED))
    used = {used for used, identity in connection.execute(flying) if identity not in over}
    while nonce in used:
        nonce += 1
    return nonce


def _make_current(connection: Connection, row: Any, mined_hash: str) -> bool:  # noqa: ANN401 - a row
    """Make the attempt that was mined the transaction's own; returns whether it is a cancellation."""
    if mined_hash == row.hash:
        return bool(row.cancels)
    earlier = connection.execute(select(replaced).where(replaced.c.hash == mined_hash)).one()
    connection.execute(delete(replaced).where(replaced.c.hash == mined_hash))
    connection.execute(
        update(transactions)
        .where(transactions.c.id == row.id)
        .values(hash=earlier.hash, raw=earlier.raw, cancels=earlier.cancels)
    )
    connection.execute(
        insert(replaced).values(hash=row.hash, transaction_id=row.id, raw=row.raw, cancels=row.cancels)
    )
    return bool(earlier.cancels)


def _record_payment(connection: Connection, transaction: StoredTransaction, paid: Payout) -> None:
    claim = claims.c.transaction_id == transaction.id, claims.c.batch_id == paid.batch_id
    bitmap = paid.bitmap
    if paid.kind == "sweep":  # it takes what is left of every sample that was open
        bitmap = connection.execute(select(claims.c.mask).where(*claim)).scalar_one_or_none() or 0
    connection.execute(update(claims).where(*claim).values(paid=bitmap, amount_wei=paid.amount_wei))
