"""What a unit of gas is offered: by the market, below a ceiling, and whatever a node says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcai_cli.chain import Fees, FeesAboveCeiling, RpcError
from dcai_cli.chain.fees import MOST_WEI, Wishes, bumped, current_fees
from dcai_cli.errors import LimitExceeded

GWEI = 10**9
NO_METHOD = RpcError("the method does not exist", rpc_code=-32_601)

Answers = dict[str, Any]


def node(answers: Answers) -> Callable[..., Any]:
    """What asks a node that answers these methods, and refuses all others."""

    def request(method: str, *_: object) -> Any:
        answer = answers.get(method, NO_METHOD)
        if isinstance(answer, RpcError):
            raise answer
        return answer

    return request


def history(base_fees: list[int], tips: list[tuple[int, int]], ratio: float = 0.5) -> Answers:
    """A fee history of blocks that are equally full."""
    return {
        "eth_feeHistory": {
            "oldestBlock": "0x1",
            "baseFeePerGas": [hex(fee) for fee in base_fees],
            "gasUsedRatio": [ratio] * (len(base_fees) - 1),
            "reward": [[hex(low), hex(middle)] for low, middle in tips],
        }
    }


def fees(answers: Answers, **wishes: int | None) -> Fees:
    """What is offered at this node."""
    return current_fees(node(answers), Wishes(**wishes))


TYPICAL = history([90, 100, 110, 120], [(1, 4), (2, 6), (3, 50)])
"""The next block asks for 120 wei; the median tip is 6, the median of the low ones 2."""


def test_the_offer_is_twice_the_next_base_fee_and_the_median_tip() -> None:
    """The last base fee is the next block's, and one block of high tips changes nothing."""
    offer = fees(TYPICAL)
    assert offer == Fees(246, 6)
    assert (offer.base_fee_wei, offer.likely_price_wei) == (120, 126)


def test_tips_of_blocks_with_room_left_are_no_market() -> None:
    """Where blocks are nearly empty, what the node suggests is offered, and not what somebody once paid."""
    answers = history([100, 100], [(500, 900)], ratio=0.09) | {"eth_maxPriorityFeePerGas": "0x7"}
    assert fees(answers) == Fees(207, 7)
    assert fees(history([100, 100], [(500, 900)], ratio=0.1) | {"eth_maxPriorityFeePerGas": "0x7"}) == Fees(
        1100, 900
    )


@pytest.mark.parametrize("tip", [0, 1])
def test_a_market_without_tips_leaves_it_to_the_node(tip: int) -> None:
    """Some networks show no tips in their history and want one all the same."""
    answers = history([100, 100], [(tip, tip)]) | {"eth_maxPriorityFeePerGas": hex(15)}
    assert fees(answers) == Fees(215, 15)


@pytest.mark.parametrize(("base_fee", "tip"), [(30 * GWEI, GWEI), (10**6, 10**6), (7, 7)])
def test_a_tip_that_nobody_suggests_is_a_gwei_or_the_base_fee(base_fee: int, tip: int) -> None:
    """A layer 2 that asks for thousandths of a gwei does not get a whole one as a tip."""
    assert fees(history([base_fee] * 2, [(0, 0)])) == Fees(2 * base_fee + tip, tip)


def test_a_base_fee_ten_times_as_high_does_not_raise_the_tip() -> None:
    """What is always paid follows the market of tips and not the base fee."""
    tips = [(GWEI, 2 * GWEI)] * 2
    before, after = fees(history([GWEI] * 3, tips)), fees(history([GWEI, 5 * GWEI, 10 * GWEI], tips))
    assert before.priority_fee_wei == after.priority_fee_wei == 2 * GWEI
    assert (before.likely_price_wei, after.likely_price_wei) == (3 * GWEI, 12 * GWEI)


def test_without_a_history_the_latest_block_serves() -> None:
    """A node that does not know eth_feeHistory still says what its latest block took."""
    answers = {"eth_getBlockByNumber": {"baseFeePerGas": "0x64"}, "eth_maxPriorityFeePerGas": "0x5"}
    assert fees(answers) == Fees(205, 5)


