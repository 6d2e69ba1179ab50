"""Put into the wheel which commit it was built from: `dcai --version` says it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BuildHook(BuildHookInterface):  # type: ignore[type-arg, misc]
    """Writes `dcai_cli/build.json`, unless the sources have one: those of an sdist do."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling calls this before it packs a wheel or an sdist."""
        inside = Path(self.root) / "dcai_cli" / "build.json"
        if version == "editable" or inside.exists():
            return
        folder = Path(tempfile.mkdtemp())
        written = folder / "build.json"
        written.write_text(json.dumps({"commit": _commit(self.root)}) + "\n")
        build_data["force_include"][str(written)] = "dcai_cli/build.json"


def _commit(root: str) -> str:
    """The commit, with a plus sign where files differ from it; empty outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"],  # noqa: S607 - git, wherever it is
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
