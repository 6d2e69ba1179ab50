"""Plots as files: png, svg, or html that needs no network. The same numbers give the same bytes.

matplotlib draws them, an extra; it is imported when something is drawn.
"""

from __future__ import annotations

import html
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import iso_time
from dcai_cli.errors import UsageError
from dcai_cli.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_FORMATS = ("png", "svg", "html")
"""Endings of a plot's file."""

GET_MATPLOTLIB = "pip install 'dcai[plots]'"
"""What to type where it is not installed."""

MOST_BARS = 40
"""Bars of a chart at most; a note says how many more there are."""

MOST_SERIES = 8
"""Lines of a chart at most, and their colours."""

_COLOURS = ("#2f6db3", "#e0862d", "#4d9a55", "#8c5fa8", "#b94a48", "#6b6b6b", "#c9a227", "#3aa3a3")
_DPI = 150
_TICKS = 4
_LONGEST = 24
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar for each name and series.

    Args:
        title: what is shown.
        unit: what the numbers are.
        names: one for each group of bars.
        series: name of the series to its numbers.
    """

    title: str
    unit: str
    names: Sequence[str]
    series: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Numbers over time.

    Args:
        title: what is shown.
        unit: what the numbers are.
        series: name of the series to its points: seconds, rising, and a number.
        is_sum: whether a number stays until the next, as a sum does; else points are joined.
        is_share: whether the numbers are between 0 and 1.
        is_elapsed: whether the seconds count from a start, and not from 1970; they are shown as days then.
    """

    title: str
    unit: str
    series: Mapping[str, Sequence[tuple[int, float]]]
    is_sum: bool = False
    is_share: bool = False
    is_elapsed: bool = False


@dataclass(frozen=True, slots=True)
class Matrix:
    """How often which label was predicted for which.

    Args:
        title: what is shown.
        labels: class 0 first.
        counts: for each true label, how often each label was predicted.
    """

    title: str
    labels: Sequence[str]
    counts: Sequence[Sequence[int]]


Chart = Bars | Timeline | Matrix


def added_up(counts: Sequence[tuple[int, int]]) -> list[tuple[int, float]]:
    """Counts over time as their sum so far.

    >>> added_up([(5, 2), (5, 1), (9, 3)])
    [(5, 3), (9, 6)]
    """
    sums: dict[int, float] = {}
    total = 0
    for at, count in counts:
        total += count
        sums[at] = total
    return list(sums.items())


def can_draw() -> bool:
    """Whether there is something to draw with."""
    return find_spec("matplotlib") is not None


def check_plot(path: Path | None) -> None:
    """Say before any work whether a plot can be drawn.

    Args:
        path: where it goes; None if none is wanted.

    Raises:
        UsageError: the ending is none of `PLOT_FORMATS`, or nothing is there to draw with.
    """
    if path is None:
        return
    _format(path)
    if not can_draw():
        raise UsageError("--plot needs matplotlib, which is not installed.", hint=GET_MATPLOTLIB)


def write_plot(path: Path, charts: Sequence[Chart]) -> None:
    """Draw charts below each other into one file, whole or not at all.

    Args:
        path: the file; its ending says the format.
        charts: what to draw, at least one.

    Raises:
        UsageError: the ending is none of `PLOT_FORMATS`, or nothing is there to draw with.
        DcaiError: it cannot be written.
    """
    check_plot(path)
    form = _format(path)
    content = _page(charts).encode() if form == "html" else draw(charts, form)
    write_atomically(path, content, mode=0o644)


def _format(path: Path) -> str:
    ending = path.suffix.lower().removeprefix(".")
    if ending not in PLOT_FORMATS:
        raise UsageError(
            f"--plot {path}: the ending says no format that can be drawn.",
            hint="Name a file .png, .svg or .html.",
        )
    return ending


def draw(charts: Sequence[Chart], form: str) -> bytes:
    """Draw charts below each other.

    Args:
        charts: what to draw, at least one.
        form: "png" or "svg".

    Returns:
        The content of a file.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    content = io.BytesIO()
    # What a user's own settings, or the clock, would change is fixed: the same input gives the same bytes.
    settings = {
        **mpl.rcParamsDefault,
        "svg.hashsalt": "dcai",
        "svg.fonttype": "none",
        "text.parse_math": False,
    }
    settings.pop("backend", None)
    metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A script that its font lacks is a box in a png, and the viewer's font in the others.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        heights = [_height(chart) for chart in charts]
        figure = Figure(figsize=(8, sum(heights)), layout="constrained")
        grid = figure.add_gridspec(len(charts), 1, height_ratios=heights)
        for place, chart in enumerate(charts):
            axes = figure.add_subplot(grid[place])
            axes.set_title(_shown(chart.title), loc="left")
            if isinstance(chart, Bars):
                _draw_bars(axes, chart)
            elif isinstance(chart, Timeline):
                _draw_timeline(axes, chart)
            else:
                _draw_matrix(axes, chart)
        figure.savefig(content, format=form, dpi=_DPI, metadata=metadata)
    return content.getvalue()


def _height(chart: Chart) -> float:
    """Inches."""
    if isinstance(chart, Bars):
        return 1.6 + 0.3 * min(len(chart.names), MOST_BARS)
    return 3.6 if isinstance(chart, Timeline) else 2.5 + 0.4 * len(chart.labels)


def _shown(text: str) -> str:
    """A text of anybody's: nothing that XML forbids or a line breaks at, and not too long."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    return kept if len(kept) <= 2 * _LONGEST + 12 else f"{kept[: 2 * _LONGEST + 11]}…"


