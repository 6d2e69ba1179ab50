"""Columns of every type against scikit-learn, rounding against fractions, quantiles as they are defined."""

from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction import FeatureHasher

from dcai_cli.features.columns import DATE_PARTS, Column
from dcai_cli.features.hashing import count_features
from dcai_cli.features.numbers import round_number
from dcai_cli.features.quantiles import quantile_edges
from dcai_cli.features.spec import FeatureSpec

DIGITS = st.text("0123456789", min_size=1, max_size=12)
NUMBERS = st.one_of(
    st.builds("{}{}.{}".format, st.sampled_from(["", "-", "+"]), DIGITS, DIGITS),
    st.builds("{}e{}".format, DIGITS, st.integers(-40, 40)),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
STEPS = st.builds("{}.{}".format, DIGITS, DIGITS).filter(lambda text: text.strip("0.") != "")
SPACES = st.text(" \t\n\v\f\r", max_size=2)
ZONES = st.sampled_from(["", "Z", "+05:30", "-1100", "+00"])
BINS = ("-1000", "0", "1e3")
COLUMNS = [
    Column("kind", "categorical"),
    Column("binned", "numeric", BINS),
    Column("rounded", "numeric", step="0.25"),
    Column("flag", "boolean", missing=("?",)),
    Column("at", "date", parts=DATE_PARTS),
]


def rounded(text: str, step: str) -> Fraction:
    """The nearest multiple of a step; Python's `round` goes to the even one in the middle."""
    return round(Fraction(text) / Fraction(step)) * Fraction(step)


@given(NUMBERS, STEPS)
def test_any_number_is_rounded_as_fractions_are(text: str, step: str) -> None:
    """Exactly the multiple that rational arithmetic gives, written as a plain decimal."""
    written = round_number(text, step)
    assert Fraction(written) == rounded(text, step)
    assert "e" not in written
    assert written == "0" or not written.startswith("-0.") or Fraction(written) < 0
    assert "." not in written or not written.endswith(("0", "."))
    assert written not in {"-0", ""}


@given(
    kind=st.text(),
    number=NUMBERS,
    flag=st.sampled_from([("yes", "true"), ("F", "false"), ("1", "true"), ("?", ""), ("", "")]),
    at=st.datetimes(),
    zone=ZONES,
    space=SPACES,
    n_features=st.integers(256, 2**24),
)
def test_any_row_is_hashed_as_scikit_learn_does(
    kind: str, number: str, flag: tuple[str, str], at: dt.datetime, zone: str, space: str, n_features: int
) -> None:
    """The counts are those of FeatureHasher over the names that the definition gives."""
    cells = {"kind": kind, "binned": number, "rounded": space + number, "flag": flag[0] + space}
    cells["at"] = f"{space}{at.isoformat()}{zone}"
    value = rounded(number, "0.25")
    written = f"{value.numerator // value.denominator}"
    if value.denominator > 1:
        sign, quarters = "-" if value < 0 else "", int(abs(value) * 4)
        written = f"{sign}{quarters // 4}.{['', '25', '5', '75'][quarters % 4]}"
    names = [
        f"kind={kind}",
        f"binned={sum(float(edge) <= float(number) for edge in BINS)}",
        f"rounded={written}",
        f"flag={flag[1]}",
        *(f"at={part}:{getattr(at, part)}" for part in ("year", "month", "day", "hour", "minute")),
        f"at=quarter:{(at.month - 1) // 3 + 1}",
        f"at=weekday:{at.weekday() + 1}",
    ]
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=COLUMNS, n_features=n_features)
    row = FeatureHasher(n_features, input_type="string", alternate_sign=False).transform([names])
    row.sum_duplicates()
    assert count_features(spec, cells) == dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))


@given(st.lists(st.integers(-20, 20), min_size=2).map(sorted), st.integers(2, 20))
def test_edges_are_as_they_are_defined(numbers: list[int], shares: int) -> None:
    """Edge k is the least number, but for the least of all, that over k of so many shares do not exceed."""
    if numbers[0] == numbers[-1]:
        return
    expected = {
        min(
            number
            for number in numbers
            if number > numbers[0] and sum(other <= number for other in numbers) * shares > k * len(numbers)
        )
        for k in range(1, shares)
    }
    assert quantile_edges(numbers, shares) == sorted(expected)


@given(
    st.lists(
        st.one_of(
            st.builds(Column, st.just("c"), st.just("categorical"), missing=st.just(("?", "NA"))),
            st.builds(Column, st.just("n"), st.just("numeric"), step=STEPS),
            st.builds(Column, st.just("b"), st.just("boolean")),
            st.builds(
                Column,
                st.just("d"),
                st.just("date"),
                parts=st.lists(st.sampled_from(DATE_PARTS), min_size=1, unique=True).map(tuple),
            ),
        ),
        min_size=1,
        unique_by=lambda column: column.name,
    )
)
def test_any_columns_make_a_round_trip(columns: list[Column]) -> None:
    """What is read of a spec is what was written, and fields that are not used are not there."""
    spec = FeatureSpec.tabular(labels=["a", "b"], columns=columns, n_features=256)
    assert FeatureSpec.from_json(spec.to_json()) == spec
    assert all(all(fields.values()) for fields in json.loads(spec.to_json())["columns"])
