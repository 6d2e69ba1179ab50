"""A recorded terminal as an SVG that moves by style sheets alone, without a script.

The terminal is a long paper on which lines appear, one event after the other, and which is moved up when it
is longer than the window. Where nothing moves, because the reader wants it so or the program cannot, the
last screen is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

CELL_W, CELL_H, MARGIN, BAR_H = 8.4, 18, 14, 28
"""Pixels of a character (of a font of 14 pixels), around the window, and of the bar above it."""

KEY_S, THINK_S, LINE_S, END_S = 0.045, 0.7, 0.22, 6.0
"""Seconds to type a character, before and after typing, to read a line, and before it begins anew."""

COLOURS = {
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#f2cc60",  # what emulators call the third colour
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
}
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
GROUND, FRAME, INK, FAINT = "#0d1117", "#30363d", "#e6edf3", "#8b949e"


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters of one row that look alike.

    Args:
        row: from 0, of the whole paper.
        column: of the first character.
        text: the characters.
        colour: as the emulator names it.
        bold: whether they are.
    """

    row: int
    column: int
    text: str
    colour: str = "default"
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """What appears at once.

    Args:
        kind: "prompt", "command" and "answer" (they are typed), or "output".
        pieces: what appears.
        height: rows of the paper afterwards.
    """

    kind: str
    pieces: tuple[Piece, ...]
    height: int


def animation(events: Sequence[Event], *, columns: int, rows: int, title: str) -> str:
    """Draw the events, one after the other.

    Args:
        events: in their order.
        columns: of the window.
        rows: likewise.
        title: what is said instead of the picture, to whoever does not see it.

    Returns:
        The SVG.
    """
    times = _times(events)
    width, height = round(columns * CELL_W + 2 * MARGIN), rows * CELL_H + 2 * MARGIN + BAR_H
    dots = "".join(
        f'<circle cx="{MARGIN + 6 + 18 * at}" cy="{BAR_H / 2 + 3}" r="5.5" fill="{FRAME}"/>'
        for at in range(3)
    )
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    inside = f'x="{MARGIN}" y="{BAR_H + MARGIN / 2}" width="{width - 2 * MARGIN}" height="{rows * CELL_H}"'
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">
<title>{escape(title)}</title>
<!-- Made by tools/recording.py of what the commands print; `make recording` makes it anew. -->
<style>
{_style(events, times, times[-1] + END_S, rows)}
</style>
<rect width="{width}" height="{height}" rx="8" fill="{GROUND}" stroke="{FRAME}"/>
{dots}
<svg {inside}><g id="paper">
{_paper(events)}
</g></svg>
</svg>
"""


def _paper(events: Sequence[Event]) -> str:
    lines = []
    for number, event in enumerate(events):
        shown = "".join(map(_text, event.pieces))
        cover = "".join(map(_cover, event.pieces)) if event.kind == "command" else ""
        if shown:
            lines.append(f'<g id="e{number}" class="{event.kind}">{shown}{cover}</g>')
    return "\n".join(lines)


def _style(events: Sequence[Event], times: Sequence[float], total_s: float, rows: int) -> str:
    """How it looks where nothing moves; and when what appears, is typed, and moves up."""
    up = [max(0, event.height - rows) * CELL_H for event in events]
    rules = [
        f"text{{font:14px {FONTS};white-space:pre;fill:{INK}}}",
        *(f".{name}{{fill:{colour}}}" for name, colour in COLOURS.items()),
        ".bold,.command text{font-weight:bold}",
        f".prompt text{{fill:{COLOURS['green']}}}",
        f".cover{{visibility:hidden;fill:{GROUND}}}.cover rect+rect{{fill:{FAINT}}}",
        f"#paper{{transform:translateY({-up[-1]}px)}}",
        f"@media (prefers-reduced-motion:no-preference){{g{{animation:{total_s:.2f}s step-end infinite}}",
        "#paper{animation-name:paper}",
    ]
    frames = ["@keyframes paper{0%{transform:none}"]
    for number, (event, at_s) in enumerate(zip(events, times, strict=True)):
        if number and up[number] != up[number - 1]:
            frames[0] += f"{_share(at_s / total_s)}{{transform:translateY({-up[number]}px)}}"
        if not (number and event.pieces):
            continue  # the first is there from the beginning
        rules.append(f"#e{number}{{animation-name:e{number}}}")
        frames.append(f"@keyframes e{number}{{0%{{opacity:0}}{_share(at_s / total_s)},100%{{opacity:1}}}}")
        if event.kind == "command":
            rules.append(f"#e{number} .cover{{animation-name:k{number}}}")
            frames.append(_typing(number, event.pieces[0], at_s + THINK_S, total_s))
    frames[0] += "}"
    return "\n".join([*rules, "}", *frames])


def _times(events: Sequence[Event]) -> list[float]:
    """When each event begins, in seconds; the time that lines take to read comes before what follows them."""
    times, now_s = [], 0.0
    for event in events:
        times.append(now_s)
        if event.kind == "output":
            now_s += LINE_S * (1 + len({piece.row for piece in event.pieces})) + THINK_S
        elif event.kind == "command":
            now_s += _typing_s(event.pieces[0]) + 2 * THINK_S
        elif event.kind == "answer":
            now_s += THINK_S
    return times


def _typing_s(piece: Piece) -> float:
    return KEY_S * len(piece.text)


def _text(piece: Piece) -> str:
    looks = " ".join(filter(None, [piece.colour if piece.colour in COLOURS else "", "bold" * piece.bold]))
    looks = looks and f' class="{looks}"'
    x, y = piece.column * CELL_W, (piece.row + 0.75) * CELL_H
    return f'<text x="{x:g}" y="{y:g}"{looks}>{escape(piece.text, quote=False)}</text>'


def _cover(piece: Piece) -> str:
    """What hides the part of a command that is not typed yet, with a cursor before it."""
    place = f'x="{piece.column * CELL_W:g}" y="{piece.row * CELL_H}" height="{CELL_H}"'
    width = (len(piece.text) + 1) * CELL_W
    return f'<g class="cover"><rect {place} width="{width:g}"/><rect {place} width="{CELL_W}"/></g>'


def _typing(number: int, piece: Piece, begin_s: float, total_s: float) -> str:
    """The cover moves right by a character with each key, and is gone after the last."""
    begin, end = _share(begin_s / total_s), _share((begin_s + _typing_s(piece)) / total_s)
    keys = f"animation-timing-function:steps({len(piece.text)})"
    return (
        f"@keyframes k{number}{{0%,{begin}{{visibility:visible;transform:none;{keys}}}"
        f"{end},100%{{visibility:hidden;transform:translateX({len(piece.text) * CELL_W:g}px)}}}}"
    )


def _share(part: float) -> str:
    return f"{100 * part:.3f}".rstrip("0").rstrip(".") + "%"