def test_a_network_whose_base_fee_is_zero_is_not_an_old_one() -> None:
    """A block that has a base fee, if only of zero, takes transactions with priority fees."""
    answers = history([0, 0], [(0, 0)]) | {"eth_getBlockByNumber": {"baseFeePerGas": "0x0"}}
    assert fees(answers | {"eth_maxPriorityFeePerGas": hex(GWEI // 10)}) == Fees(GWEI // 10, GWEI // 10)
    assert fees(answers) == Fees(GWEI, GWEI)


@pytest.mark.parametrize("known", [{}, history([0, 0], [(0, 0)])])
def test_a_network_before_eip_1559_gets_one_price(known: Answers) -> None:
    """Blocks without a base fee mean the old type, whether or not the node has a history of zeros."""
    answers = known | {"eth_getBlockByNumber": {"number": "0x1"}, "eth_gasPrice": hex(9 * GWEI)}
    offer = fees(answers)
    assert offer == Fees(9 * GWEI, None)
    assert offer.likely_price_wei == 9 * GWEI
    assert fees(answers, gas_price_wei=GWEI) == Fees(GWEI, None)
    assert fees(answers, ceiling_wei=9 * GWEI) == Fees(9 * GWEI, None)
    assert fees(answers, gas_price_wei=20 * GWEI, ceiling_wei=10 * GWEI) == Fees(10 * GWEI, None)
    with pytest.raises(
        FeesAboveCeiling, match=r"at least 9 gwei now, above the ceiling of 8\.999999999 gwei"
    ):
        fees(answers, ceiling_wei=9 * GWEI - 1)


# What the user fixes


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"priority_fee_wei": 3}, Fees(243, 3)),
        ({"priority_fee_wei": 0}, Fees(240, 0)),
        ({"gas_price_wei": 150}, Fees(150, 6)),
        ({"gas_price_wei": 123, "priority_fee_wei": 3}, Fees(123, 3)),
        ({"gas_price_wei": 1000, "ceiling_wei": 200}, Fees(200, 6)),
    ],
)
def test_prices_of_the_user_win(wishes: dict[str, int], expected: Fees) -> None:
    """A fixed price is offered as it is, but never above the ceiling."""
    assert fees(TYPICAL, **wishes) == expected


def test_a_fixed_price_that_no_block_takes_is_refused() -> None:
    """A transaction that could wait for days is not signed, and the message has both prices."""
    with pytest.raises(FeesAboveCeiling) as caught:
        fees(TYPICAL, gas_price_wei=2, ceiling_wei=1000)
    assert (caught.value.needed_wei, caught.value.ceiling_wei) == (122, 2)


# The ceiling


@pytest.mark.parametrize(
    ("ceiling", "expected"),
    [
        (1_000, Fees(246, 6)),
        (246, Fees(246, 6)),
        (200, Fees(200, 6)),
        (126, Fees(126, 6)),
        (122, Fees(122, 6)),
    ],
)
def test_the_offer_never_exceeds_the_ceiling(ceiling: int, expected: Fees) -> None:
    """Down to the next base fee and the least tip that blocks took, the ceiling is what is offered."""
    assert fees(TYPICAL, ceiling_wei=ceiling) == expected


def test_what_no_block_takes_is_not_offered() -> None:
    """Below base fee and least tip, an error of the user's limits says both numbers in gwei."""
    with pytest.raises(FeesAboveCeiling) as refused:
        fees(history([10 * GWEI] * 2, [(GWEI, 2 * GWEI)]), ceiling_wei=10 * GWEI)
    assert refused.value.message == "A unit of gas costs at least 11 gwei now, above the ceiling of 10 gwei."
    assert (refused.value.needed_wei, refused.value.ceiling_wei) == (11 * GWEI, 10 * GWEI)
    assert isinstance(refused.value, LimitExceeded)
    assert refused.value.exit_code == 16
    assert refused.value.hint


AMOUNTS = st.integers(0, 1000) | st.integers(0, 10**13) | st.integers(0, MOST_WEI)


