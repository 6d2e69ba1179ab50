r"""Lower case, words and white space as Unicode 14.0 has them, on whichever Python runs.

Each version of Python reads text by its own version of Unicode, so the same row would become other bytes on
another machine. What counts is Python 3.11, whose Unicode is 14.0.0:

- On Python 3.11 `str.lower` and `\w` are used as they are.
- Unicode 15.0 and 15.1 (Python 3.12 and 3.13) added characters, and changed nothing that is asked here about
  older ones. A text is cut at what they added: that is no letter here, has no lower case, and the rule of the
  final sigma neither looks through it nor finds a letter in it, as at the end of a text.
- Any other version is not asked: tables of our own say everything.

The tables are made by tools/unicode_tables.py; they are loaded when they are first needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

UNICODE = "14.0"
"""The version of Unicode that features are made by, as feature specs name it."""

CODE_POINTS = 0x110000
SIGMA, SMALL_SIGMA, FINAL_SIGMA = "\u03a3", "\u03c3", "\u03c2"
DOTTED_I, LOWER_DOTTED_I = "\u0130", "i\u0307"
"""The only character whose lower case has two: capital I with a dot above."""

_EXACT = "14.0.0"
_SAME_BUT_FOR_NEW = frozenset({"15.0.0", "15.1.0"})
_NEW_BELOW = 0x40000  # these two added nothing above
_WORD = re.compile(r"(?u)\b\w\w+\b")


def lower(text: str) -> str:
    """Lower-case a text: what `str.lower` of Python 3.11 gives.

    >>> lower("\u039f\u0394\u039f\u03a3 \u0130")
    '\u03bf\u03b4\u03bf\u03c2 i\u0307'
    """
    return text.lower() if text.isascii() else _functions().lower(text)


def find_words(text: str) -> list[str]:
    r"""Find all matches of `\b\w\w+\b`, as Python 3.11 does: runs of two or more word characters.

    >>> find_words("I saw 3 naïve films")
    ['saw', 'naïve', 'films']
    """
    return _WORD.findall(text) if text.isascii() else _functions().find_words(text)


def collapse_spaces(text: str) -> str:
    r"""Put one space where two or more white spaces stand; a single one stays what it is.

    >>> collapse_spaces("a\n\nb\tc")
    'a b\tc'
    """
    return _spaces().sub(" ", text)


def split_at_spaces(text: str) -> list[str]:
    r"""Cut a text at its white space, which is dropped: what `str.split` of Python 3.11 gives.

    >>> split_at_spaces(" to\u3000be\n")
    ['to', 'be']
    """
    return _unspaced().findall(text)


@dataclass(frozen=True, slots=True)
class KernelTables:
    r"""What a compiled kernel needs to read text; every array has an entry for each of 0x110000 code points.

    Args:
        word: bool; whether `\w` matches it.
        space: bool; whether `\s` matches it.
        lower: int32; its lower case, itself where there is no other. U+03A3 has U+03C3 here: the final one,
            U+03C2, is up to the rule. U+0130 has itself here: it becomes U+0069 U+0307.
        cased: bool; whether it makes a sigma behind it final, and one before it not. Those that are both
            cased and case-ignorable are never asked, and False here.
        case_ignorable: bool; whether the rule of the final sigma looks through it.
    """

    word: npt.NDArray[np.bool_]
    space: npt.NDArray[np.bool_]
    lower: npt.NDArray[np.int32]
    cased: npt.NDArray[np.bool_]
    case_ignorable: npt.NDArray[np.bool_]


@cache
def kernel_tables() -> KernelTables:
    """Make the tables, once in a process; the arrays cannot be written to."""
    import numpy as np

    from dcai_cli.features import unicode14_data as data

    def bitmap(table: str) -> npt.NDArray[np.bool_]:
        array = np.zeros(CODE_POINTS, dtype=np.bool_)
        for first, last in _ranges(table):
            array[first : last + 1] = True
        array.setflags(write=False)
        return array

    lowered = np.arange(CODE_POINTS, dtype=np.int32)
    for first, last, step, added in _lower_runs():
        lowered[first : last + 1 : step] += added
    lowered.setflags(write=False)
    return KernelTables(
        word=bitmap(data.WORD),
        space=bitmap(data.SPACE),
        lower=lowered,
        cased=bitmap(data.CASED),
        case_ignorable=bitmap(data.CASE_IGNORABLE),
    )


@dataclass(frozen=True, slots=True)
class _Functions:
    """One way to read texts that are not ASCII."""

    lower: Callable[[str], str]
    find_words: Callable[[str], list[str]]


@cache
def _functions() -> _Functions:
    """The quickest way that is exact on this interpreter."""
    import unicodedata

    return _functions_for(unicodedata.unidata_version)


def _functions_for(version: str) -> _Functions:
    """The quickest way that is exact on an interpreter with this version of Unicode."""
    if version == _EXACT:
        return _Functions(str.lower, _WORD.findall)
    if version in _SAME_BUT_FOR_NEW:
        return _Functions(_lower_between_new, _find_words_between_new)
    return _Functions(_lower_by_tables, _find_words_by_tables)


def _lower_between_new(text: str) -> str:
    new = _new_characters()
    if new.isdisjoint(text):
        return text.lower()
    runs = ((is_new, "".join(run)) for is_new, run in groupby(text, new.__contains__))
    return "".join(run if is_new else run.lower() for is_new, run in runs)


def _find_words_between_new(text: str) -> list[str]:
    new = _new_characters()
    if not new.isdisjoint(text):
        text = "".join(" " if character in new else character for character in text)
    return _WORD.findall(text)


def _lower_by_tables(text: str) -> str:
    if SIGMA in text:
        text = _before_final_sigma().sub(rf"\g<1>{FINAL_SIGMA}", text)
    return text.translate(_lower_map())


def _find_words_by_tables(text: str) -> list[str]:
    # A class of many characters above U+FFFF is slow, and few texts need it.
    return _word_runs(with_astral=max(text, default="") > "\uffff").findall(text)


@cache
def _new_characters() -> frozenset[str]:
    """The characters that this interpreter knows and Unicode 14 does not: 4,489 in 15.0, 5,116 in 15.1."""
    import unicodedata

    from dcai_cli.features.unicode14_data import UNASSIGNED

    return frozenset(
        chr(point)
        for first, last in _ranges(UNASSIGNED)
        for point in range(first, min(last + 1, _NEW_BELOW))
        if unicodedata.category(chr(point)) != "Cn"
    )


@cache
def _before_final_sigma() -> re.Pattern[str]:
    """A final capital sigma, with what makes it final before it: a cased letter before, and none behind.

    Case-ignorable characters in between do not count. Unicode, section 3.13, calls it Final_Sigma.
    """
    from dcai_cli.features.unicode14_data import CASE_IGNORABLE, CASED

    cased, ignorable = f"[{_members(CASED)}]", f"[{_members(CASE_IGNORABLE)}]*"
    return re.compile(f"({cased}{ignorable}){SIGMA}(?!{ignorable}{cased})")


@cache
def _lower_map() -> dict[int, int | str]:
    changed: dict[int, int | str] = {
        point: point + added
        for first, last, step, added in _lower_runs()
        for point in range(first, last + 1, step)
    }
    return changed | {ord(DOTTED_I): LOWER_DOTTED_I}


@cache
def _word_runs(*, with_astral: bool) -> re.Pattern[str]:
    from dcai_cli.features.unicode14_data import WORD

    return re.compile(f"[{_members(WORD, CODE_POINTS if with_astral else 0x10000)}]{{2,}}")


@cache
def _spaces() -> re.Pattern[str]:
    from dcai_cli.features.unicode14_data import SPACE

    return re.compile(f"[{_members(SPACE)}]{{2,}}")


@cache
def _unspaced() -> re.Pattern[str]:
    from dcai_cli.features.unicode14_data import SPACE

    return re.compile(f"[^{_members(SPACE)}]+")


def _members(table: str, end: int = CODE_POINTS) -> str:
    """The ranges of a table that begin before a code point, as the inside of a character class."""
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _ranges(table) if first < end)


def _ranges(table: str) -> Iterator[tuple[int, int]]:
    for word in table.split():
        first, _, last = word.partition("-")
        yield int(first, 16), int(last or first, 16)


def _lower_runs() -> Iterator[tuple[int, int, int, int]]:
    """First, last, step and difference of the letters with another lower case."""
    from dcai_cli.features.unicode14_data import LOWER

    for word in LOWER.split():
        found: Any = re.fullmatch(r"([0-9a-f]+)-([0-9a-f]+)/([12])([+-][0-9]+)", word)
        first, last, step, added = found.groups()
        yield int(first, 16), int(last, 16), int(step), int(added)
