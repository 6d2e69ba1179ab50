"""Plots: the same bytes for the same numbers, nothing from elsewhere, and what is refused."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from dcai_cli.errors import DcaiError, UsageError
from dcai_cli.services.plots import (
    MOST_BARS,
    MOST_SERIES,
    PLOT_FORMATS,
    Bars,
    Chart,
    Matrix,
    Timeline,
    check_plot,
    write_plot,
)

HOSTILE = "<script>alert('$x_1$ & ham')</script>\x07\n]]>"
CHARTS: dict[str, Chart] = {
    "bars": Bars("points", "points", ["alice", "bob"], {"model": [5, 2], "validation": [1, 0]}),
    "bars of nothing": Bars("points", "points", [], {"model": []}),
    "bars of zeros": Bars("points", "points", ["alice"], {"model": [0]}),
    "more bars than are drawn": Bars("points", "points", [f"c{at}" for at in range(99)], {"m": range(99)}),
    "a sum over time": Timeline("samples", "samples", {"s": [(0, 3), (90_000, 8)]}, is_sum=True),
    "one moment": Timeline("samples", "samples", {"s": [(0, 3)]}, is_sum=True),
    "no moment": Timeline("samples", "samples", {}, is_sum=True),
    "the end of the calendar": Timeline("samples", "samples", {"s": [(0, 1), (2**60, 2)]}),
    "shares": Timeline("accuracy", "accuracy", {"a": [(0, 0.5), (60, 1.0)], "b": [(30, 0.0)]}, is_share=True),
    "days since a start": Timeline("b", "%", {"a": [(0, 100), (86_400, 90.5)]}, is_elapsed=True),
    "more series than are drawn": Timeline(
        "b", "%", {f"s{at}": [(0, at)] for at in range(20)}, is_elapsed=True
    ),
    "a matrix": Matrix("confusion", ["ham", "spam"], [[9, 1], [2, 30]]),
    "a large matrix with an empty row": Matrix("c", [*"abcdefghijklmnop"], [[0] * 16, *[[7] * 16] * 15]),
    "anybody's text": Bars(HOSTILE, HOSTILE, [HOSTILE, "日本語 العربية"], {HOSTILE: [1, 2]}),
    "anybody's labels": Matrix(HOSTILE, [HOSTILE, "b"], [[1, 2], [3, 4]]),
    "anybody's series": Timeline(HOSTILE, HOSTILE, {HOSTILE: [(0, 1)], "b": [(1, 2)]}),
}


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("form", PLOT_FORMATS)
def test_every_chart_is_drawn_the_same_twice(tmp_path: Path, name: str, form: str) -> None:
    """The file is there, well formed, and has the same bytes when it is drawn again."""
    path = tmp_path / f"plot.{form}"
    write_plot(path, [CHARTS[name]])
    first = path.read_bytes()
    write_plot(path, [CHARTS[name]])
    assert path.read_bytes() == first
    if form == "png":
        assert first.startswith(b"\x89PNG\r\n")
        assert first.endswith(b"IEND\xaeB`\x82")
    elif form == "svg":
        assert ET.parse(io.BytesIO(first)).getroot().tag.endswith("svg")  # noqa: S314 - our own
    else:
        page = first.decode()
        assert "<script" not in page
        assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!#)", page)
        assert not re.findall(r"@import|url\((?!#)", page)


def test_another_process_with_other_settings_draws_the_same(tmp_path: Path) -> None:
    """Neither hash seeds, the time zone, nor the user's matplotlibrc change a byte."""
    program = (
        "import sys; from pathlib import Path; from tests.unit.test_plots import CHARTS;"
        "from dcai_cli.services.plots import write_plot;"
        "write_plot(Path(sys.argv[1]), [CHARTS['bars'], CHARTS['a matrix'], CHARTS['a sum over time']])"
    )
    (tmp_path / "matplotlibrc").write_text("figure.facecolor: red\nfont.size: 30\nsvg.hashsalt: other\n")
    project = Path(__file__).resolve().parents[2]
    for form in PLOT_FORMATS:
        drawn = set()
        for seed, zone, folder in (("1", "UTC", project), ("2", "Asia/Tokyo", tmp_path)):
            path = tmp_path / f"plot-{seed}.{form}"
            environment = {
                "PYTHONHASHSEED": seed,
                "TZ": zone,
                "PYTHONPATH": str(project),
                "HOME": str(tmp_path),
                "SOURCE_DATE_EPOCH": seed,
            }
            command = [sys.executable, "-c", program, str(path)]
            subprocess.run(command, env=environment, cwd=folder, check=True)
            drawn.add(path.read_bytes())
        assert len(drawn) == 1


def test_a_picture_says_what_it_shows(tmp_path: Path) -> None:
    """Titles, names, units and numbers stand in an svg as text, and in html as a table, too."""
    write_plot(tmp_path / "plot.svg", [CHARTS["bars"], CHARTS["a matrix"]])
    write_plot(tmp_path / "plot.html", [CHARTS["bars"], CHARTS["a matrix"]])
    drawn, page = (tmp_path / "plot.svg").read_text(), (tmp_path / "plot.html").read_text()
    for text in ("alice", "validation", "points", "true label", "predicted", ">30<"):
        assert text in drawn
        assert text in page
    assert "<tr><td>spam</td><td>2</td><td>30</td></tr>" in page
    assert "<tr><td>alice</td><td>5</td><td>1</td></tr>" in page


def test_bars_that_are_left_out_are_counted(tmp_path: Path) -> None:
    """The axis says how many more there are; the table of a page has all."""
    chart = CHARTS["more bars than are drawn"]
    write_plot(tmp_path / "plot.svg", [chart])
    write_plot(tmp_path / "plot.html", [chart])
    assert f"({99 - MOST_BARS} more are not shown)" in (tmp_path / "plot.svg").read_text()
    assert "<td>c98</td>" in (tmp_path / "plot.html").read_text()


def test_times_since_a_start_are_days(tmp_path: Path) -> None:
    """The axis counts days, and the table of a page does; what is not drawn is counted below it."""
    for form in ("svg", "html"):
        write_plot(
            tmp_path / f"plot.{form}", [CHARTS["days since a start"], CHARTS["more series than are drawn"]]
        )
    drawn, page = (tmp_path / "plot.svg").read_text(), (tmp_path / "plot.html").read_text()
    assert drawn.count(">days since the start<") == 1
    assert f">days since the start, {20 - MOST_SERIES} more are not shown<" in drawn
    assert "1970" not in page
    assert "<tr><td>day 1</td><td>a</td><td>90</td></tr>" in page


@pytest.mark.parametrize("name", ["plot.pdf", "plot", "plot.svgz", ".png"])
def test_an_ending_that_is_no_plot_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is drawn, with the name and the endings that there are."""
    with pytest.raises(UsageError, match=re.escape(name)) as caught:
        check_plot(tmp_path / name)
    assert ".png, .svg or .html" in caught.value.hint


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks the extra is told what to install, and nothing is written."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="matplotlib, which is not installed") as caught:
        check_plot(tmp_path / "plot.png")
    assert caught.value.hint == "pip install 'dcai[plots]'"
    check_plot(None)


def test_a_plot_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    """A full device is named with what the system says, and is no fault of the program."""
    path = tmp_path / "plot.svg"
    path.symlink_to("/dev/full")
    with pytest.raises(DcaiError, match="No space left"):
        write_plot(path, [CHARTS["bars"]])