@given(
    base_fee=AMOUNTS.filter(bool),
    tips=st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=20),
    ratio=st.floats(0, 1),
    ceiling=st.none() | AMOUNTS,
    gas_price=st.none() | AMOUNTS,
    priority=st.none() | AMOUNTS,
)
def test_whatever_the_market_the_offer_makes_sense(
    base_fee: int,
    tips: list[tuple[int, int]],
    ratio: float,
    ceiling: int | None,
    gas_price: int | None,
    priority: int | None,
) -> None:
    """The tip is part of the offer, the offer within the ceiling, and without wishes a block takes it."""
    answers = history([base_fee] * (len(tips) + 1), tips, ratio)
    wishes = {"ceiling_wei": ceiling, "gas_price_wei": gas_price, "priority_fee_wei": priority}
    try:
        offer = fees(answers, **wishes)
    except FeesAboveCeiling as refused:
        limit = min(wish for wish in (ceiling, gas_price) if wish is not None)
        assert refused.needed_wei > refused.ceiling_wei == limit  # noqa: PT017 - either outcome is right
        return
    assert offer.priority_fee_wei is not None
    assert 0 <= offer.priority_fee_wei <= offer.max_fee_per_gas_wei
    assert ceiling is None or offer.max_fee_per_gas_wei <= ceiling
    if gas_price is None:
        assert base_fee <= offer.max_fee_per_gas_wei
    if priority is None:
        assert offer.priority_fee_wei <= base_fee + 50 * GWEI
        assert offer.likely_price_wei <= 2 * base_fee + 50 * GWEI


# Nodes that lie


@pytest.mark.parametrize("tip", [2**64, 2**255, 2**256 - 1])
def test_an_absurd_tip_is_capped(tip: int) -> None:
    """Nobody pays more than 50 gwei above the base fee on the word of a node."""
    for answers in (
        history([GWEI] * 2, [(tip, tip)]),
        history([GWEI] * 2, [(0, 0)]) | {"eth_maxPriorityFeePerGas": hex(tip)},
    ):
        assert fees(answers) == Fees(53 * GWEI, 51 * GWEI)


HISTORY: Answers = TYPICAL["eth_feeHistory"]


STRANGE: list[Any] = [
    None,
    [],
    7,
    "0x5",
    {},
    {**HISTORY, "baseFeePerGas": None},
    {**HISTORY, "baseFeePerGas": []},
    {**HISTORY, "baseFeePerGas": ["0x1"]},
    {**HISTORY, "baseFeePerGas": HISTORY["baseFeePerGas"] * 2},
    {**HISTORY, "baseFeePerGas": [*HISTORY["baseFeePerGas"][:-1], "-0x5"]},
    {**HISTORY, "baseFeePerGas": [*HISTORY["baseFeePerGas"][:-1], 5]},
    {**HISTORY, "baseFeePerGas": [*HISTORY["baseFeePerGas"][:-1], None]},
    {**HISTORY, "baseFeePerGas": [*HISTORY["baseFeePerGas"][:-1], hex(2**255)]},
    {**HISTORY, "baseFeePerGas": [*HISTORY["baseFeePerGas"][:-1], hex(MOST_WEI + 1)]},
    {**HISTORY, "baseFeePerGas": [*HISTORY["baseFeePerGas"][:-1], "0x" + "f" * 100_000]},
    {**HISTORY, "gasUsedRatio": None},
    {**HISTORY, "gasUsedRatio": [0.5]},
    {**HISTORY, "gasUsedRatio": ["0.5", "0.5", "0.5"]},
    {**HISTORY, "reward": "0x1"},
    {**HISTORY, "reward": [["0x1", "0x1"]]},
    {**HISTORY, "reward": [["0x1"]] * 3},
    {**HISTORY, "reward": [["0x1", "0x1", "0x1"]] * 3},
    {**HISTORY, "reward": [["0x1", "-0x1"]] * 3},
    {**HISTORY, "reward": [["0x1", hex(2**256 + 1)]] * 3},
    {**HISTORY, "reward": [None] * 3},
]


@pytest.mark.parametrize(
    "answers",
    [{"eth_feeHistory": answer} for answer in STRANGE]
    + [
        {"eth_getBlockByNumber": {"baseFeePerGas": hex(2**255)}},
        {"eth_getBlockByNumber": {"baseFeePerGas": "-0x1"}},
        {"eth_getBlockByNumber": {}, "eth_gasPrice": hex(2**255)},
        {"eth_getBlockByNumber": {}, "eth_gasPrice": "-0x1"},
        {"eth_getBlockByNumber": {}, "eth_gasPrice": None},
        {"eth_getBlockByNumber": {}},
        {"eth_getBlockByNumber": None},
        history([GWEI] * 2, [(0, 0)]) | {"eth_maxPriorityFeePerGas": "-0x1"},
        history([GWEI] * 2, [(0, 0)]) | {"eth_maxPriorityFeePerGas": {}},
        {},
    ],
)
def test_nonsense_is_an_error_of_the_node(answers: Answers) -> None:
    """No number that a node makes up becomes a fee, or breaks the program."""
    with pytest.raises(RpcError) as refused:
        fees(answers)
    assert len(refused.value.message) < 200


