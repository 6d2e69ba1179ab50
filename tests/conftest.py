"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """The folder of the real data sets: `DCAI_TEST_DATA`, or `../shared/data` beside the checkout."""
    return Path(os.environ.get("DCAI_TEST_DATA", PROJECT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets; skips where they are absent, but never in CI, where they must be there."""
    folder = data_folder()
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the data sets are not at {folder}")
        pytest.skip(f"the data sets are not at {folder}")
    return folder
