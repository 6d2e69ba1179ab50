"""dcai simulate: bundled scenarios, what is shown while it runs, its files, and Ctrl-C."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from dcai_cli.cli.simulation_view import View
from dcai_cli.simulation.engine import Moment, Run, run
from dcai_cli.simulation.market import Market
from dcai_cli.simulation.pool import prepare
from dcai_cli.simulation.results import LEDGER_FILE, PAGE_FILE, PLOT_FILES, RUN_FILE
from dcai_cli.simulation.scenario import Scenario, read_scenario
from tests.cli.test_processes import StartTerminal, surroundings, terminal
from tests.json_schemas import check_document
from tests.simulation.conftest import SCENARIOS, TUMOURS
from tests.simulation.test_rules import EVERYBODY

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

__all__ = ["terminal"]  # the fixture

SHORT = ("simulate", "tumours", "--set", "duration=2d", "--set", "settle=0s")
FOR_EVER = ("simulate", "tumours", "--set", "duration=100000d", "--output", "run")


def read_short() -> Scenario:
    """The scenario of `SHORT`."""
    return read_scenario(TUMOURS, {"duration": "2d", "settle": "0s"})


def test_a_bundled_scenario_is_found_by_its_bare_name(empty: Dcai) -> None:
    """Also where a folder has that name, as the command's own output may; a file of that name goes first."""
    (empty.folder / "tumours").mkdir()
    assert empty.data(*SHORT)["title"].startswith("Tumours")
    (empty.folder / "tumours").rmdir()
    own = TUMOURS.read_text(encoding="utf-8").replace('title = "', 'title = "My own ')
    (empty.folder / "tumours").write_text(own, encoding="utf-8")
    assert empty.data(*SHORT)["title"].startswith("My own Tumours")


@pytest.mark.parametrize(
    ("name", "hint"), [("tumour", "Did you mean tumours? "), ("x/tumours.toml", ""), ("nothing", "Name a")]
)
def test_a_mistyped_name_lists_what_there_is(empty: Dcai, name: str, hint: str) -> None:
    """The error names the file, the hint a near name and all bundled ones."""
    error = empty.error("simulate", name)
    assert (error["code"], name in error["message"]) == ("bad-input", True)
    assert error["hint"].startswith(hint)
    assert all(path.stem in error["hint"] for path in SCENARIOS.glob("*.toml"))


def test_a_scenario_whose_name_no_file_can_have_is_refused(empty: Dcai) -> None:
    """The operating system says why."""
    error = empty.error("simulate", "x" * 300)
    assert error["exit_code"] == 15
    assert error["message"].endswith("cannot be read: File name too long.")


def test_an_output_that_is_no_folder_is_refused_before_the_run(empty: Dcai) -> None:
    """Nobody simulates for hours to hear it."""
    (empty.folder / "run").write_text("a file")
    error = empty.error(*FOR_EVER)
    assert (error["exit_code"], error["message"]) == (2, "--output run is no folder.")


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("", "'' is no folder"),
        ("-", "- is no folder"),
        ("scenario.toml/run", "cannot be written"),
        ("x" * 300, "cannot be written: File name too long."),
        ("nowhere", "nowhere cannot be written: No such file or directory."),
        ("full", "full/run.json cannot be written: Is a directory."),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_before_the_run(
    empty: Dcai, folder: str, told: str
) -> None:
    """An empty name is not the current folder, a link to nowhere is no folder; nothing is made."""
    (empty.folder / "scenario.toml").write_text("")
    (empty.folder / "nowhere").symlink_to("gone")
    (empty.folder / "full" / RUN_FILE).mkdir(parents=True)
    before = sorted(path.name for path in empty.folder.iterdir())
    assert told in empty.error(*FOR_EVER[:-1], folder)["message"]
    assert sorted(path.name for path in empty.folder.iterdir()) == before


def test_values_that_are_set_too_deep_are_refused(empty: Dcai) -> None:
    """As typed on the command line, in a process of its own: the EVM raises the limit of this one."""
    done = subprocess.run(
        [sys.executable, "-m", "dcai_cli", *SHORT, "--set", f"title={'[' * 3_000}"],
        env=surroundings(empty),
        cwd=empty.folder,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, b"--set title has lists too deep in each other." in done.stderr) == (2, True)


