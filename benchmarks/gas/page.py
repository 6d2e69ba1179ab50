"""The parts of docs/gas.md that are made of gas.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.gas.goals import GOALS, is_met
from benchmarks.gas.measure import Figures

BEGIN, END = "<!-- made by `make gas` -->\n", "<!-- end -->\n"
MARKETS_BEGIN, MARKETS_END = "<!-- markets, made by `make gas` -->\n", "<!-- end of markets -->\n"
MARKET_COLUMNS = (
    "draw",
    "evaluate",
    "reset",
    "replay",
    "publish",
    "sum",
    "largest_step",
    "steps",
    "features",
)


def with_figures(page: str, figures: Mapping[str, Mapping[str, Figures]], reasons: Mapping[str, str]) -> str:
    """The page with what is between the marks made anew.

    Args:
        page: docs/gas.md.
        figures: the rows of each source.
        reasons: why a row misses its goal.
    """
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [f"### {source}\n\n{_table(rows)}" for source, rows in figures.items()]
    missed = [key for key in GOALS if any(not is_met(rows.get(key), GOALS[key]) for rows in figures.values())]
    why = "".join(f"- **{key}.** {reasons.get(key, '?')}\n" for key in missed)
    parts += [f"### Why figures stop above their goals\n\n{why}"] if why else []
    return before + BEGIN + "\n" + "\n".join(parts) + "\n" + END + after


def with_markets(page: str, markets: Mapping[str, Mapping[str, Figures]]) -> str:
    """The page with the tables of markets made anew.

    Args:
        page: docs/gas.md.
        markets: the rows of each source.
    """
    before, _, rest = page.partition(MARKETS_BEGIN)
    _, _, after = rest.partition(MARKETS_END)
    parts = [f"### {source}: markets\n\n{_market_table(rows)}" for source, rows in markets.items()]
    return before + MARKETS_BEGIN + "\n" + "\n".join(parts) + "\n" + MARKETS_END + after


def update(
    path: Path,
    figures: Mapping[str, Mapping[str, Figures]],
    reasons: Mapping[str, str],
    markets: Mapping[str, Mapping[str, Figures]],
) -> None:
    """Make the parts anew in the file."""
    page = path.read_text(encoding="utf-8")
    path.write_text(with_markets(with_figures(page, figures, reasons), markets), encoding="utf-8")


def _market_table(rows: Mapping[str, Figures]) -> str:
    names = [column.replace("_", " ") for column in MARKET_COLUMNS]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for key, figures in rows.items():
        lines.append(f"| {key} | {' | '.join(f'{figures[column]:,}' for column in MARKET_COLUMNS)} |")
    return "\n".join(lines) + "\n"


def _table(rows: Mapping[str, Figures]) -> str:
    lines = [
        "| | contribute | refund | sum | reference | ratio | goal | updates | features |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for key, goal in GOALS.items():
        figures = rows[key]
        parts = [f"{figures[part]:,}" if part in figures else "" for part in ("contribute", "refund")]
        total = f"{figures['sum']:,}"
        rate = f"{figures['update_rate']:.0%}" if "update_rate" in figures else ""
        cells = [
            key,
            *parts,
            total if is_met(figures, goal) else f"**{total}**",
            f"{goal.reference:,}",
            f"1/{goal.reference / figures['sum']:.1f}",
            f"{goal.limit:,}",
            rate,
            str(figures.get("features", "")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
