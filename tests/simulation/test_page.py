"""The page and the animation in a real browser: curves, slider, play, hover; and nothing from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from dcai_cli.domain import format_ether
from dcai_cli.simulation.engine import Run, run
from dcai_cli.simulation.page import LEDGER_ROWS
from dcai_cli.simulation.pool import Prepared
from dcai_cli.simulation.results import LEDGER_FILE, write_results
from tests.simulation.test_rules import EVERYBODY

if TYPE_CHECKING:
    from tests.browser import Browser, Tab
    from tests.simulation.conftest import Read

VALUES = "[...document.querySelectorAll('#legend output')].map((output) => output.value)"
CLOCK = "document.querySelector('#clock').value"
UNCOVERED = "document.querySelector('#curtain').width.baseVal.value"
DAY_S = 86_400
TITLE = """Say </title></script><script>alert('$x')</script> & "that"\a!"""


@pytest.fixture(scope="module")
def done(read: Read, tumours: Prepared) -> Run:
    """A run with every strategy, and a title of somebody else's."""
    return run(read(*EVERYBODY, duration="4d", title=TITLE), tumours)


@pytest.fixture(scope="module")
def folder(done: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files."""
    folder = tmp_path_factory.mktemp("run")
    write_results(folder, done)
    return folder


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """An empty tab."""
    with browser.tab() as tab:
        yield tab


@pytest.fixture
def page(tab: Tab, folder: Path) -> Tab:
    """A tab with the page."""
    tab.open(folder / "index.html")
    return tab


def values_at(done: Run, number: int) -> list[str]:
    """What the legend says at a moment: of each agent, and the accuracy."""
    first, moment = done.moments[0], done.moments[number]
    shares = [
        moment.balances_wei[agent.name] / first.balances_wei[agent.name] for agent in done.scenario.agents
    ]
    return [f"{100 * share:.1f}%" for share in [*shares, moment.correct / done.test_rows]]


def test_the_page_opens_without_an_error_and_asks_for_nothing_else(page: Tab, folder: Path) -> None:
    """No word in the console, no exception, and one request: the file itself."""
    assert page.told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    requests = [told["request"]["url"] for told in page.told("Network.requestWillBeSent")]
    assert requests == [(folder / "index.html").as_uri()]
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_a_curve_for_each_agent_and_the_accuracy_has_a_point_for_each_moment(page: Tab, done: Run) -> None:
    """All curves are drawn, from the first moment to the last, and wholly uncovered."""
    curves = page.evaluate(
        "[...document.querySelectorAll('#curves polyline')].map((line) => ({name: line.textContent, "
        "points: line.points.numberOfItems, length: line.getTotalLength(), "
        "colour: getComputedStyle(line).stroke, last: line.points.getItem(line.points.length - 1).x}))"
    )
    assert [curve["name"] for curve in curves] == [
        *(agent.name for agent in done.scenario.agents),
        "accuracy",
    ]
    assert {curve["points"] for curve in curves} == {len(done.moments)}
    width = page.evaluate(UNCOVERED)
    assert all(curve["length"] >= width for curve in curves)
    assert all(curve["colour"].startswith("rgb") for curve in curves)
    assert {curve["last"] for curve in curves} == {curves[0]["last"]}
    assert page.evaluate(VALUES) == values_at(done, -1)


def cells(page: Tab, tables: str) -> list[list[str]]:
    """The cells of the rows of tables, but of their heads."""
    found: list[list[str]] = page.evaluate(
        f"[...document.querySelectorAll('{tables} tr:has(td)')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return found


def test_a_title_is_a_text_whatever_is_in_it(page: Tab, folder: Path) -> None:
    """Page and animation show its letters; nothing of it is run or taken for a tag."""
    shown = page.evaluate("[document.title, document.querySelector('h1').textContent]")
    assert shown == [TITLE.replace("\a", " ")] * 2
    assert page.evaluate("document.scripts.length") == 2
    animation = ET.parse(folder / "animation.svg").getroot()  # noqa: S314 - our own
    assert str(animation[0].text).startswith(shown[0])


def test_the_table_has_every_agents_figures(page: Tab, done: Run) -> None:
    """Start, end and gain, samples, deposits, refunds, reports and sweeps; no gas, as nothing was sent."""
    first, last = done.moments[0], done.moments[-1]
    sums: Counter[tuple[str, str]] = Counter()
    for entry in done.entries:
        sums[entry.account, entry.action] += abs(entry.amount_wei)
    expected = []
    for agent in done.scenario.agents:
        wei = {
            action: sum(sums[account, action] for account in agent.accounts)
            for action in ("contribute", "refund", "report", "sweep")
        }
        expected.append(
            [
                agent.name,
                agent.strategy,
                format_ether(first.balances_wei[agent.name]),
                format_ether(last.balances_wei[agent.name]),
                f"{done.gain(agent.name):+.1%}",
                f"{done.totals[agent.name].contributed:,}",
                *map(format_ether, wei.values()),
            ]
        )
    assert cells(page, "h2 + p + .wide") == expected


def test_the_ledgers_are_folded_and_long_ones_have_beginning_and_end(page: Tab, done: Run) -> None:
    """At most two hundred rows, the last with the balance at the end; the file with all is linked."""
    lengths = page.evaluate(
        "[...document.querySelectorAll('details')]"
        ".map((one) => [one.open, one.querySelectorAll('td:first-child').length])"
    )
    counts = [
        sum(entry.account in agent.accounts for entry in done.entries) for agent in done.scenario.agents
    ]
    assert lengths == [[False, min(count, 2 * LEDGER_ROWS)] for count in counts]
    assert min(counts) < 2 * LEDGER_ROWS < max(counts)
    for number, agent in enumerate(done.scenario.agents, start=1):
        rows = cells(page, f"details:nth-of-type({number})")
        assert rows[-1][-1] == format_ether(done.moments[-1].balances_wei[agent.name])
        assert {row[1] for row in rows} <= set(agent.accounts)
    assert set(page.evaluate("[...document.links].map((link) => link.getAttribute('href'))")) == {LEDGER_FILE}
    said = page.evaluate("[...document.querySelectorAll('details p')].map((one) => one.textContent)")
    left_out = [count - 2 * LEDGER_ROWS for count in counts if count > 2 * LEDGER_ROWS]
    assert said == [f"{count:,} more are in ledger.csv; the last 100:" for count in left_out]


def test_the_slider_moves_the_clock(page: Tab, done: Run) -> None:
    """By keys, moment by moment; the curves are covered from there on, and the values are those of then."""
    whole = page.evaluate(UNCOVERED)
    page.evaluate("document.querySelector('#slider').focus()")
    for _ in range(5):
        page.press("ArrowLeft")
    then = done.moments[-6]
    assert page.evaluate(CLOCK) == f"day {then.at / DAY_S:.1f}"
    assert page.evaluate(UNCOVERED) == pytest.approx(whole * then.at / done.scenario.end_s)
    assert page.evaluate(VALUES) == values_at(done, -6) != values_at(done, -1)
    page.press("Home")
    assert (page.evaluate(CLOCK), page.evaluate(UNCOVERED)) == ("day 0.0", 0)
    assert page.evaluate(VALUES) == values_at(done, 0)


def test_hovering_shows_the_values_of_that_time(page: Tab, done: Run) -> None:
    """Where the pointer is, and the end's again when it goes."""
    box = page.evaluate("document.querySelector('#curves polyline').getBoundingClientRect().toJSON()")
    third = done.moments[3]
    # Half a day later, so that the last moment before it is meant.
    x = box["x"] + box["width"] * (third.at + DAY_S // 2) / done.scenario.end_s
    page.move_mouse(x, box["y"] + 10)
    assert page.evaluate(CLOCK) == f"day {third.at / DAY_S + 0.5:.1f}"
    assert page.evaluate(VALUES) == values_at(done, 3) != values_at(done, -1)
    assert page.evaluate("document.querySelector('#cursor').getBoundingClientRect().x") == pytest.approx(
        x, abs=1
    )
    page.move_mouse(5, 5)
    assert page.evaluate(VALUES) == values_at(done, -1)


def test_play_draws_the_curves_until_the_end_or_a_pause(page: Tab, done: Run) -> None:
    """From the start if all is drawn; a second click stops it; the last moment but one is near the end."""
    whole = page.evaluate(UNCOVERED)
    page.click("#play")
    page.evaluate(
        "new Promise((seen) => { const look = () => "
        f"{UNCOVERED} > 0 && {UNCOVERED} < {whole} ? seen() : requestAnimationFrame(look); look(); }})"
    )
    page.click("#play")
    assert page.evaluate("document.querySelector('#play').textContent") == "Play"
    stopped = page.evaluate(UNCOVERED)
    assert 0 < stopped < whole
    frame = "new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next))).then(() => "
    assert page.evaluate(f"{frame}{UNCOVERED})") == stopped
    page.evaluate("document.querySelector('#slider').focus()")
    page.press("End")
    page.press("ArrowLeft")
    assert page.evaluate(VALUES) == values_at(done, -2)
    page.click("#play")
    page.evaluate(
        "new Promise((seen) => new MutationObserver((_, it) => { it.disconnect(); seen(); })"
        ".observe(document.querySelector('#play'), {childList: true}))"
    )
    assert (page.evaluate(CLOCK), page.evaluate(UNCOVERED)) == (
        f"day {done.moments[-1].at / DAY_S:.1f}",
        whole,
    )


def test_the_page_may_ask_nobody(page: Tab) -> None:
    """Whatever stood in it: its policy refuses scripts, pictures and requests."""
    refused = page.evaluate(
        "new Promise((told) => { const found = new Set(); "
        "document.addEventListener('securitypolicyviolation', (event) => { "
        "found.add(event.effectiveDirective); if (found.size === 3) told([...found].sort()); }); "
        "fetch('https://example.org/').catch(() => 0); "
        "document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}), "
        "Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'})); })"
    )
    assert refused == ["connect-src", "img-src", "script-src-elem"]
    assert page.evaluate("window.ran") is None
    asked = {
        told["requestId"]
        for told in page.told("Network.requestWillBeSent")
        if told["request"]["url"].startswith("https:")
    }
    stopped = {
        told["requestId"] for told in page.told("Network.loadingFailed") if told.get("blockedReason") == "csp"
    }
    assert asked <= stopped


def test_without_javascript_the_curves_stand_there(tab: Tab, folder: Path, done: Run) -> None:
    """Curves, figures and ledgers are shown; what would do nothing is not."""
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(folder / "index.html")
    assert tab.evaluate("getComputedStyle(document.querySelector('#controls')).display") == "none"
    assert tab.evaluate("document.querySelectorAll('#curves polyline').length") == len(EVERYBODY) + 1
    assert tab.evaluate(VALUES) == values_at(done, -1)
    tab.click("summary")
    assert tab.evaluate("document.querySelector('details table').getBoundingClientRect().height") > 100


def test_it_is_dark_where_the_screen_is_and_light_on_paper(page: Tab) -> None:
    """The ground follows the reader's choice, but paper is white and has no buttons."""
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.call("Emulation.setEmulatedMedia", media="screen", features=dark)
    assert page.evaluate(ground) == "rgb(24, 26, 27)"
    page.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('#controls')).display") == "none"


def test_the_animation_draws_the_curves_in_ten_seconds(tab: Tab, folder: Path, done: Run) -> None:
    """Half of them after five, all after ten; no script, no request, no error."""
    tab.open(folder / "animation.svg")
    seen = tab.evaluate(
        "(() => { const root = document.documentElement; root.pauseAnimations(); "
        "return [0, 5, 10, 12].map((at) => { root.setCurrentTime(at); "
        "return document.querySelector('#curtain').width.animVal.value; }); })()"
    )
    whole = tab.evaluate(UNCOVERED)
    assert seen == pytest.approx([0, whole / 2, whole, whole], rel=1e-3)
    points = "[...document.querySelectorAll('polyline')].map((line) => line.points.numberOfItems)"
    assert tab.evaluate(points) == [len(done.moments)] * (len(EVERYBODY) + 1)
    assert tab.evaluate("document.querySelectorAll('script').length") == 0
    assert tab.told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    assert len(tab.told("Network.requestWillBeSent")) == 1