@pytest.mark.parametrize("digits", ["1" * 5000, f"0x{'F' * 5000}"])
def test_a_number_that_python_does_not_read_is_refused(empty: Dcai, digits: str) -> None:
    """It stops at 4,300 decimal digits, with an error of its own."""
    error = empty.error("simulate", "tumours", "--set", f"seed={digits}")
    assert error["exit_code"] == 15
    assert error["message"].startswith("seed in the top of the scenario is ")
    assert len(error["message"]) < 160


def test_the_document_names_its_files_and_run_json_has_the_same_figures(empty: Dcai) -> None:
    """By the schema; the files are there, and the ledger adds up to the totals of each agent."""
    result = empty(*SHORT, "--output", "run", "--json")
    check_document("simulate", result.document)
    data = result.document["data"]
    assert result.err.splitlines() == [f"written: {name}" for name in data["files"]]
    assert all((empty.folder / name).stat().st_size for name in data["files"])
    written = json.loads((empty.folder / "run" / RUN_FILE).read_text())
    assert {**written, "files": data["files"]} == {"version": 1, **data}
    with (empty.folder / "run" / LEDGER_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for agent in data["agents"]:
        of = [row for row in rows if row["account"] in agent["accounts"]]
        gained = sum(int(row["amount_wei"]) for row in of)
        assert int(agent["balances_wei"][-1]) - int(agent["balances_wei"][0]) == gained
        assert sum(int(row["samples"]) for row in of if row["action"] == "contribute") == agent["contributed"]


def test_another_process_writes_the_same_bytes(empty: Dcai) -> None:
    """Neither hash seeds, the time zone, nor the folder change a byte of any file."""
    empty(*SHORT, "--output", "here")
    subprocess.run(
        [sys.executable, "-m", "dcai_cli", *SHORT, "--output", "there", "--quiet"],
        env=surroundings(empty) | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        cwd=empty.folder,
        check=True,
        capture_output=True,
    )
    here, there = (
        {path.name: path.read_bytes() for path in (empty.folder / name).iterdir()}
        for name in ("here", "there")
    )
    assert here == there
    assert here.keys() >= {PAGE_FILE, LEDGER_FILE, RUN_FILE, *PLOT_FILES.values()}


def test_without_matplotlib_only_its_plots_are_missing(empty: Dcai, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said how to get them, and all else is written."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = empty(*SHORT, "--output", "run")
    assert result.code == 0
    assert "curves.svg and curves.png need matplotlib: pip install 'dcai[plots]'" in result.err.splitlines()
    names = {path.name for path in (empty.folder / "run").iterdir()}
    assert names == {PAGE_FILE, "animation.svg", RUN_FILE, LEDGER_FILE}


def test_real_runs_say_what_gas_was_used(empty: Dcai) -> None:
    """On the embedded chain; the page has it in its table and in the ledgers."""
    hour = ("--set", "duration=1h", "--set", "settle=0s")
    data = empty.data("simulate", "tumours", *hour, "--real", "--output", "run")
    gas = {agent["name"]: agent["gas_used"] for agent in data["agents"]}
    assert gas["good"] > 100_000
    page = (empty.folder / "run" / PAGE_FILE).read_text()
    assert page.count("<th>gas used</th>") == 1 + len(gas)
    assert f"<td>{gas['good']:,}</td></tr>" in page


# The view


def shown(view: View, width: int, height: int) -> list[str]:
    """The lines of a view on a screen."""
    screen = io.StringIO()
    Console(file=screen, width=width, height=height, force_terminal=True, color_system=None).print(view)
    return screen.getvalue().splitlines()


class Ticks:
    """A clock that moves when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        """Its time."""
        return self.now


def watched(scenario: Scenario, seconds: Ticks) -> tuple[View, Run]:
    """The view of a run that took ten seconds, and the run."""
    prepared = prepare(scenario, folder=SCENARIOS)
    view = View(scenario, prepared.test_rows, seconds=seconds)
    assert shown(view, 80, 24) == []
    seconds.now = 10.0
    return view, run(scenario, prepared, watch=view.watch)


def test_the_view_says_who_has_what_and_what_just_happened() -> None:
    """Balances, deposits and gains of the last moment, accuracy, time, rate and the last events."""
    view, done = watched(read_short(), Ticks())
    title, pace, *agents, accuracy = (lines := shown(view, 80, 24))[:6]
    assert title == done.scenario.title
    sent = sum(totals.contributed for totals in done.totals.values())
    assert pace.startswith("day ")
    assert f" of 2 d, {sent / 10:,.0f} contributions a second, about 0 s left" in pace
    for agent, line in zip(done.scenario.agents, agents, strict=True):
        assert line.split()[:2] == [agent.name, f"{done.gain(agent.name):+.1%}"]
        assert " ETH out " in line
    assert accuracy.startswith(f"accuracy {done.accuracy():.1%}  ")
    assert all(len(line) == 80 and line[-1] in "▁▂▃▄▅▆▇█" for line in (*agents, accuracy))
    *_, last = done.entries
    assert last.action == "contribute"
    assert f"{last.account} sends 1 sample for " in lines[-1]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 24), (40, 12), (200, 60)])
def test_the_view_fits_the_screen(width: int, height: int) -> None:
    """With more agents than a small screen has lines; accuracy and an event are always there."""
    scenario = read_scenario(TUMOURS, {"agents": list(EVERYBODY), "duration": "1d", "settle": "0s"})
    view, _ = watched(scenario, Ticks())
    lines = shown(view, width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("accuracy ") for line in lines) == 1
    assert not lines[-1].startswith("accuracy ")


def test_the_curves_grow_to_the_right_as_time_passes() -> None:
    """Half-way they are half as long, and the time left is that which has passed."""
    seconds = Ticks()
    scenario = read_short()
    prepared = prepare(scenario, folder=SCENARIOS)
    view = View(scenario, prepared.test_rows, seconds=seconds)
    halves: list[list[str]] = []

    def watch(moment: Moment, market: Market) -> None:
        seconds.now = 4.0
        view.watch(moment, market)
        if moment.at == scenario.end_s // 2:
            halves.append(shown(view, 80, 24))

    run(scenario, prepared, watch=watch)
    (half,) = halves
    (accuracy,) = [line.rstrip() for line in half if line.startswith("accuracy ")]
    name = len("accuracy 90.0%  ")
    assert len(accuracy) == pytest.approx(name + (80 - name) / 2, abs=1)
    assert "about 4 s left" in half[1]


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_a_terminal_shows_no_view_where_none_is_wanted(
    empty: Dcai, terminal: StartTerminal, option: str
) -> None:
    """Stderr stays empty, and the result is on stdout."""
    command = terminal(empty, *SHORT, option)
    code, out = command.end()
    assert (code, command.seen) == (0, "")
    assert "Tumours, benign" in out


def test_a_terminal_without_letters_for_curves_has_a_bar(empty: Dcai, terminal: StartTerminal) -> None:
    """What cannot be written there is not."""
    command = terminal(empty, *FOR_EVER, PYTHONIOENCODING="ascii")
    command.until("simulating")
    command.interrupt()
    assert command.end()[0] == 130
    assert command.seen.isascii()


@pytest.mark.parametrize("real", [False, True], ids=["reckoned", "real"])
def test_an_interruption_leaves_nothing(empty: Dcai, terminal: StartTerminal, real: bool) -> None:
    """Ctrl-C in the middle of the view: exit code 130, a cursor, no file, no folder, no result."""
    command = terminal(empty, *FOR_EVER, *(["--real"] if real else []), TMPDIR=str(empty.folder))
    command.until("contributions a second")
    command.interrupt()
    code, out = command.end()
    assert (code, out) == (130, "")
    assert command.seen.rindex("\x1b[?25h") > command.seen.rindex("\x1b[?25l")
    assert "Traceback" not in command.seen
    assert "Interrupted." in command.seen
    assert {path.name for path in empty.folder.iterdir()} <= {"password", "home"}
