"""Measures featurizing against scikit-learn: `python -m benchmarks.features`.

Prints the figures, and writes benchmarks/features.json, benchmarks/features.svg and the table of
docs/speed.md. The exit status is 1 if a goal is missed.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.features import corpora
from benchmarks.features.measure import (
    Figure,
    measure_encoding,
    measure_first_rows,
    measure_memory,
    measure_texts,
    measure_threads,
)
from benchmarks.features.tables import measure_categories, measure_types

FOLDER = Path(__file__).resolve().parent.parent
PAGE = FOLDER.parent / "docs" / "speed.md"


def measure() -> list[Figure]:
    """All figures, in the order of the table."""
    english, few = corpora.english(10_000), corpora.english(2_000)
    chinese, french = corpora.chinese(8_000), corpora.french(4_000)
    return [
        measure_texts("words", english, "word", (1, 1), 12),
        measure_texts("characters 1-2", few, "char", (1, 2), 10),
        measure_texts("words, Chinese", chinese, "word", (1, 1), 8),
        measure_texts("characters 1-2, Chinese", chinese, "char", (1, 2), 8),
        measure_texts("words, accents", french, "word", (1, 1), 8),
        measure_categories(5),
        measure_types(5),
        measure_threads(),
        measure_first_rows(),
        measure_memory(),
        measure_encoding(valued=False),
        measure_encoding(valued=True),
    ]


def plot(figures: Sequence[Figure], path: Path) -> None:
    """Draw the speed-ups over scikit-learn, with their goals."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "dcai"  # the same file for the same figures
    import matplotlib.pyplot as plt

    shown = [figure for figure in figures if figure.unit == "times scikit-learn"][::-1]
    image, axes = plt.subplots(figsize=(7, 0.6 * len(shown) + 1), layout="constrained")
    names = [figure.name for figure in shown]
    bars = axes.barh(names, [figure.value for figure in shown], color="#4477aa")
    axes.bar_label(bars, padding=3)
    axes.plot([figure.goal for figure in shown], names, "|", color="#cc3311", markersize=22, label="goal")
    axes.set_xlabel("times as fast as scikit-learn (CPU time, one core, equal output)")
    axes.legend(loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    image.savefig(path, metadata={"Date": None})


def table(figures: Sequence[Figure]) -> list[str]:
    """The figures as rows of a table in Markdown."""
    return [
        f"| {one.name} | {one.value:g} {one.unit} | {'at most' if one.at_most else 'at least'} {one.goal:g} |"
        for one in figures
    ]


def write_page(figures: Sequence[Figure], page: Path) -> None:
    """Put the figures into the table of the page."""
    lines = page.read_text(encoding="utf-8").splitlines()
    head = lines.index("|---|---|---|") + 1
    rest = next(at for at in range(head, len(lines)) if not lines[at].startswith("|"))
    page.write_text("\n".join([*lines[:head], *table(figures), *lines[rest:]]) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print, write."""
    load = os.getloadavg()[0]
    figures = measure()
    for figure in figures:
        verdict = "met" if figure.is_met else "MISSED"
        sign = "<=" if figure.at_most else ">="
        print(f"{figure.name:30} {figure.value:>8} {figure.unit:20} goal {sign} {figure.goal:<5} {verdict}")
    report = {
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "python": platform.python_version(),
            "load_before": round(load, 2),
        },
        "figures": [{**asdict(figure), "is_met": figure.is_met} for figure in figures],
    }
    (FOLDER / "features.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    plot(figures, FOLDER / "features.svg")
    write_page(figures, PAGE)
    return 0 if all(figure.is_met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
