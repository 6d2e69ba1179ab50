"""What a unit of gas is offered: EIP-1559 fees from what blocks took lately, or one price on older networks.

A block takes its base fee, which follows how full the blocks before were, and a priority fee on top. An
offer has two parts: the priority fee, and the most that both may be together. Only what the block asks is
paid, so a high maximum costs nothing. What must not be too high is the priority fee, which is always paid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dcai_cli.chain.answers import to_form, to_number
from dcai_cli.chain.errors import FeesAboveCeiling, RpcError
from dcai_cli.chain.records import Fees

Request = Callable[..., Any]
"""Asks a node: method and parameters."""

MOST_WEI = 10**16
"""No network asks as much for a unit of gas: a plain transfer would cost 210 coins. More is nonsense."""

_BLOCKS = 20
_PERCENTILES = (10, 50)
_FULL_RATIO = 0.1
_DEFAULT_PRIORITY_WEI = 10**9
_MOST_PRIORITY_WEI = 50 * 10**9
_LEAST_PRIORITY_WEI = 1


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user fixed, and the most that may be offered.

    Args:
        gas_price_wei: a fixed price of a unit of gas, base fee and priority fee together.
        priority_fee_wei: a fixed priority fee.
        ceiling_wei: the most that a unit of gas may cost.
    """

    gas_price_wei: int | None = None
    priority_fee_wei: int | None = None
    ceiling_wei: int | None = None


@dataclass(frozen=True, slots=True)
class _Market:
    """What blocks ask: the next base fee, the priority fee to offer, and the least that was taken."""

    base_fee_wei: int
    priority_wei: int
    least_priority_wei: int


@dataclass(frozen=True, slots=True)
class _History:
    """The next block's base fee; for each block that says something, two percentiles of its priority fees."""

    next_base_fee_wei: int
    rewards_wei: list[tuple[int, int]]


def current_fees(request: Request, wishes: Wishes) -> Fees:
    """What to offer for gas now.

    The maximum is twice the next base fee and the priority fee: base fees rise by an eighth a block at most,
    so five full blocks may come first. Where the ceiling is below, the ceiling is offered.

    Args:
        request: asks the node.
        wishes: what the user fixed, and the ceiling. A fixed gas price is offered as it is, and is a ceiling,
            too: what no block takes now could wait for days, with a deposit in it.

    Raises:
        FeesAboveCeiling: no block takes a transaction for as little as the ceiling, or the fixed price.
        RpcError: the node's answer makes no sense.
    """
    history = _fee_history(request)
    base_fee = history.next_base_fee_wei if history is not None else 0
    if not base_fee:
        # Networks before EIP-1559 say zero or nothing; a few newer ones really have base fees of zero.
        block_base_fee = _latest_base_fee(request)
        if block_base_fee is None:
            return _legacy(request, wishes)
        base_fee = block_base_fee
    market = _market(request, base_fee, history.rewards_wei if history is not None else [], wishes)
    most = wishes.gas_price_wei
    if most is None:
        most = 2 * market.base_fee_wei + market.priority_wei
    limits = [limit for limit in (wishes.gas_price_wei, wishes.ceiling_wei) if limit is not None]
    if limits and most >= min(limits):
        most = min(limits)
        least = market.base_fee_wei + market.least_priority_wei
        if least > most:
            raise FeesAboveCeiling(least, most)
    return Fees(most, min(market.priority_wei, most), market.base_fee_wei)


def bumped(old: Fees, now: Fees, ceiling_wei: int | None = None) -> Fees:
    """What to offer for a transaction that takes the place of another one with the same nonce.

    Nodes want a tenth more of both fees; this offers an eighth more, rounded up, and at least what the market
    asks.

    Args:
        old: what the transaction offers that is to be replaced.
        now: what is offered now (`Chain.fees`).
        ceiling_wei: the most that a unit of gas may cost.

    Raises:
        FeesAboveCeiling: nodes want more for a replacement, or blocks for any transaction.
    """
    least = _raised(old.max_fee_per_gas_wei)
    if now.base_fee_wei is not None and now.priority_fee_wei is not None:
        least = max(least, now.base_fee_wei + now.priority_fee_wei)
    elif now.priority_fee_wei is None:
        least = max(least, now.max_fee_per_gas_wei)
    most = max(least, now.max_fee_per_gas_wei)
    if ceiling_wei is not None and most > ceiling_wei:
        if least > ceiling_wei:
            raise FeesAboveCeiling(least, ceiling_wei)
        most = ceiling_wei
    if old.priority_fee_wei is None:
        return Fees(most, None, now.base_fee_wei)
    priority = max(_raised(old.priority_fee_wei), now.priority_fee_wei or 0)
    return Fees(most, min(priority, most), now.base_fee_wei)


