"""Durations, amounts and bit masks: what is read, what is written, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcai_cli.domain import (
    Batch,
    ModelParams,
    bits,
    format_duration,
    format_ether,
    iso_time,
    parse_amount,
    parse_duration,
)
from dcai_cli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("25h", 90_000), ("2d", 172_800), ("1w", 604_800), (" 0s ", 0)],
)
def test_durations_have_a_unit_or_are_seconds(text: str, seconds: int) -> None:
    """Every unit is read, and spaces around it do not matter."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1.5h", "-1h", "1 h", "1h30m", "1H", "\u0661\u0662x", "1e3"])
def test_what_is_no_duration_is_named(text: str) -> None:
    """The message quotes the text, and the hint shows durations."""
    with pytest.raises(UsageError, match="is not a duration") as caught:
        parse_duration(text)
    assert repr(text) in caught.value.message
    assert "25h" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("0", 0),
        ("1500000", 1_500_000),
        ("1wei", 1),
        ("20gwei", 20 * 10**9),
        ("0.5ether", 5 * 10**17),
        ("1.5 ETH", 15 * 10**17),
        ("0.000000000000000001eth", 1),
        ("1.000", 1),
        ("115792089237316195423570985008687907853269984665640564039457584007913129639935", 2**256 - 1),
    ],
)
def test_amounts_are_read_to_the_wei(text: str, wei: int) -> None:
    """Units in any case, fractions as fine as a wei, and no float on the way."""
    assert parse_amount(text) == wei


@pytest.mark.parametrize(
    "text", ["", "much", "-1", "1.5", "1.5wei", "0.0000000001gwei", "1e18", ".5eth", "1 usd"]
)
def test_what_is_no_amount_is_named(text: str) -> None:
    """The message quotes the text; what is finer than a wei is refused, not rounded."""
    with pytest.raises(UsageError, match="is not an amount") as caught:
        parse_amount(text)
    assert repr(text) in caught.value.message


@given(st.integers(min_value=0, max_value=2**128))
def test_amounts_survive_every_unit(wei: int) -> None:
    """An amount written in wei, gwei or ether is the same amount."""
    for unit, digits in (("wei", 0), ("gwei", 9), ("ether", 18)):
        whole, rest = divmod(wei, 10**digits)
        fraction = f".{rest:0{digits}d}" if digits else ""
        assert parse_amount(f"{whole}{fraction}{unit}") == wei


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (3_600, "1 h"), (90_061, "1 d 1 h"), (-60, "1 min")]
)
def test_durations_are_written_in_their_two_largest_units(seconds: int, text: str) -> None:
    """Smaller units are left out."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (0, "0 ETH"),
        (1, "1 wei"),
        (10**9 - 1, "999999999 wei"),
        (10**9, "0.000000001 ETH"),
        (66_850_321_745_000, "0.0000669 ETH"),
        (99_999_999_999_999, "0.0001 ETH"),
        (-6 * 10**12, "-0.000006 ETH"),
        (10**14, "0.0001 ETH"),
        (1_234 * 10**18, "1,234 ETH"),
        (-(10**18), "-1 ETH"),
    ],
)
def test_amounts_are_written_in_one_unit(wei: int, text: str) -> None:
    """In ether, so that amounts beside each other compare; in wei below a gwei."""
    assert format_ether(wei) == text


def test_times_are_utc() -> None:
    """Chain time is written as ISO 8601 with Z."""
    assert iso_time(1_800_000_000) == "2027-01-15T08:00:00Z"
    assert iso_time(2**64) == "9999-12-31T23:59:59Z"


@given(st.sets(st.integers(min_value=0, max_value=255)))
def test_bits_are_the_positions_of_a_mask(positions: set[int]) -> None:
    """Every set bit once, lowest first."""
    assert bits(sum(1 << position for position in positions)) == sorted(positions)


@pytest.mark.parametrize(
    ("n_features", "index_bytes", "words"), [(256, 2, 17), (257, 2, 18), (65_536, 2, 4097), (65_537, 3, 4098)]
)
def test_the_wire_follows_from_the_size_of_the_hash_space(
    n_features: int, index_bytes: int, words: int
) -> None:
    """Three bytes an index above 65,536, and sixteen weights a word, with one word for the bias."""
    params = ModelParams("perceptron", n_features, max_features=10)
    assert (params.wire.index_bytes, params.total_words) == (index_bytes, words)


def test_a_batchs_deposit_is_units_times_price() -> None:
    """The product is exact beyond 64 bits."""
    batch = Batch(7, "0x" + "11" * 20, 1, 2**70, 3, 5, 1, bytes(32))
    assert batch.deposit_wei == 5 * 2**70
