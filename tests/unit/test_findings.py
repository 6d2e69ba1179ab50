"""Checks of data: what is doubtful is counted, and the first rows are named."""

from __future__ import annotations

import random

from dcai_cli.domain import Row
from dcai_cli.features.featurize import featurize
from dcai_cli.features.findings import EXAMPLES, DataChecks, Example, Finding
from dcai_cli.features.spec import FeatureSpec

SPEC = FeatureSpec.text(labels=["a", "b", "c"], n_features=4096, max_features=2)


def findings(*rows: tuple[str, str]) -> dict[str, Finding]:
    """What is found in rows of text and label."""
    checks = DataChecks()
    named = [Row(at, {"text": text, "label": label}) for at, (text, label) in enumerate(rows, start=1)]
    for row in featurize(named, SPEC):
        checks.add(row)
    return {finding.kind: finding for finding in checks.findings()}


def test_repeats_and_contradictions_name_the_earlier_row() -> None:
    """A row can be both: it repeats one, and contradicts another."""
    found = findings(("one", "a"), ("two", "a"), ("one", "b"), ("one", "a"), ("one", "c"), ("one", "c"))
    assert found["duplicates"].examples == (Example(4, 1), Example(6, 5))
    assert found["conflicting_labels"].examples == (
        Example(3, 1),
        Example(4, 3),
        Example(5, 1),
        Example(6, 1),
    )
    assert found["conflicting_labels"].count == 4


def test_the_same_cells_in_another_writing_are_no_repeat() -> None:
    """Cells are compared as they stand, also where their features are the same."""
    assert findings(("one two", "a"), ("two one", "a"), ("one  two", "b"))["duplicates"].count == 0


def test_a_row_is_cut_only_above_the_limit() -> None:
    """As many features as the model takes are not too many."""
    found = findings(("one two", "a"), ("one two three", "a"), ("one two one", "a"))
    assert found["cut"] == Finding("cut", 1, (Example(2),))


def test_unusable_rows_are_told_apart() -> None:
    """Empty, of an unknown label, and without features are three things."""
    found = findings((" ", "a"), ("one", "z"), ("!", "a"), ("", "z"))
    assert [found[kind].examples for kind in ("empty", "unknown_labels", "no_sample")] == [
        (Example(1),),
        (Example(2), Example(4)),
        (Example(3),),
    ]


def test_only_the_first_rows_are_named() -> None:
    """Every row counts, some are named."""
    found = findings(*[("", "a")] * 99)["empty"]
    assert (found.count, len(found.examples)) == (99, EXAMPLES)


def test_rows_that_stand_by_label_are_told_from_shuffled_ones() -> None:
    """Also with three labels, unequal shares, and where one label stands alone."""
    rng = random.Random(4)  # noqa: S311 (no secret)
    for labels in (["a"] * 20 + ["b"] * 20, ["a"] * 90 + ["b"] * 10, ["a"] * 20 + ["b"] * 9 + ["c"] * 30):
        assert is_sorted(labels)
        assert not is_sorted(rng.sample(labels, len(labels)))
    for labels in ([], ["a"], ["a", "b"], ["a"] * 50, ["a", "b"] * 20):
        assert not is_sorted(labels)


def is_sorted(labels: list[str]) -> bool:
    """What is said of rows with these labels."""
    checks = DataChecks()
    rows = [Row(at, {"text": f"text {at}", "label": label}) for at, label in enumerate(labels, start=1)]
    for row in featurize(rows, SPEC):
        checks.add(row)
    return checks.is_sorted
