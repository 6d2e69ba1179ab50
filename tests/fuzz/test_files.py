"""A part of the fuzzed files in the normal suite; `make fuzz-files` reads 10,000."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.files import fuzz, problems


def test_500_broken_files_end_in_a_result_or_a_named_error(tmp_path: Path) -> None:
    """No traceback; at least ten kinds of error, and a fifth of the files gives samples."""
    outcome = fuzz(500, tmp_path)
    assert outcome.files == 500
    assert problems(outcome) == []