def _raised(fee_wei: int) -> int:
    # Strictly more even of nothing: geth compares, and does not only add a tenth.
    return max(-(-fee_wei * 9 // 8), fee_wei + 1)


def _market(
    request: Request, base_fee_wei: int, rewards_wei: list[tuple[int, int]], wishes: Wishes
) -> _Market:
    if wishes.priority_fee_wei is not None:
        # Under a ceiling a block takes a smaller tip, too, than the one that the user would give.
        least = min(wishes.priority_fee_wei, _LEAST_PRIORITY_WEI)
        return _Market(base_fee_wei, wishes.priority_fee_wei, least)
    if rewards_wei:
        low, priority = (sorted(fees)[(len(fees) - 1) // 2] for fees in zip(*rewards_wei, strict=True))
    else:
        low = priority = 0
    if priority <= _LEAST_PRIORITY_WEI:
        # Nobody competes, or blocks show no tips at all: then the node knows what its network wants.
        low = priority = _suggested_priority_fee_wei(request, base_fee_wei)
    # Whatever a node says, more is never needed: the networks that demand most demand 25 to 30 gwei, whatever
    # their base fee is. Without a ceiling, nothing else bounds what a broken or dishonest node makes us pay.
    most = base_fee_wei + _MOST_PRIORITY_WEI
    priority = max(min(priority, most), _LEAST_PRIORITY_WEI)
    return _Market(base_fee_wei, priority, max(min(low, priority), _LEAST_PRIORITY_WEI))


def _suggested_priority_fee_wei(request: Request, base_fee_wei: int) -> int:
    try:
        answer = request("eth_maxPriorityFeePerGas")
    except RpcError:
        # The usual gwei would be a thousand times the base fee of a layer 2.
        return min(_DEFAULT_PRIORITY_WEI, base_fee_wei) or _DEFAULT_PRIORITY_WEI
    return _amount(answer, "eth_maxPriorityFeePerGas", 2**256)


def _legacy(request: Request, wishes: Wishes) -> Fees:
    price, ceiling = wishes.gas_price_wei, wishes.ceiling_wei
    if price is None or (ceiling is not None and price > ceiling):
        least = _amount(request("eth_gasPrice"), "eth_gasPrice")
        if ceiling is not None and least > ceiling:
            raise FeesAboveCeiling(least, ceiling)
        price = least if price is None else ceiling
    assert price is not None
    return Fees(price, None)


def _latest_base_fee(request: Request) -> int | None:
    block = to_form(request("eth_getBlockByNumber", "latest", False))
    base_fee = block.get("baseFeePerGas")
    return None if base_fee is None else _amount(base_fee, "eth_getBlockByNumber")


def _fee_history(request: Request) -> _History | None:
    try:
        answer = request("eth_feeHistory", hex(_BLOCKS), "latest", list(_PERCENTILES))
    except RpcError:
        return None  # An older node; the latest block serves, too.
    return _to_history(answer)


def _to_history(answer: object) -> _History:
    form = _mapping(answer)
    base_fees, ratios, rewards = (form.get(name) for name in ("baseFeePerGas", "gasUsedRatio", "reward"))
    if not isinstance(base_fees, list) or not isinstance(ratios, list) or len(base_fees) != len(ratios) + 1:
        raise _nonsense("eth_feeHistory", answer)
    if not all(isinstance(ratio, int | float) for ratio in ratios):
        raise _nonsense("eth_feeHistory", answer)
    found = []
    if rewards is not None:
        if not isinstance(rewards, list) or len(rewards) != len(ratios):
            raise _nonsense("eth_feeHistory", answer)
        for ratio, reward in zip(ratios, rewards, strict=True):
            if not isinstance(reward, list) or len(reward) != len(_PERCENTILES):
                raise _nonsense("eth_feeHistory", answer)
            low, middle = (_amount(fee, "eth_feeHistory", 2**256) for fee in reward)
            # In a block with room left nobody has to offer much, and what one transaction offers says little.
            if ratio >= _FULL_RATIO:
                found.append((low, middle))
    return _History(_amount(base_fees[-1], "eth_feeHistory"), found)


def _mapping(answer: object) -> Mapping[str, Any]:
    if not isinstance(answer, dict):
        raise _nonsense("eth_feeHistory", answer)
    return answer


def _amount(answer: object, method: str, most: int = MOST_WEI) -> int:
    amount = to_number(answer)
    if not 0 <= amount <= most:
        raise _nonsense(method, answer)
    return amount


def _nonsense(method: str, answer: object) -> RpcError:
    return RpcError(
        f"The node's answer to {method} makes no sense: {answer!r:.80}.",
        hint="Use another node, or set ETH_GAS_PRICE.",
    )
