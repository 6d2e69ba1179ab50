"""Encoders: how plug-ins are found and used, and what is said of those that cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, DcaiError, UsageError
from dcai_cli.features.dense import NamedEncoder
from dcai_cli.features.encoders import installed, load_encoder, load_named
from dcai_cli.features.featurize import CHUNK_TEXTS, FeaturizedRow, Skipped, featurize
from dcai_cli.features.spec import FeatureSpec
from tests import plugins

SPEC = FeatureSpec.dense(
    labels=["no", "yes"], length=4, scale="10", encoder=NamedEncoder("letters", "1", "text")
)
FAULTY = {
    "raises": (
        "    def encode(self, texts):\n        raise MemoryError('out of\\nmemory.')",
        "MemoryError: out of memory",
    ),
    "a list": ("    def encode(self, texts):\n        return [['a']] * len(texts)", "it gave <U1 of shape"),
    "whole numbers": (
        "    def encode(self, texts):\n        return np.zeros((len(texts), 4), dtype=int)",
        r"it gave int64 of shape \(1, 4\) and not float32 of shape \(1, 4\)",
    ),
    "too few": (
        "    def encode(self, texts):\n        return np.zeros((0, 4))",
        r"it gave float64 of shape \(0, 4\) and",
    ),
    "too long": (
        "    def encode(self, texts):\n        return np.zeros((len(texts), 5))",
        r"it gave float64 of shape \(1, 5\) and",
    ),
    "ragged": (
        "    def encode(self, texts):\n        return [[1.0], [1.0, 2.0]]",
        "ValueError: .*inhomogeneous",
    ),
    "no encode": ("    encode = None", "TypeError: "),
    "no dimension": ("    dimension = 4.0", r"its dimension is 4\.0, and not 2 to 4,096"),
    "one dimension": ("    dimension = 1", "its dimension is 1, and"),
    "no version": ("    version = 1", "its version is 1, and no string"),
    "raises at once": ("    def __init__(self):\n        raise OSError('no weights')", "OSError: no weights"),
    "says nothing": ("    def encode(self, texts):\n        raise RuntimeError", "RuntimeError"),
    "exits": ("    def encode(self, texts):\n        raise SystemExit(0)", "SystemExit: 0"),
}


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[None]:
    """The encoder `letters` is installed."""
    with plugins.installed(tmp_path, "lettersmith", {"letters": "Letters"}, plugins.LETTERS):
        yield


def test_the_encoder_of_the_page_works(tmp_path: Path) -> None:
    """What docs/encoders.md shows can be installed as it stands there, and answers as an encoder must."""
    page = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (entry,) = re.findall(r'^letters = "my_package:(\w+)"$', page, re.MULTILINE)
    with plugins.installed(tmp_path, "my_package", {"letters": entry}, source):
        assert load_encoder("letters").encode(["abba", "cd"]).tolist() == [[2, 2, 0, 0], [0, 0, 1, 1]]


@pytest.mark.usefixtures("letters")
def test_an_encoder_is_found_by_its_name() -> None:
    """What a package announces can be named by a spec, beside what comes with the program."""
    assert installed() == ["letters", "sentences"]
    encoder = load_encoder("letters")
    assert encoder.named("body") == NamedEncoder("letters", "1", "body")
    assert encoder.encode(["abba"]).tolist() == [[2.0, 2.0, 0.0, 0.0]]


@pytest.mark.usefixtures("letters")
def test_texts_become_samples_by_their_encoder() -> None:
    """A text is encoded, rounded and sent; one that is blank, unknown or no Unicode is skipped."""
    texts = ["abba", " ", "bad \udcff", "xyz", "cab"]
    rows = [Row(number, {"text": text, "label": "yes"}) for number, text in enumerate(texts, start=1)]
    rows.append(Row(6, {"text": "dad", "label": "perhaps"}))
    results = list(featurize(rows, SPEC))
    samples = [row.sample.hex() if isinstance(row, FeaturizedRow) else row.reason for row in results]
    assert samples == [
        "01000200001400" + "0114",
        "the text is empty",
        "the text is not valid Unicode: half of a surrogate pair at character 5",
        "no features: every number of it rounds to 0",
        "0100030000" + "0a" + "00010a" + "00020a",
        "unknown label 'perhaps'; the model knows no, yes",
    ]
    assert [row.fault for row in results if isinstance(row, Skipped)][:2] == ["empty", "no-sample"]


@pytest.mark.usefixtures("letters")
def test_the_text_is_what_makes_a_repeat() -> None:
    """Texts that are encoded alike are other rows; the same text again is the same row."""
    rows = [Row(at, {"text": text, "label": "no"}) for at, text in enumerate(["ab", "ba", "ab"])]
    first, second, third = featurize(rows, SPEC)
    assert isinstance(first, FeaturizedRow)
    assert isinstance(second, FeaturizedRow)
    assert isinstance(third, FeaturizedRow)
    assert (first.sample, first.key == second.key, first.key) == (second.sample, False, third.key)


@pytest.mark.usefixtures("letters")
def test_many_texts_are_encoded_in_order() -> None:
    """Rows of several chunks get each its own vector, from the column that is named."""
    rows = [Row(at, {"body": "a" * (at % 12 + 1)}) for at in range(CHUNK_TEXTS * 2 + 3)]
    results = list(featurize(rows, SPEC, text_column="body", with_labels=False))
    assert [row.sample[-1] for row in results if isinstance(row, FeaturizedRow)] == [
        (at % 12 + 1) * 10 for at in range(len(rows))
    ]


@pytest.mark.usefixtures("letters")
def test_another_version_or_dimension_is_refused() -> None:
    """An encoder that makes other vectors than the model's owner had does not serve in its place."""
    with pytest.raises(
        BadInput, match=r"'letters' of version '2'; the one that is installed has '1'"
    ) as caught:
        load_named(NamedEncoder("letters", "2"), 4)
    assert "weights" in caught.value.hint
    with pytest.raises(BadInput, match="of dimension 5; the one that is installed has 4"):
        load_named(NamedEncoder("letters", "1"), 5)


