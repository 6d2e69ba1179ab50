"""What this user committed to in prediction markets."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, insert, select, update

from dcai_cli.ledger.database import Database
from dcai_cli.ledger.records import Commitment
from dcai_cli.ledger.schema import commitments, transactions


class CommitmentStore(Database):
    """The part of the ledger that has commitments; every method is one database transaction."""

    def keep(self, chain: str, account: str, market: str, found: Sequence[Commitment]) -> None:
        """Write down what must be shown later, before anything is signed.

        What was kept before stays, since its hash may be on its way; but weights, which no hash tells apart.

        Args:
            chain: the chain's key.
            account: who will show it.
            market: the address of the market.
            found: what is to be kept.
        """
        of_market = self._of(chain, account, market)
        with self._begin() as connection:
            connection.execute(delete(commitments).where(*of_market, commitments.c.kind == "weights"))
            query = select(commitments.c.hash).where(*of_market)
            known = {bytes(hash_) for hash_ in connection.execute(query).scalars()}
            connection.execute(update(commitments).where(*of_market).values(closed=False))
            for one in found:
                if one.hash in known:
                    continue
                known.add(one.hash)
                connection.execute(
                    insert(commitments).values(
                        chain=chain,
                        account=account,
                        market=market,
                        kind=one.kind,
                        number=one.number,
                        hash=one.hash,
                        closed=False,
                        payload=one.payload,
                    )
                )

    def kept(self, chain: str, account: str, market: str, *, kind: str) -> list[Commitment]:
        """What an account keeps of one kind for a market, in the order of its numbers."""
        c = commitments.c
        query = (
            select(c.kind, c.number, c.hash, c.payload)
            .where(*self._of(chain, account, market), c.kind == kind)
            .order_by(c.number, c.id)
        )
        with self._begin(write=False) as connection:
            return [
                Commitment(row.kind, row.number, bytes(row.hash), bytes(row.payload))
                for row in connection.execute(query)
            ]

    def markets(self, chain: str, account: str | None = None, *, closed: bool | None = None) -> list[str]:
        """The markets of a chain that an account takes part in, in the order in which it began to.

        Args:
            chain: the chain's key.
            account: anybody's if None.
            closed: only those where nothing is to be done any more, or only the others.
        """
        query = select(commitments.c.market).where(commitments.c.chain == chain).order_by(commitments.c.id)
        if account is not None:
            query = query.where(commitments.c.account == account)
        if closed is not None:
            query = query.where(commitments.c.closed.is_(closed))
        with self._begin(write=False) as connection:
            return list(dict.fromkeys(connection.execute(query).scalars()))

    def market_words(self) -> list[tuple[str, str, bool]]:
        """What markets of all chains can be called by: the chain's key, the word, and whether it is a name.

        Those that this user made have names here; of those that it takes part in the address is known.
        """
        made = select(transactions.c.chain, transactions.c.detail).where(
            transactions.c.kind == "market-create", transactions.c.state == "mined"
        )
        joined = select(commitments.c.chain, commitments.c.market).where(commitments.c.kind == "contribution")
        with self._begin(write=False) as connection:
            names = connection.execute(made.order_by(transactions.c.id)).all()
            addresses = connection.execute(joined.order_by(commitments.c.id)).all()
        found = [(str(chain), str(name), True) for chain, name in names]
        found += [(str(chain), str(address), False) for chain, address in addresses]
        return list(dict.fromkeys(found))

    def close_market(self, chain: str, account: str, market: str) -> None:
        """Nothing is to be done for an account in a market any more."""
        with self._begin() as connection:
            connection.execute(
                update(commitments).where(*self._of(chain, account, market)).values(closed=True)
            )

    @staticmethod
    def _of(chain: str, account: str, market: str) -> tuple[ColumnElement[bool], ...]:
        c = commitments.c
        return c.chain == chain, c.account == account, c.market == market
