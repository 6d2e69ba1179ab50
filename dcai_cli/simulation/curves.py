"""The curves of a run as a picture: what every agent has, and how good the model is, over time.

SVG that is drawn by hand, so that a page and an animation need no library. Colours are in curves.css.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcai_cli.simulation.engine import Run

DAY_S = 86_400

LEFT, RIGHT = 56, 744
"""Where time begins and ends, in the picture's own units."""

_WIDTH, _HEIGHT = 760, 520
_PANELS = ((30, 290), (346, 476))
"""Top and bottom of the balances, and of the accuracy."""

_COLOURS = 8
_LEGEND_ROWS = 14
_LETTER = 8
"""Width of a letter, about; no font is known."""
_DRAW_S, _HOLD_S = 10, 3
"""How long the animation draws, and shows what it has drawn before it begins again."""


def file(name: str) -> str:
    """The text of a file beside this one."""
    return (resources.files("dcai_cli.simulation") / name).read_text(encoding="utf-8")


def balances(run: Run) -> dict[str, list[float]]:
    """What every agent had at each moment, in per cent of what it had to begin with."""
    return {
        agent.name: [
            100 * moment.balances_wei[agent.name] / run.moments[0].balances_wei[agent.name]
            for moment in run.moments
        ]
        for agent in run.scenario.agents
    }


def accuracy(run: Run) -> list[float]:
    """Per cent of the test set that was predicted right at each moment."""
    return [100 * moment.correct / run.test_rows for moment in run.moments]


def clock(at: int) -> str:
    """A time since the start, as people say it.

    >>> clock(90_061)
    'day 1, 01:01:01'
    """
    minutes, second = divmod(at % DAY_S, 60)
    return f"day {at // DAY_S}, {minutes // 60:02}:{minutes % 60:02}:{second:02}"


def title(run: Run) -> str:
    """A title as a page takes it: nothing in it is a tag, or a letter that XML forbids."""
    return escape("".join(letter if letter.isprintable() else " " for letter in run.scenario.title))