@pytest.mark.usefixtures("letters")
def test_an_unknown_encoder_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    """The message names what is installed; two packages with one name are told apart by nobody."""
    with pytest.raises(UsageError, match="no encoder 'words' here; installed: letters, sentences") as caught:
        load_encoder("words")
    assert "docs/encoders.md" in caught.value.hint
    other = plugins.installed(tmp_path, "other", {"letters": "Letters"}, plugins.LETTERS)
    with other, pytest.raises(UsageError, match=r"Several packages .* lettersmith and other"):
        load_encoder("letters")


@pytest.mark.parametrize(("change", "problem"), FAULTY.values(), ids=FAULTY)
def test_a_faulty_encoder_is_one_error(tmp_path: Path, change: str, problem: str) -> None:
    """Whatever a plug-in does, one error names it, its package and what was wrong."""
    source = f"{plugins.LETTERS}\n\nclass Faulty(Letters):\n{change}\n"
    with (
        plugins.installed(tmp_path, "faulty", {"letters": "Faulty"}, source),
        pytest.raises(
            DcaiError, match=rf"^Encoder 'letters' of the package faulty cannot be used: {problem}"
        ) as caught,
    ):
        list(featurize([Row(1, {"text": "abc", "label": "no"})], SPEC))
    assert (type(caught.value), caught.value.hint != "") == (DcaiError, True)
    assert "\n" not in caught.value.message


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    """An encoder that needs what is not installed says what to install: the extra, if it names one."""
    source = "import not_installed_here\n"
    for what, hint in (
        ("Letters", "Install not_installed_here, or install needy anew."),
        ("Letters [fast]", "pip install 'needy[fast]'"),
    ):
        with (
            plugins.installed(tmp_path / what, "needy", {"letters": what}, source),
            pytest.raises(DcaiError, match="No module named 'not_installed_here'") as caught,
        ):
            load_encoder("letters")
        assert caught.value.hint == hint
