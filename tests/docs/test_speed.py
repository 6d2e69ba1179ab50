"""The page of figures against the benchmark that was measured last."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from benchmarks.features.__main__ import PAGE, table, write_page
from benchmarks.features.measure import Figure
from tests.conftest import PROJECT


def test_the_page_has_the_figures_that_were_measured(tmp_path: Path) -> None:
    """Its table is what the benchmark wrote; written again, the page stays as it is."""
    report = json.loads((PROJECT / "benchmarks" / "features.json").read_text(encoding="utf-8"))
    names = [field.name for field in fields(Figure)]
    figures = [Figure(**{name: one[name] for name in names}) for one in report["figures"]]
    page = PAGE.read_text(encoding="utf-8")
    assert all(line in page.splitlines() for line in table(figures))
    copy = tmp_path / "speed.md"
    copy.write_text(page, encoding="utf-8")
    write_page(figures, copy)
    assert copy.read_text(encoding="utf-8") == page


def test_the_page_of_models_has_the_figures_of_the_audit() -> None:
    """Its table is what the benchmark wrote, and each figure is above its limit."""
    page = (PROJECT / "docs" / "models.md").read_text(encoding="utf-8").splitlines()
    figures = json.loads((PROJECT / "benchmarks" / "audit.json").read_text(encoding="utf-8"))
    assert set(figures) == {"sms_spam", "imdb"}
    for name, one in figures.items():
        measured = f"{one['samples']:,} | {one['batches']} | {one['audit_s']:.2f} | {one['samples_per_s']:,}"
        assert f"| {name} | {measured} |" in page
        assert one["samples"] >= 20_000
        assert one["samples_per_s"] >= one["limit_samples_per_s"] == 2_000
