"""Gas by receipts, intrinsic gas and calldata floor included: a table, and benchmarks/gas.json.

`python -m benchmarks.gas` measures with the stand-in and, where the data set is present, with the reviews of
IMDB; it exits with 1 if a goal is missed and gas.json does not say why. With `--check` it measures the
stand-in only, writes nothing, and exits with 1 also if a figure is over 2 % above the committed one. With
`--markets` it measures markets only, and leaves all other figures as they are. docs/gas.md has the details.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gas.goals import GOALS, is_met, regressions, unexplained
from benchmarks.gas.market_rows import GOAL, measure_markets, missed_markets
from benchmarks.gas.measure import Figures, measure
from benchmarks.gas.network import PROJECT, start_network
from benchmarks.gas.page import MARKET_COLUMNS, update
from benchmarks.gas.reviews import Reviews, imdb, stand_in

COMMITTED = PROJECT / "benchmarks" / "gas.json"
PAGE = PROJECT / "docs" / "gas.md"


def main() -> int:
    """Measure, print, write or compare."""
    default = os.environ.get("DCAI_TEST_DATA", PROJECT.parent / "shared" / "data")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed figures")
    parser.add_argument("--markets", action="store_true", help="measure markets only")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that holds imdb/")
    parser.add_argument("--output", type=Path, default=COMMITTED)
    options = parser.parse_args()
    document = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else {}
    committed: dict[str, dict[str, Figures]] = document.get("figures", {})
    reasons: dict[str, str] = document.get("reasons", {})
    committed_markets: dict[str, dict[str, Figures]] = document.get("markets", {})
    console = Console(width=None if sys.stdout.isatty() else 140)

    problems: list[str] = []
    measured: dict[str, dict[str, Figures]] = {}
    measured_markets: dict[str, dict[str, Figures]] = {}
    for reviews in sources(None if options.check else options.data):
        if not options.markets:
            with start_network() as network:
                rows = measure(network, reviews, _say)
            measured[reviews.name] = rows
            console.print(table(reviews.name, rows))
            problems += [
                f"{reviews.name}: {key} misses its goal, and {options.output.name} does not say why"
                for key in unexplained(rows, reasons)
            ]
            if options.check:
                problems += regressions(rows, committed.get(reviews.name, {}))
        with start_network() as network:
            markets = measure_markets(network, reviews, _say)
        measured_markets[reviews.name] = markets
        console.print(market_table(reviews.name, markets))
        problems += [f"{reviews.name}: {key} takes more than {GOAL:,} gas" for key in missed_markets(markets)]
        if options.check:
            problems += regressions(markets, committed_markets.get(reviews.name, {}))
    missed = {key for rows in measured.values() for key in GOALS if not is_met(rows.get(key), GOALS[key])}
    for key in sorted(missed & set(reasons)):
        console.print(f"{key}: {reasons[key]}", soft_wrap=True, highlight=False)
    if not options.check:
        figures = {**committed, **measured}
        all_markets = {**committed_markets, **measured_markets}
        write(options.output, {"figures": figures, "reasons": reasons, "markets": all_markets})
        if options.output == COMMITTED:
            update(PAGE, figures, reasons, all_markets)
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


def _say(step: str) -> None:
    print(step, file=sys.stderr)


def sources(data: Path | None) -> list[Reviews]:
    """What to measure with: the stand-in, and the real reviews where they are."""
    folder = None if data is None else data / "imdb"
    return [stand_in(), *([imdb(folder)] if folder is not None and folder.is_dir() else [])]


def table(name: str, rows: Mapping[str, Figures]) -> Table:
    """The rows beside the reference's figures and the goals."""
    shown = Table(title=f"Gas per sample by receipts ({name})")
    shown.add_column("row")
    for column in ("contribute", "refund", "sum", "reference", "ratio", "goal", "met", "updates", "n"):
        shown.add_column(column, justify="right")
    for key, goal in GOALS.items():
        figures = rows.get(key, {})
        parts = [f"{figures[part]:,}" if part in figures else "" for part in ("contribute", "refund", "sum")]
        ratio = f"1/{goal.reference / figures['sum']:.1f}" if figures else ""
        met = "yes" if is_met(figures or None, goal) else "NO"
        rate = f"{figures['update_rate']:.0%}" if "update_rate" in figures else ""
        size = str(figures.get("features", ""))
        shown.add_row(key, *parts, f"{goal.reference:,}", ratio, f"{goal.limit:,}", met, rate, size)
    once = rows.get("deploy 1,000 words", {}).get("once_per_chain", 0)
    shown.caption = f"Once per chain, for all models of these types: {once:,} gas."
    return shown


def market_table(name: str, rows: Mapping[str, Figures]) -> Table:
    """The gas of markets, by their parts."""
    shown = Table(title=f"Gas of the reward phase of a market by receipts ({name})")
    shown.add_column("market")
    for column in MARKET_COLUMNS:
        shown.add_column(column.replace("_", " "), justify="right")
    for key, figures in rows.items():
        shown.add_row(key, *(f"{figures[column]:,}" for column in MARKET_COLUMNS))
    return shown


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write it in a form that changes where figures change only."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
