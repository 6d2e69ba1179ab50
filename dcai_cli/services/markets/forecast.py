"""What rows do to the test samples that a market has shown: all that can be known before a stake is paid."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcai_cli.chain import PrunedLogs
from dcai_cli.chain.factory import MARKET, REPLAY
from dcai_cli.services.models import snapshot

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.models.replica import Replica
    from dcai_cli.services.markets.market import Market

_BLOCKS_OF_A_SECOND = 32
"""Blocks that may have the same time, on fast chains."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What rows do to the piece that was shown, if nobody else takes part.

    Args:
        samples: of the piece.
        before: how many of them the model gets right that training begins with.
        after: the same once it has learned the rows, in the order of the file.
    """

    samples: int
    before: int
    after: int


def forecast(chain: Chain, market: Market, payload: bytes) -> Forecast | None:
    """Try a contribution on the piece that was shown, with a replica of the model that training begins with.

    Args:
        chain: the chain.
        market: while contributions are committed.
        payload: the samples of the contribution.

    Returns:
        None if the node does not have the piece any more.
    """
    shown = _shown(chain, market)
    if shown is None:
        return None
    # Until the first step of the evaluation it is as the provider left it.
    working = str(chain.view(REPLAY, market.replay, "working"))
    model = snapshot(chain, replace(market.model, model=working))
    before = _right(model, shown)
    model.train(payload)
    return Forecast(market.rules.piece_samples, before, _right(model, shown))


def _shown(chain: Chain, market: Market) -> bytes | None:
    """The samples of the drawn piece, by the event of the block whose time the market keeps."""
    head = chain.block_number()
    blocks = range(market.draw_block, head + 1)
    first = market.draw_block + bisect_left(blocks, market.since, key=chain.block_time)
    last = min(head, first + _BLOCKS_OF_A_SECOND)
    try:
        found = chain.logs(MARKET, market.address, "PieceRevealed", first, last)
    except PrunedLogs:
        return None
    return next((bytes(event.args["payload"]) for event in found), None)


def _right(model: Replica, samples: bytes) -> int:
    return int((model.leads(samples) > 0).sum())
