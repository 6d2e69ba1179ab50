"""Which dcai this is: its version, what it was built from, and the contracts that it ships."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from dcai_cli import __version__

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Versions:
    """What `dcai --version` says.

    Args:
        version: of the package.
        build: the commit it was built from, "checkout" where it runs from its sources, or "unknown".
        contracts: the first 12 digits of the SHA-256 of all shipped bytecode: the same digits mean that the
            same contracts are deployed, and taken for ours.
        compiler: what compiled them.
    """

    version: str
    build: str
    contracts: str
    compiler: str


def versions() -> Versions:
    """Read them from the package itself."""
    digest = hashlib.sha256()
    compiler = ""
    for path in sorted((_PACKAGE / "chain" / "artifacts").glob("*.json")):
        artifact = json.loads(path.read_text(encoding="utf-8"))
        if "bytecode" not in artifact:
            continue  # the sources
        digest.update(f"{path.stem} {artifact['bytecode']}\n".encode())
        compiler = artifact["compiler"]["version"]
    return Versions(__version__, _build(), digest.hexdigest()[:12], compiler)


def _build() -> str:
    try:
        return json.loads((_PACKAGE / "build.json").read_text(encoding="utf-8"))["commit"] or "unknown"
    except FileNotFoundError:
        return "checkout"
