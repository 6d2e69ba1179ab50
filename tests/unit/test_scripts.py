"""How texts are written: letters of scripts without spaces, and marks at which words are cut."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from dcai_cli.features.scripts import UNSPACED_SCRIPTS, Writing, measure_writing
from dcai_cli.features.text import text_features

UNSPACED_NAMES = (
    "CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA LETTER", "KATAKANA LETTER",
    "BOPOMOFO LETTER", "THAI CHARACTER", "LAO LETTER", "KHMER LETTER", "MYANMAR LETTER", "TAI LE LETTER",
    "NEW TAI LUE LETTER", "TAI THAM LETTER", "TAI VIET LETTER", "YI SYLLABLE", "JAVANESE LETTER",
    "BALINESE LETTER", "AHOM LETTER",
)  # fmt: skip
SPACED_NAMES = (
    "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "HEBREW", "ARABIC", "DEVANAGARI", "BENGALI", "TAMIL", "HANGUL",
    "GEORGIAN", "ETHIOPIC", "TIBETAN", "CHEROKEE", "MONGOLIAN",
)  # fmt: skip


def test_every_letter_of_a_script_without_spaces_is_known() -> None:
    """All code points, by their Unicode names: those of these scripts count, those of others do not."""
    unspaced = spaced = 0
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        name = unicodedata.name(character, "")
        if not unicodedata.category(character).startswith("L"):
            continue
        if name.startswith(UNSPACED_NAMES):
            assert measure_writing([character]) == Writing(1, 1, 0), name
            unspaced += 1
        elif name.startswith(SPACED_NAMES) and "CJK" not in name:
            assert measure_writing([character]) == Writing(1, 0, 0), name
            spaced += 1
    assert unspaced > 90_000
    assert spaced > 15_000


def test_ranges_rise_and_do_not_overlap() -> None:
    """They are searched by their starts."""
    edges = [edge for pair in UNSPACED_SCRIPTS for edge in pair]
    assert edges == sorted(edges)


@pytest.mark.parametrize(
    ("text", "unspaced", "marked"),
    [
        ("Words, and 12 digits: don't count!", 0.0, 0.0),
        ("房间很好 wifi", 0.5, 0.0),
        ("ひらがなとカタカナ", 1.0, 0.0),
        ("ภาษาไทย", 1.0, 0.0),
        ("한국어는 띄어 쓴다", 0.0, 0.0),
        ("क्या", 0.0, 0.5),
        ("tie\u0302\u0301ng", 0.0, 2 / 7),
        ("123 !?", 0.0, 0.0),
    ],
)
def test_shares_are_counted_by_character(text: str, unspaced: float, marked: float) -> None:
    """Digits, signs and spaces are neither letters nor marks; an empty count divides nothing."""
    writing = measure_writing([text, ""])
    assert (writing.unspaced_share, writing.mark_share) == (unspaced, marked)


def test_words_are_cut_at_marks() -> None:
    """Which is why marks are counted: of a Hindi word, single letters are left, and those are no words."""
    assert text_features("क्या", analyzer="word", ngram_range=(1, 1), lowercase=True) == []
