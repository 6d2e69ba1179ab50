"""What an account has out in models: how much, how much of it can be had, how much is in danger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcai_cli.services.claims.items import ClaimItem


@dataclass(frozen=True, slots=True)
class Endangered:
    """A deposit that others can take, or soon can.

    Args:
        model: the model's address.
        model_name: what this user calls it.
        batch_id: the batch.
        amount_wei: what is left of its deposit.
        deadline: from when others can take it.
        code: what keeps it from being claimed.
        reason: the same in words.
    """

    model: str
    model_name: str
    batch_id: int
    amount_wei: int
    deadline: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is out at one moment of the chain's time.

    Args:
        pending_batches: batches with something open; those with points, too.
        pending_wei: what is left of their deposits.
        claimable_batches: those of them that can be claimed now, in part at least.
        claimable_wei: what is left of these.
        at_risk_batches: those that others can take, or soon can.
        at_risk_wei: what is left of these.
        oldest_deadline: when others can take the first of what is out; None if nothing has a deadline.
        next_moment: when the next batch becomes due or comes near its deadline; None if none does.
        chain_time: the chain's time at which all this holds.
    """

    pending_batches: int = 0
    pending_wei: int = 0
    claimable_batches: int = 0
    claimable_wei: int = 0
    at_risk_batches: int = 0
    at_risk_wei: int = 0
    oldest_deadline: int | None = None
    next_moment: int | None = None
    chain_time: int | None = None


def is_endangered(item: ClaimItem, now: int, margin_s: int) -> bool:
    """Whether others can take a batch, or can within a margin."""
    return item.expires_at is not None and item.amount_wei > 0 and now >= item.expires_at - margin_s


def expose(items: Iterable[ClaimItem], now: int, margin_s: int) -> Exposure:
    """Sum up one's own batches.

    Args:
        items: what is open.
        now: the chain's time.
        margin_s: how near to its deadline a batch counts as at risk.
    """
    pending = list(items)
    claimable = [item for item in pending if item.is_claimable]
    at_risk = [item for item in pending if is_endangered(item, now, margin_s)]
    deadlines = [item.expires_at for item in pending if item.expires_at is not None and item.amount_wei]
    moments = [item.due_at for item in pending] + [deadline - margin_s for deadline in deadlines] + deadlines
    return Exposure(
        pending_batches=len(pending),
        pending_wei=sum(item.amount_wei for item in pending),
        claimable_batches=len(claimable),
        claimable_wei=sum(item.amount_wei for item in claimable),
        at_risk_batches=len(at_risk),
        at_risk_wei=sum(item.amount_wei for item in at_risk),
        oldest_deadline=min(deadlines, default=None),
        next_moment=min((moment for moment in moments if moment > now), default=None),
        chain_time=now,
    )
