"""What is doubtful in data, found before money is spent: repeats, contradictions, empty rows and more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dcai_cli.features.featurize import FeaturizedRow, Skipped

_SORTED = 0.25
EXAMPLES = 5
"""Rows of each kind that are named."""

KINDS = {
    "duplicates": "repeat an earlier row, label included",
    "conflicting_labels": "stand with another label in an earlier row",
    "empty": "are empty",
    "unknown_labels": "have a label that the model does not know",
    "no_sample": "have no features, no vector of the right length, or a cell that its column does not take",
    "cut": "have more features than the model takes of one sample, and lose the rarest",
}
"""Names of the findings, and what they say of rows, in their order."""

KINDS_OF_ONE = {
    "duplicates": "repeats an earlier row, label included",
    "conflicting_labels": "stands with another label in an earlier row",
    "empty": "is empty",
    "unknown_labels": "has a label that the model does not know",
    "no_sample": "has no features, no vector of the right length, or a cell that its column does not take",
    "cut": "has more features than the model takes of one sample, and loses the rarest",
}
"""The same, of one row."""

_OF_FAULT = {"empty": "empty", "unknown-label": "unknown_labels", "no-sample": "no_sample"}


@dataclass(frozen=True, slots=True)
class Example:
    """One row with a finding.

    Args:
        row: its number.
        other: the earlier row that it repeats or contradicts, if any.
    """

    row: int
    other: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of doubtful rows.

    Args:
        kind: one of KINDS.
        count: how many rows.
        examples: the first of them, at most EXAMPLES.
    """

    kind: str
    count: int
    examples: tuple[Example, ...]


class LabelOrder:
    """Counts how often the label changes from row to row.

    >>> order = LabelOrder()
    >>> for label in ["ham"] * 50 + ["spam"] * 50:
    ...     order.add(label)
    >>> order.is_sorted
    True
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._last = ""
        self._changes = 0

    def add(self, label: str) -> None:
        """Look at the next label."""
        self._changes += bool(self.counts) and label != self._last
        self._last = label
        self.counts[label] += 1

    @property
    def is_sorted(self) -> bool:
        """Whether labels change less than a quarter as often as in shuffled rows: they stand in groups."""
        total = self.counts.total()
        shares = [count / total for count in self.counts.values()]
        return self._changes < _SORTED * (total - 1) * (1 - sum(share**2 for share in shares))


class DataChecks:
    """Collects findings row by row; of each row with other cells than all before it keeps 16 bytes.

    >>> checks = DataChecks()
    >>> for fault in ("empty", "no-sample", "empty"):
    ...     checks.add(Skipped(1, "for some reason", fault))
    >>> [(finding.kind, finding.count) for finding in checks.findings() if finding.count]
    [('empty', 2), ('no_sample', 1)]
    """

    def __init__(self) -> None:
        self._counts = dict.fromkeys(KINDS, 0)
        self._examples: dict[str, list[Example]] = {kind: [] for kind in KINDS}
        # The digest of the cells to the first row of each label, as row * 256 + label: small integers are all
        # that a million rows can afford.
        self._seen: dict[bytes, tuple[int, ...]] = {}
        self._order = LabelOrder()

    def add(self, row: FeaturizedRow | Skipped) -> None:
        """Look at the next row."""
        if isinstance(row, Skipped):
            if row.fault in _OF_FAULT:
                self._find(_OF_FAULT[row.fault], row.row)
            return
        if row.cut:
            self._find("cut", row.number)
        label = row.label or 0
        self._order.add(str(label))
        before = self._seen.get(row.content, ())
        same = [code >> 8 for code in before if code & 0xFF == label]
        other = [code >> 8 for code in before if code & 0xFF != label]
        if same:
            self._find("duplicates", row.number, same[0])
        else:
            self._seen[row.content] = (*before, row.number << 8 | label)
        if other:
            self._find("conflicting_labels", row.number, other[0])

    @property
    def is_sorted(self) -> bool:
        """Whether the rows stand sorted by label: a model learns in their order, and forgets the first."""
        return self._order.is_sorted

    def findings(self) -> tuple[Finding, ...]:
        """All kinds in their order, those without rows, too."""
        return tuple(Finding(kind, self._counts[kind], tuple(self._examples[kind])) for kind in KINDS)

    def _find(self, kind: str, row: int, other: int | None = None) -> None:
        self._counts[kind] += 1
        if len(self._examples[kind]) < EXAMPLES:
            self._examples[kind].append(Example(row, other))
