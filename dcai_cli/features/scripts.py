"""How a text is written, as far as it decides whether words or characters make its features."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

UNSPACED_SCRIPTS = (
    (0x0E00, 0x0E7F),  # Thai
    (0x0E80, 0x0EFF),  # Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3005, 0x3007),  # marks of repetition and the zero of Han
    (0x3031, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo
    (0x31F0, 0x31FF),  # Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),  # Han
    (0xA000, 0xA4CF),  # Yi
    (0xA980, 0xA9DF),  # Javanese
    (0xA9E0, 0xA9FF),  # Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0xF900, 0xFAFF),  # Han
    (0xFF66, 0xFF9F),  # Katakana of half the width
    (0x11700, 0x1174F),  # Ahom
    (0x1AFF0, 0x1B16F),  # Hiragana, Katakana
    (0x20000, 0x3FFFF),  # Han
)
"""Scripts that put no spaces between words, by the code points of their blocks, both ends included.

Korean has spaces. Tibetan parts syllables; what its words lose shows in their marks.
"""

_STARTS = [first for first, _ in UNSPACED_SCRIPTS]


@dataclass(frozen=True, slots=True)
class Writing:
    """What the letters of some texts are.

    Args:
        letters: letters (Unicode category L), of every script.
        unspaced: those of them whose script has no spaces between words.
        marks: combining marks (category M), such as vowel signs. They are no letters: words are cut at them.
    """

    letters: int
    unspaced: int
    marks: int

    @property
    def unspaced_share(self) -> float:
        """The part of the letters that is of scripts without spaces, 0 to 1."""
        return self.unspaced / max(1, self.letters)

    @property
    def mark_share(self) -> float:
        """The part of letters and marks that is marks, 0 to 1."""
        return self.marks / max(1, self.letters + self.marks)


def measure_writing(texts: Iterable[str]) -> Writing:
    """Count letters and marks, each as often as it stands in the texts.

    >>> measure_writing(["Tea, 茶!", "चाय"])
    Writing(letters=6, unspaced=1, marks=1)
    """
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    letters = unspaced = marks = 0
    for character, count in characters.items():
        category = unicodedata.category(character)[0]
        if category == "L":
            letters += count
            unspaced += count * _is_unspaced(ord(character))
        elif category == "M":
            marks += count
    return Writing(letters, unspaced, marks)


def _is_unspaced(point: int) -> bool:
    at = bisect_right(_STARTS, point) - 1
    return at >= 0 and point <= UNSPACED_SCRIPTS[at][1]
