"""Hashing of single rows: which features, which order of preference, which reasons."""

from __future__ import annotations

import pytest

from dcai_cli.errors import BadInput
from dcai_cli.features.columns import Column
from dcai_cli.features.hashing import (
    count_features,
    feature_index,
    feature_names,
    murmurhash3_x86_32,
    vectorize,
)
from dcai_cli.features.spec import FeatureSpec

TABLE = FeatureSpec.tabular(
    labels=["no", "yes"],
    columns=[Column("sex", "categorical"), Column("age", "numeric", ("18", "65"))],
    n_features=4096,
)


def text_spec(**options: object) -> FeatureSpec:
    """A text spec of 4,096 features."""
    return FeatureSpec.text(labels=["a", "b"], n_features=4096, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "seed", "expected"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\0\0\0\0", 0, 0x2362F9DE),
        (b"aaaa", 0x9747B28C, 0x5A97808A),
        (b"abc", 0, 0xB3DD93FA),
        (b"Hello, world!", 0x9747B28C, 0x24884CBA),
        ("ππππππππ".encode(), 0x9747B28C, 0xD58063C1),
        (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
    ],
)
def test_murmur3_gives_the_published_hashes(data: bytes, seed: int, expected: int) -> None:
    """The test vectors that are published for MurmurHash3 x86 32 come out."""
    assert murmurhash3_x86_32(data, seed) % 2**32 == expected


def test_words_have_two_letters_and_their_place_does_not_matter() -> None:
    """Words of two or more word characters count, in lower case, wherever they stand."""
    assert feature_names(text_spec(), {"text": "I saw A_b, naïve 42 Straße!"}) == [
        "saw", "a_b", "naïve", "42", "straße",
    ]  # fmt: skip
    assert vectorize(text_spec(), {"text": "good film"}) == vectorize(text_spec(), {"text": "film: GOOD"})


def test_case_counts_where_the_spec_says_so() -> None:
    """Without lowercase a capital letter makes another word."""
    assert feature_names(text_spec(lowercase=False), {"text": "So so"}) == ["So", "so"]


@pytest.mark.parametrize(
    ("ngram_range", "names"),
    [
        ((1, 2), ["one", "two", "three", "one two", "two three"]),
        ((2, 2), ["one two", "two three"]),
        ((3, 8), ["one two three"]),
        ((4, 4), []),
    ],
)
def test_n_grams_are_words_joined_by_a_space(ngram_range: tuple[int, int], names: list[str]) -> None:
    """N-grams come shortest first, and never reach over the end."""
    assert feature_names(text_spec(ngram_range=ngram_range), {"text": "one two three"}) == names


@pytest.mark.parametrize(
    ("age", "name"),
    [
        ("-1", "age=0"), ("17.99", "age=0"), ("18", "age=1"), ("64", "age=1"), ("65", "age=2"),
        ("1e3", "age=2"), ("", "age="), (" \t", "age="),
    ],
)  # fmt: skip
def test_a_number_falls_into_the_bin_of_the_edges_below_it(age: str, name: str) -> None:
    """A cell's bin is the number of edges at or below it; an empty cell is a feature of its own."""
    assert feature_names(TABLE, {"sex": " f=x ", "age": age}) == ["sex= f=x ", name]


def test_features_that_collide_are_added() -> None:
    """Names with one index make one feature with the sum of their counts, as in scikit-learn."""
    words = [f"w{number}" for number in range(300)]
    first, second = next(
        (a, b) for a in words for b in words if a < b and feature_index(a, 256) == feature_index(b, 256)
    )
    spec = FeatureSpec.text(labels=["a", "b"], n_features=256, valued=True)
    vector = vectorize(spec, {"text": f"{first} {second} {second}"})
    assert (vector.indices, vector.values) == ((feature_index(first, 256),), (3,))


def test_values_are_counts_only_where_the_model_takes_them() -> None:
    """A valued model gets counts, at most 127; any other gets ones."""
    cells = {"text": "spam " * 500 + "egg egg"}
    assert sorted(vectorize(text_spec(valued=True), cells).values) == [2, 127]
    assert vectorize(text_spec(), cells).values == (1, 1)
    assert sorted(count_features(text_spec(), cells).values()) == [2, 500]