def _name(text: str) -> str:
    kept = _shown(text)
    return kept if len(kept) <= _LONGEST else f"{kept[: _LONGEST - 1]}…"


def _draw_bars(axes: Axes, chart: Bars) -> None:
    names = [_name(name) for name in chart.names[:MOST_BARS]]
    share = 0.8 / len(chart.series)
    for at, (series, numbers) in enumerate(chart.series.items()):
        places = [row + (at - (len(chart.series) - 1) / 2) * share for row in range(len(names))]
        bars = axes.barh(places, numbers[:MOST_BARS], share, label=_name(series), color=_COLOURS[at])
        axes.bar_label(bars, [f"{number:,}" for number in numbers[:MOST_BARS]], padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(_shown(chart.unit))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == int(value) else "")
    if len(chart.names) > MOST_BARS:
        axes.set_xlabel(f"{_shown(chart.unit)} ({len(chart.names) - MOST_BARS:,} more are not shown)")
    if len(chart.series) > 1:
        axes.legend(loc="lower right")
    _tidy(axes)


def _draw_timeline(axes: Axes, chart: Timeline) -> None:
    times = [at for points in chart.series.values() for at, _ in points]
    for number, (series, points) in enumerate(islice(chart.series.items(), MOST_SERIES)):
        xs = [at / _DAY_S if chart.is_elapsed else at for at, _ in points]
        ys = [value for _, value in points]
        axes.plot(
            xs,
            ys,
            color=_COLOURS[number],
            drawstyle="steps-post" if chart.is_sum else "default",
            marker="o" if len(points) <= 60 else "",
            markersize=4,
            label=_name(series),
        )
    if times and not chart.is_elapsed:
        first, last = min(times), max(times)
        ticks = sorted({first + (last - first) * at // _TICKS for at in range(_TICKS + 1)})
        axes.set_xticks(ticks, [_tick(at, last - first) for at in ticks])
    elif not times:
        axes.set_xticks([])
        axes.text(0.5, 0.5, "nothing yet", transform=axes.transAxes, ha="center", va="center")
    if chart.is_share:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == int(value) else "")
    axes.set_ylabel(_shown(chart.unit))
    if (chart.is_share and chart.series) or len(chart.series) > 1:
        axes.legend(loc="best", fontsize=8)
    notes = ["days since the start"] if chart.is_elapsed else []
    if len(chart.series) > MOST_SERIES:
        notes.append(f"{len(chart.series) - MOST_SERIES:,} more are not shown")
    axes.set_xlabel(", ".join(notes))
    _tidy(axes)


def _tick(at: int, span_s: int) -> str:
    """A time at an axis: the day, and the hour where the span is short."""
    day, hour = iso_time(at).removesuffix("Z").split("T")
    return day if span_s > 8 * _DAY_S else f"{day}\n{hour[:5] if span_s > 3600 else hour}"


def _draw_matrix(axes: Axes, chart: Matrix) -> None:
    names = [_name(label) for label in chart.labels]
    # Shares of each row: a rare label is seen as well as a frequent one.
    shares = [[count / max(sum(row), 1) for count in row] for row in chart.counts]
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1)
    axes.invert_yaxis()
    size = 10 if len(names) <= 8 else 7
    for row, counts in enumerate(chart.counts):
        for column, count in enumerate(counts):
            colour = "white" if shares[row][column] > 0.55 else "black"
            text = axes.text(column + 0.5, row + 0.5, f"{count:,}", color=colour, fontsize=size)
            text.set(ha="center", va="center")
    middles = [at + 0.5 for at in range(len(names))]
    axes.set_xticks(middles, names, rotation=30 if len(names) > 3 else 0)
    axes.set_yticks(middles, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true label")


def _tidy(axes: Axes) -> None:
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _page(charts: Sequence[Chart]) -> str:
    """One page: the picture, and below it the numbers, for who reads or copies them."""
    drawn = draw(charts, "svg").decode()
    picture = drawn[drawn.index("<svg") :]
    title = html.escape(_shown(charts[0].title))
    tables = "\n".join(_table(chart) for chart in charts)
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }}
svg {{ height: auto; max-width: 100%; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
td, th {{ border-bottom: 1px solid #ddd; padding: 0.2em 0.8em; text-align: right; }}
td:first-child, th:first-child {{ text-align: left; }}
caption {{ font-weight: bold; text-align: left; }}
</style>
</head>
<body>
{picture}
{tables}
</body>
</html>
"""


def _table(chart: Chart) -> str:
    if isinstance(chart, Bars):
        head: list[str] = ["", *chart.series]
        rows = [
            [name, *(f"{numbers[at]:,}" for numbers in chart.series.values())]
            for at, name in enumerate(chart.names)
        ]
    elif isinstance(chart, Timeline):
        head = ["time", "series", chart.unit]
        rows = [
            [
                f"day {at / _DAY_S:g}" if chart.is_elapsed else iso_time(at),
                series,
                f"{value:,.4f}" if chart.is_share else f"{value:,.0f}",
            ]
            for series, points in chart.series.items()
            for at, value in points
        ]
    else:
        head = ["true label", *(f"predicted {label}" for label in chart.labels)]
        rows = [
            [label, *(f"{count:,}" for count in counts)]
            for label, counts in zip(chart.labels, chart.counts, strict=True)
        ]
    lines = [f"<table><caption>{html.escape(_shown(chart.title))}</caption>", _cells("th", head)]
    return "\n".join([*lines, *(_cells("td", row) for row in rows), "</table>"])


def _cells(tag: str, cells: Sequence[str]) -> str:
    shown = (
        html.escape("".join(letter if letter.isprintable() else " " for letter in cell)) for cell in cells
    )
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in shown) + "</tr>"
