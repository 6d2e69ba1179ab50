"""Hostile key files: all systematic ones, and some random ones; `make fuzz-keys` tries 20,000 more."""

from __future__ import annotations

import subprocess
import sys


def test_hostile_key_files_are_refused_in_good_time_and_memory() -> None:
    """Each opens to its own key or is one error of ours, within 2 s of CPU time and 700 MiB."""
    # A process of its own: what other tests took in memory must not hide what this takes.
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.keyfiles", "--count", "500"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " files: " in done.stdout