def test_too_many_features_keep_the_most_frequent() -> None:
    """Of more features than a sample may have the highest counts stay; of equals, the lower index."""
    words = ["alpha", "beta", "gamma", "delta", "omega"]
    cells = {"text": " ".join([*words, "omega", "omega", "delta"])}
    indices = {word: feature_index(word, 4096) for word in words}
    lowest = min(indices[word] for word in ("alpha", "beta", "gamma"))
    expected = tuple(sorted([indices["omega"], indices["delta"], lowest]))
    assert vectorize(text_spec(max_features=3), cells).indices == expected


@pytest.mark.parametrize(
    ("spec", "cells", "reason"),
    [
        (text_spec(), {"text": ""}, "the text is empty"),
        (text_spec(), {"text": " \n\t"}, "the text is empty"),
        (text_spec(), {"text": "! a \U0001f600"}, "no features: the text has no word"),
        (
            text_spec(ngram_range=(3, 3)),
            {"text": "two words"},
            "no features: the text has fewer than 3 words",
        ),
        (TABLE, {"sex": "", "age": " "}, "no features: every cell is missing"),
        (TABLE, {"sex": "f", "age": "old"}, "column 'age': 'old' is not a number"),
        (TABLE, {"sex": "f", "age": "nan"}, "column 'age': 'nan' is not a number"),
        (TABLE, {"sex": "f", "age": "1e999"}, "column 'age': '1e999' is out of range"),
    ],
)
def test_rows_without_a_vector_give_the_reason(spec: FeatureSpec, cells: dict[str, str], reason: str) -> None:
    """Empty and feature-less rows, and cells that are no numbers, are refused with a reason."""
    with pytest.raises(BadInput) as caught:
        vectorize(spec, cells)
    assert caught.value.message.startswith(reason)


def opposite_words() -> tuple[str, str, int]:
    """Two words with one index of 256 and opposite signs, and that index."""
    words = [f"w{number}" for number in range(300)]
    up, down = next(
        (a, b)
        for a in words
        for b in words
        if feature_index(a, 256) == feature_index(b, 256)
        and murmurhash3_x86_32(a.encode()) >= 0 > murmurhash3_x86_32(b.encode())
    )
    return up, down, feature_index(up, 256)


def test_signs_that_cancel_leave_a_presence_and_no_value() -> None:
    """Opposite features of one index are a count of 0: present without values, absent with them."""
    up, down, index = opposite_words()
    spec = FeatureSpec.text(labels=["a", "b"], n_features=256, alternate_sign=True)
    valued = FeatureSpec.text(labels=["a", "b"], n_features=256, alternate_sign=True, valued=True)
    assert count_features(spec, {"text": f"{up} {down}"}) == {index: 0}
    assert vectorize(spec, {"text": f"{up} {down}"}).indices == (index,)
    with pytest.raises(BadInput, match="no features: all cancel each other out"):
        vectorize(valued, {"text": f"{up} {down}"})


def test_signed_counts_are_cut_at_both_ends_and_chosen_by_size() -> None:
    """Counts go from -127 to 127, and of too many those farthest from 0 stay, whatever their sign."""
    up, down, index = opposite_words()
    options = {"alternate_sign": True, "valued": True, "n_features": 256}
    text = f"{down} " * 130 + f"{up} " * 2
    spec = FeatureSpec.text(labels=["a", "b"], **options)  # type: ignore[arg-type]
    assert vectorize(spec, {"text": text}).values == (-127,)
    assert vectorize(spec, {"text": f"{up} " * 300}).values == (127,)
    one = FeatureSpec.text(labels=["a", "b"], max_features=1, **options)  # type: ignore[arg-type]
    assert vectorize(one, {"text": f"{down} {down} {down} other words other words"}).indices == (index,)


def test_half_a_surrogate_pair_is_refused_in_texts_and_tables() -> None:
    """What UTF-8 cannot carry has no hash; the reason says where it stands."""
    with pytest.raises(BadInput, match=r"the text is not valid Unicode: .* at character 3$"):
        vectorize(text_spec(), {"text": "ok\udc00 ok"})
    with pytest.raises(BadInput, match="column 'sex' is not valid Unicode"):
        vectorize(TABLE, {"sex": "\ud800", "age": "1"})
