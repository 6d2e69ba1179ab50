"""A copy of the contracts and their tests, to be changed and tested."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tools.build_artifacts import ROOT, find_forge

TIMEOUT_S = 400
"""Some changes loop for ever. Compiling and testing take a small part of this, unless the machine is busy."""


class ProjectCopy:
    """All that forge needs, in a folder of its own.

    Args:
        folder: Where it goes; what was there is removed.
        profile: How to compile and test, by its name in foundry.toml.
    """

    def __init__(self, folder: Path, profile: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("contracts", "tests", "tools"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "foundry.toml", folder)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")
        self.folder, self.profile = folder, profile

    @property
    def artifacts(self) -> list[Path]:
        """What the contracts and tests were compiled to."""
        return list((self.folder / "build" / "analysis" / "out").rglob("*.json"))

    def passes(self) -> tuple[bool, str]:
        """Whether all tests pass, and what was printed; an endless loop does not pass."""
        return self.forge("test", "--fail-fast")

    def forge(self, *arguments: str, timeout_s: float = TIMEOUT_S) -> tuple[bool, str]:
        """Run forge; returns whether it succeeded, and what it printed."""
        # In a session of its own, so that the compiler ends with it.
        process = subprocess.Popen(
            [find_forge(), *arguments],
            cwd=self.folder,
            env={**os.environ, "FOUNDRY_PROFILE": self.profile},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False, "it took too long"
        return process.returncode == 0, output