def line_class(number: int) -> str:
    """The class of an agent's line: a colour; with more agents than colours, dashes, too."""
    return f"c{number % _COLOURS} d{number // _COLOURS % 3}"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from one at or below `low` to one at or above `high`, which is greater.

    >>> ticks(0, 203)
    [0, 50, 100, 150, 200, 250]
    >>> ticks(78.1, 79.3)
    [78.0, 78.5, 79.0, 79.5]
    """
    span = high - low
    size = 10 ** math.floor(math.log10(span / most))
    step = next(size * times for times in (1, 2, 5, 10, 20) if span / (size * times) <= most - 1)
    return [round(at * step, 12) for at in range(math.floor(low / step), math.ceil(high / step) + 1)]


def picture(run: Run, *, animated: bool = False) -> str:
    """Draw a run.

    Args:
        run: what came of a scenario.
        animated: a file of its own, with a legend, whose curves draw themselves again and again; otherwise
            the page around it has styles and legend, and may move `curtain` and `cursor`.

    Returns:
        An SVG element.
    """
    longest = max(len(agent.name) for agent in run.scenario.agents)
    width = _WIDTH + (_LETTER * (longest + len(" +1000.0%")) + 40) * animated
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="curves" viewBox="0 0 {width} {_HEIGHT}" role="img">',
        f"<title>{title(run)}: balances and accuracy over time</title>",
    ]
    if animated:
        parts += [f"<style>{file('curves.css')}</style>", '<rect class="ground" width="100%" height="100%"/>']
    curves = balances(run)
    highest = max(map(max, curves.values()))
    parts += _panel(run, 0, "balances, in % of the start", ticks(0, highest), curves)
    right = accuracy(run)
    marks = ticks(max(min(right) - 1, 0), max(*right, 1), 5)  # also where it never changes
    parts += _panel(run, 1, "accuracy, in %", marks, {"accuracy": right})
    parts += _times(run)
    parts += _curtain(animated=animated)
    if animated:
        parts += _legend(run)
    return "\n".join([*parts, "</svg>"])


def _x(run: Run, at: float) -> float:
    return LEFT + (RIGHT - LEFT) * at / run.scenario.end_s


def _panel(
    run: Run, number: int, heading: str, marks: Sequence[float], curves: dict[str, list[float]]
) -> Iterator[str]:
    top, bottom = _PANELS[number]

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - marks[0]) / (marks[-1] - marks[0])

    yield f'<text class="title" x="{LEFT}" y="{top - 12}">{heading}</text>'
    for mark in marks:
        yield f'<path class="grid" d="M{LEFT} {y(mark):.1f}H{RIGHT}"/>'
        yield f'<text class="mark" x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>'
    yield '<g clip-path="url(#shown)">'
    for place, (name, values) in enumerate(curves.items()):
        of = line_class(place) if number == 0 else "accuracy"
        points = " ".join(
            f"{_x(run, moment.at):.1f},{y(value):.1f}"
            for moment, value in zip(run.moments, values, strict=True)
        )
        yield f'<polyline class="curve {of}" points="{points}"><title>{name}</title></polyline>'
    yield "</g>"


def _times(run: Run) -> Iterator[str]:
    """The axis of both, and where contributing ends."""
    top, bottom = _PANELS[0][0], _PANELS[1][1]
    days = run.scenario.end_s / DAY_S
    for day in ticks(0, days, 12):
        if day <= days:
            x = _x(run, day * DAY_S)
            yield f'<text class="mark" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{day:g}</text>'
    yield f'<text class="mark" x="{RIGHT}" y="{bottom + 36}" text-anchor="end">days since the start</text>'
    end = _x(run, run.scenario.duration_s)
    yield f'<path class="end" d="M{end:.1f} {top}V{bottom}"><title>from here on, only claims</title></path>'


def _curtain(*, animated: bool) -> Iterator[str]:
    """What uncovers the curves, and the line that says until when; all is uncovered where nothing moves."""
    top, bottom, span = _PANELS[0][0], _PANELS[1][1], RIGHT - LEFT
    rhythm = f'dur="{_DRAW_S + _HOLD_S}s" keyTimes="0;{_DRAW_S / (_DRAW_S + _HOLD_S):.4f};1"'
    drawing = f'<animate attributeName="width" values="0;{span};{span}" {rhythm} repeatCount="indefinite"/>'
    moving = (
        f'<animateTransform attributeName="transform" type="translate" values="{LEFT};{RIGHT};{RIGHT}" '
        f'{rhythm} repeatCount="indefinite"/>'
    )
    # A little higher than the panels: lines at their very edge are not cut.
    yield (
        f'<clipPath id="shown"><rect id="curtain" x="{LEFT}" y="{top - 4}" width="{span}" '
        f'height="{bottom - top + 8}">{drawing if animated else ""}</rect></clipPath>'
    )
    yield (
        f'<path id="cursor" d="M0 {top}V{bottom}" transform="translate({RIGHT})">'
        f"{moving if animated else ''}</path>"
    )


def _legend(run: Run) -> Iterator[str]:
    left, top = _WIDTH + 4, _PANELS[0][0]
    agents = run.scenario.agents
    for number, agent in enumerate(agents[:_LEGEND_ROWS]):
        y = top + 20 * number
        yield f'<path class="curve {line_class(number)}" d="M{left} {y}h24"/>'
        yield f'<text x="{left + 32}" y="{y + 4}">{agent.name} {run.gain(agent.name):+.1%}</text>'
    if len(agents) > _LEGEND_ROWS:
        more = len(agents) - _LEGEND_ROWS
        yield f'<text x="{left + 32}" y="{top + 20 * _LEGEND_ROWS + 4}">and {more} more</text>'
    y = _PANELS[1][0] + 4
    yield f'<path class="curve accuracy" d="M{left} {y}h24"/>'
    yield f'<text x="{left + 32}" y="{y + 4}">accuracy {run.accuracy():.1%}</text>'
