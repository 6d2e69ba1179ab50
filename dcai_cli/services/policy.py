"""When a claim is worth its gas: what a user, or the daemon, allows it to cost."""

from __future__ import annotations

from dataclasses import dataclass

DEADLINE_MARGIN_S = 21_600
"""So long before others can take a deposit, what it may cost to claim it rises."""


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    """What claims may cost.

    Args:
        max_fee_per_gas_wei: ceiling in quiet times; None for no ceiling.
        deadline_margin_s: this near to the time from which others can take a deposit, the ceiling rises up to
            what is at stake.
        min_profit_wei: claims must pay so much more than their gas.
        budget_wei: fees that this call may spend; None for no limit. Claims near their deadline are exempt.
    """

    max_fee_per_gas_wei: int | None = None
    deadline_margin_s: int = DEADLINE_MARGIN_S
    min_profit_wei: int = 0
    budget_wei: int | None = None
