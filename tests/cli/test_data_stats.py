"""dcai data stats: counts and deposits against an export and the chain."""

from __future__ import annotations

import csv
import os
import pty
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.conftest import ADDRESSES, HONEST

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

WIDTH = 40


def exported(dcai: Dcai) -> list[dict[str, str]]:
    """The rows of an export of the same chain."""
    dcai.data("data", "export", "--output", "data.csv")
    with (dcai.folder / "data.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def total(rows: list[dict[str, str]], column: str) -> str:
    """The sum of a column."""
    return str(sum(int(row[column]) for row in rows))


def test_counts_are_those_of_an_export(story: Dcai) -> None:
    """Samples and deposits by label, state and contributor, and how often samples repeat."""
    rows, data = exported(story), story.data("data", "stats")
    assert (data["samples"], data["batches"]) == (len(rows), len({row["batch"] for row in rows}))
    for column, name, group in (
        ("label", "labels", "label"),
        ("state", "states", "state"),
        ("contributor", "by_contributor", "contributor"),
    ):
        found = {part[group]: part["samples"] for part in data[name]}
        assert {key: count for key, count in found.items() if count} == Counter(row[column] for row in rows)
        for part in data[name]:
            mine = [row for row in rows if row[column] == part[group]]
            assert part["deposit_wei"] == total(mine, "deposit_wei")
            assert part["lost_wei"] == total(mine, "lost_wei")
    sizes = sorted(len(row["features"].split()) for row in rows)
    assert (data["features"]["least"], data["features"]["most"]) == (sizes[0], sizes[-1])
    assert data["features"]["median"] == sizes[(len(sizes) - 1) // 2]
    assert data["features"]["mean"] == sum(sizes) / len(sizes)
    pairs = Counter((row["features"], row["label"]) for row in rows)
    assert data["duplicates"] == len(rows) - len(pairs) > 0
    labels = Counter(features for features, _ in pairs)
    assert data["contradictions"] == sum(labels[row["features"]] > 1 for row in rows) > 0
    assert data["informative"] == sum(row["informative"] == "true" for row in rows)
    assert (data["first_at"], data["last_at"]) == (rows[0]["added_at"], rows[-1]["added_at"])


def test_what_is_open_is_what_the_trainer_holds(story: Dcai) -> None:
    """Deposits are what came back, what was lost, and the balance of the contract."""
    data = story.data("data", "stats")
    assert data["open_wei"] == story.data("model", "show")["balance_wei"]
    parts = sum(int(data[f"{name}_wei"]) for name in ("refunded", "lost", "open"))
    assert parts == int(data["deposit_wei"])
    assert int(data["lost_wei"]) > 0


def test_the_first_contributors_are_shown_and_all_on_request(story: Dcai) -> None:
    """`--top` cuts the list, the most samples first; the count is of all."""
    one = story.data("data", "stats", "--top", "1")
    (who,) = one["by_contributor"]
    assert (who["contributor"], who["account"], one["contributors"]) == (ADDRESSES["alice"], "alice", 3)
    everybody = story.data("data", "stats", "--top", "1", "--all")["by_contributor"]
    assert [part["account"] for part in everybody] == ["alice", "bob", "carol"]
    assert "2 more; show them with --all" in story("data", "stats", "--top", "1").out


def test_a_model_without_samples_has_only_zeros(dcai: Dcai) -> None:
    """Nothing is divided by nothing; for people there is one line."""
    data = dcai.data("data", "stats")
    assert (data["samples"], data["first_at"], data["by_contributor"]) == (0, None, [])
    assert data["features"] == {"least": 0, "median": 0, "mean": 0.0, "most": 0}
    assert dcai("data", "stats").out == "Nothing was contributed to films yet.\n"


def on_a_screen(dcai: Dcai, *arguments: str) -> list[str]:
    """The lines that a command shows on a terminal of 40 columns."""
    screen, terminal = pty.openpty()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    surroundings = {**kept, **dcai.environment, "COLUMNS": str(WIDTH), "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dcai_cli", *arguments],
        env=surroundings | {"PYTHONUTF8": "1", "HOME": str(dcai.folder)},
        cwd=dcai.folder,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.PIPE,
    )
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(screen, 4096)
        except OSError:  # the program ended
            break
        seen += part
        if not part:
            break
    os.close(screen)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return seen.decode().splitlines()


def test_a_terminal_of_forty_columns_shows_bars_and_a_timeline(story: Dcai) -> None:
    """Every line of the charts fits, and none is drawn where stdout is no terminal."""
    lines = on_a_screen(story, "data", "stats")
    bars = [line for line in lines if "█" in line]
    assert {line.split()[0] for line in bars} >= {"negative", "positive", "refunded"}
    (timeline,) = [line for line in lines if line.startswith("over time")]
    assert any(level in timeline for level in "▁▂▃▄▅▆▇█")
    assert max(map(len, [*bars, timeline])) <= WIDTH
    piped = story("data", "stats").out
    assert not set(piped) & set("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉")


def test_a_leaderboard_has_bars_on_a_terminal(club: Dcai) -> None:
    """One bar for each contributor, behind the name of the account or a short address."""
    bars = [line for line in on_a_screen(club, "leaderboard") if line.endswith(("24", " 3", " 1"))]
    drawn = [line for line in bars if set(line) & set("█▏▎▍▌▋▊▉")]
    assert [line.split()[0][:2] for line in drawn] == ["al", "bo", "0x"]
    assert max(map(len, drawn)) <= WIDTH


def test_an_evaluation_has_a_bar_for_each_label(contributed: Dcai) -> None:
    """The recall in percent, which the line of the label has as a share, too."""
    file = str(contributed.write("test.csv", HONEST))
    lines = on_a_screen(contributed, "model", "evaluate", file)
    at = lines.index("recall in percent")
    classes = contributed.data("model", "evaluate", file)["classes"]
    for figures, bar in zip(classes, lines[at + 1 : at + 1 + len(classes)], strict=True):
        assert bar.split()[0] == figures["label"]
        assert bar.split()[-1] == str(round(100 * figures["recall"]))
        assert len(bar) <= WIDTH


def test_a_plot_is_drawn_beside_what_is_printed(contributed: Dcai) -> None:
    """`--plot` writes the file, and stdout is as without it."""
    plain = contributed("data", "stats").out
    for ending in ("png", "svg", "html"):
        drawn = contributed("data", "stats", "--plot", f"plot.{ending}")
        assert (drawn.code, drawn.out) == (0, plain)
        assert f"plot.{ending}" in drawn.err
        assert (contributed.folder / f"plot.{ending}").stat().st_size > 1000


def test_a_leaderboard_can_be_drawn(club: Dcai) -> None:
    """The plot names the contributors, their points and what the bars are."""
    club.data("leaderboard", "--plot", "board.svg")
    drawn = (club.folder / "board.svg").read_text(encoding="utf-8")
    for text in ("points of the contributors to club", "alice", "bob", "model points", ">24<"):
        assert text in drawn


def test_a_plot_with_another_ending_is_refused_before_anything_is_read(dcai: Dcai, closed_url: str) -> None:
    """Exit code 2 names the value and what to type, though no node would answer."""
    for command in (("data", "stats"), ("leaderboard",)):
        error = dcai.error(*command, "--plot", "plot.pdf", "--rpc-url", closed_url)
        assert error["exit_code"] == 2
        assert "plot.pdf" in error["message"]
        assert ".svg" in error["hint"]


def test_repeats_are_found_across_batches(contributed: Dcai) -> None:
    """The same row of another contributor is a repeat; with another label it is a contradiction."""
    text, label = HONEST[0]
    other = {"positive": "negative", "negative": "positive"}[label]
    contributed.write("again.csv", [(text, label), (text, other)])
    contributed.data("contribute", "again.csv", "--account", "bob", "--yes")
    data = contributed.data("data", "stats")
    assert (data["samples"], data["duplicates"], data["contradictions"]) == (5, 1, 3)
    assert not Path(contributed.folder / "plot.png").exists()