def test_a_history_without_tips_is_none_of_them() -> None:
    """A node may leave the tips out; then it is asked for a suggestion."""
    short = {name: value for name, value in HISTORY.items() if name != "reward"}
    assert fees({"eth_feeHistory": short, "eth_maxPriorityFeePerGas": "0x3"}) == Fees(243, 3)


def test_a_full_block_is_one_whatever_the_number_looks_like() -> None:
    """Ratios are whole numbers or fractions; what is not a number at all is no full block."""
    full = {**HISTORY, "gasUsedRatio": [1, float("nan"), float("inf")]}
    assert fees({"eth_feeHistory": full, "eth_maxPriorityFeePerGas": "0x3"}) == Fees(244, 4)


# Replacements


def takes_the_place(old: Fees, new: Fees) -> bool:
    """Whether geth's pool takes it: both fees strictly more, and a tenth more in its whole numbers."""
    pairs = [(old.max_fee_per_gas_wei, new.max_fee_per_gas_wei)]
    if old.priority_fee_wei is not None and new.priority_fee_wei is not None:
        pairs.append((old.priority_fee_wei, new.priority_fee_wei))
    return all(fresh > former and fresh >= former * 110 // 100 for former, fresh in pairs)


def test_a_replacement_offers_an_eighth_more() -> None:
    """Both fees are raised, rounded up, where the market asks no more."""
    assert bumped(Fees(1000, 100), Fees(250, 6, 120)) == Fees(1125, 113)
    assert bumped(Fees(1, 0), Fees(1, 0, 0)) == Fees(2, 1)
    assert bumped(Fees(9, None), Fees(5, None)) == Fees(11, None)


def test_a_replacement_offers_what_the_market_asks() -> None:
    """Where prices rose more than an eighth, the new ones are offered."""
    assert bumped(Fees(1000, 100), Fees(5000, 300, 2350)) == Fees(5000, 300)
    assert bumped(Fees(1000, 100), Fees(5000, 300, 2350), 3000) == Fees(3000, 300)
    assert bumped(Fees(1000, 100), Fees(5000, 3000), 2000) == Fees(2000, 2000)
    assert bumped(Fees(1000, None), Fees(5000, None)) == Fees(5000, None)


@pytest.mark.parametrize(
    ("old", "now", "ceiling", "needed"),
    [
        (Fees(1000, 100), Fees(250, 6, 120), 1124, 1125),
        (Fees(1000, 100), Fees(5000, 300, 2350), 2649, 2650),
        (Fees(1000, None), Fees(900, None), 1124, 1125),
        (Fees(1000, None), Fees(5000, None), 4999, 5000),
    ],
)
def test_a_replacement_above_the_ceiling_is_refused(old: Fees, now: Fees, ceiling: int, needed: int) -> None:
    """Nodes would not take less, or no block would; the error says what it takes."""
    with pytest.raises(FeesAboveCeiling) as refused:
        bumped(old, now, ceiling)
    assert refused.value.needed_wei == needed


OFFERS = st.tuples(AMOUNTS, AMOUNTS).map(lambda pair: Fees(max(pair), min(pair), max(pair) - min(pair)))
PRICES = AMOUNTS.map(lambda price: Fees(price, None))


@given(old=OFFERS | PRICES, now=OFFERS | PRICES, ceiling=st.none() | AMOUNTS)
def test_every_replacement_is_one_for_a_pool(old: Fees, now: Fees, ceiling: int | None) -> None:
    """It takes the old one's place and keeps its type, covers what the market asks, and heeds the ceiling."""
    try:
        new = bumped(old, now, ceiling)
    except FeesAboveCeiling as refused:
        assert ceiling is not None
        assert refused.needed_wei > ceiling  # noqa: PT017 - either outcome is right
        return
    assert takes_the_place(old, new)
    assert new.max_fee_per_gas_wei >= now.likely_price_wei
    assert ceiling is None or new.max_fee_per_gas_wei <= ceiling
    assert (new.priority_fee_wei is None) == (old.priority_fee_wei is None)
    assert (new.priority_fee_wei or 0) <= new.max_fee_per_gas_wei
