"""What a batch costs and offers, and what is said where that is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.chain.price import deposit_per_unit_wei
from dcai_cli.domain import format_ether, told_apart
from dcai_cli.errors import InsufficientFunds, LimitExceeded, Reverted
from dcai_cli.services.models import HostedModel

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.ledger import StoredTransaction


def highest_unit_price_wei(model: HostedModel) -> int:
    """What one unit can cost at most: the price of a batch that follows another at once.

    The price formula falls with every idle second, from cost weight * 3600 a unit.
    """
    return model.terms.cost_weight_wei * 3600


def deposit_wei(model: HostedModel, units: int, idle: int) -> int:
    """What a batch of so many units costs so many seconds after the one before."""
    return units * deposit_per_unit_wei(model.terms, units, idle)


def idle_s(chain: Chain, model: HostedModel) -> int:
    """How long it is ago, by the chain's clock, that anybody contributed, or that the model was sealed."""
    last = chain.view("CollaborativeTrainer", model.address, "lastContributedAt")
    last = last or chain.view("CollaborativeTrainer", model.address, "sealedAt")
    return max(0, chain.timestamp() - int(last))


def required_wei(error: Reverted) -> int | None:
    """What the contract asked for, if it refused too small a deposit."""
    price_wei = error.values.get("requiredWei")
    return price_wei if isinstance(price_wei, int) else None


def too_dear(price_wei: int, offer_wei: int, refused: StoredTransaction | None = None) -> LimitExceeded:
    """The error of a batch that others made dearer than its ceiling.

    Args:
        price_wei: what it would cost.
        offer_wei: the ceiling.
        refused: the transaction that the contract refused for that; None if none was sent.
    """
    price, offer = told_apart(price_wei, offer_wei)
    if refused is None:
        what = f"a batch would cost {price} now, above the {offer} that --max-rise allows; it was not sent"
    else:
        fee = format_ether(refused.fee_wei or 0)
        what = (
            f"a batch would have cost {price}, above the {offer} that --max-rise allows; it was refused "
            f"(transaction {refused.hash}), its fee of {fee} is gone, and nothing of the deposit"
        )
    return LimitExceeded(
        f"Others contributed first: {what}.",
        hint="Type the same command again later, when it costs less, or raise --max-rise.",
    )


def too_poor(
    address: str, balance_wei: int, needed_wei: int, what: str = "Deposits and fees"
) -> InsufficientFunds:
    """The error of an account that cannot pay."""
    needed, balance = told_apart(needed_wei, balance_wei)
    return InsufficientFunds(
        f"{what} can take {needed}; {address} has {balance}.",
        hint="Send ether to the account, or send fewer rows: --limit N",
    )
