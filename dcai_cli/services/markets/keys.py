"""What hides a commitment until it is shown: salts that follow from the key, and stand nowhere.

A salt is a hash of a signature by the account over a text that names chain, market and what is hidden.
Signatures are deterministic (RFC 6979), so the same key always gives the same salt: it cannot be lost while
the key is there, and whoever reads the ledger cannot compute it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.chain.market import commitment_of, piece_hash
from dcai_cli.hashing import keccak256
from dcai_cli.ledger import Commitment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eth_account.signers.local import LocalAccount

_TEXT = (
    "The salt of {what} in the prediction market {market} on chain {chain_id}. Whoever has this signature "
    "can find out what is hidden until it is shown: sign this text nowhere else."
)


def piece_salt(key: LocalAccount, chain_id: int, market: str, index: int) -> bytes:
    """What hides a piece of a test set.

    Args:
        key: the provider's.
        chain_id: of the chain.
        market: the address of the market.
        index: the number of the piece.
    """
    return _salt(key, _TEXT.format(what=f"piece {index}", market=market, chain_id=chain_id))


def contribution_salt(key: LocalAccount, chain_id: int, market: str) -> bytes:
    """What hides a contribution; the arguments are those of `piece_salt`."""
    return _salt(key, _TEXT.format(what="the contribution", market=market, chain_id=chain_id))


def _salt(key: LocalAccount, text: str) -> bytes:
    from eth_account.messages import encode_defunct

    signed = key.sign_message(encode_defunct(text=text))
    return keccak256(signed.r.to_bytes(32, "big") + signed.s.to_bytes(32, "big"))


def committed_pieces(
    key: LocalAccount, chain_id: int, market: str, payloads: Sequence[bytes]
) -> list[Commitment]:
    """The pieces of a test set with the hashes that hide them; the arguments are those of `piece_salt`."""
    return [
        Commitment(
            "piece",
            index,
            piece_hash(
                chain_id,
                market,
                index,
                len(payloads),
                piece_salt(key, chain_id, market, index),
                payload,
            ),
            payload,
        )
        for index, payload in enumerate(payloads)
    ]


def committed_contribution(
    key: LocalAccount, chain_id: int, market: str, payload: bytes, units: int
) -> Commitment:
    """A contribution with the hash that hides it; the arguments are those of `piece_salt`."""
    salt = contribution_salt(key, chain_id, market)
    hash_ = commitment_of(chain_id, market, key.address, units, salt, payload)
    return Commitment("contribution", 0, hash_, payload)
