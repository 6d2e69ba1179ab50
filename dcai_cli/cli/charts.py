"""Small charts in a terminal; where stdout is none, nothing is drawn."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcai_cli.cli.output import printable

if TYPE_CHECKING:
    from rich.console import Console

NARROWEST = 40
"""Columns that every chart fits into."""

WIDEST = 72
"""Columns that no chart goes beyond: longer bars say no more."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"


def can_draw(console: Console) -> bool:
    """Whether stdout is a terminal that shows such characters."""
    return sys.stdout.isatty() and console.encoding.lower().startswith("utf")


def show_bars(console: Console, bars: Sequence[tuple[str, int]], title: str = "") -> None:
    """Draw a bar for each number, where there is a terminal.

    Args:
        console: stdout.
        bars: names and numbers, none negative.
        title: what the numbers are, where nothing above says it.
    """
    if not can_draw(console) or not any(value for _, value in bars):
        return
    if title:
        console.print(title)
    for line in bar_lines(bars, min(max(console.width, NARROWEST), WIDEST)):
        console.print(line)


def show_timeline(console: Console, title: str, counts: Sequence[tuple[int, int]]) -> None:
    """Draw how many came when, where there is a terminal.

    Args:
        console: stdout.
        title: what is counted.
        counts: times in seconds, rising, and how many came then.
    """
    if not can_draw(console) or len(counts) < 2 or counts[0][0] == counts[-1][0]:
        return
    width = min(max(console.width, NARROWEST), WIDEST) - len(title) - 2
    console.print(f"{title}  {sparkline(in_bins(counts, max(width, 8)))}")


def bar_lines(bars: Sequence[tuple[str, int]], width: int) -> list[str]:
    """Lines with a name, a bar and a number, none longer than the width.

    >>> bar_lines([("ham", 4), ("a long name", 2)], 20)
    ['ham        ██████  4', 'a long n…  ███     2']
    """
    from rich.cells import cell_len, set_cell_size

    numbers = [f"{value:,}" for _, value in bars]
    most, number_width = max(value for _, value in bars), max(map(len, numbers))
    names = [printable(name) for name, _ in bars]
    name_width = min(max(map(cell_len, names)), max(6, width * 9 // 20))
    room = max(width - name_width - number_width - 4, 1)
    lines = []
    for name, (_, value), number in zip(names, bars, numbers, strict=True):
        shown = name if cell_len(name) <= name_width else set_cell_size(name, name_width - 1) + "…"
        eighths = max(round(value / most * room * 8), value > 0) if most else 0
        bar = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
        lines.append(f"{set_cell_size(shown, name_width)}  {bar:<{room}}  {number:>{number_width}}")
    return lines


def sparkline(values: Sequence[int]) -> str:
    """One character for each number; nothing where it is 0.

    >>> sparkline([0, 1, 4, 8])
    ' ▁▄█'
    """
    most = max(values, default=0)
    return "".join(_LEVELS[-(-value * len(_LEVELS) // most) - 1] if value else " " for value in values)


def in_bins(counts: Sequence[tuple[int, int]], bins: int) -> list[int]:
    """Sum up what came in spans of time of the same length.

    >>> in_bins([(0, 1), (4, 2), (10, 3)], 5)
    [1, 0, 2, 0, 3]
    """
    first, last = counts[0][0], counts[-1][0]
    sums = [0] * bins
    for at, count in counts:
        sums[min((at - first) * bins // max(last - first, 1), bins - 1)] += count
    return sums
