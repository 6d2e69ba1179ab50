"""Compile the contracts and write what ships in the Python package.

`python tools/build_artifacts.py [--check]`: with --check nothing is written, and the exit status is 1 if what
is shipped differs from what the sources compile to.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARTIFACTS = ROOT / "dcai_cli" / "chain" / "artifacts"
CONTRACTS = (
    "CollaborativeTrainer",
    "DataHandler",
    "MarketReplay",
    "ModelRegistry",
    "MulticlassPerceptron",
    "NaiveBayes",
    "NearestCentroid",
    "Perceptron",
    "PointsIncentive",
    "PredictionMarket",
    "PredictionMarkets",
    "StakeIncentive",
)


SOURCES = "sources.json"
"""What they are compiled from, for explorers; `dcai_cli/chain/sources.py` reads it."""


def find_forge() -> str:
    """The path of forge: npm's native binary for this platform, else the one on PATH.

    Raises:
        FileNotFoundError: there is neither.
    """
    machine, system = platform.machine().lower(), platform.system().lower()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    system = {"windows": "win32"}.get(system, system)
    name = "forge.exe" if system == "win32" else "forge"
    native = ROOT / "node_modules" / "@foundry-rs" / f"forge-{system}-{machine}" / "bin" / name
    if native.exists():
        return str(native)
    found = shutil.which("forge")
    if found is None:
        raise FileNotFoundError("no forge: run `npm ci` first, or put forge on PATH")
    return found


def compile_contracts() -> dict[str, str]:
    """Compile and return the text of each artifact by file name."""
    with tempfile.TemporaryDirectory() as folder:
        # From nothing and without the tests: what is compiled together can show in the bytecode.
        places = ["--out", f"{folder}/out", "--cache-path", f"{folder}/cache"]
        command = [find_forge(), "build", "--quiet", "--force", "--skip", "test", *places]
        subprocess.run(command, cwd=ROOT, check=True)
        out = Path(folder, "out")
        artifacts = {f"{contract}.json": _render(out, contract) for contract in CONTRACTS}
        return artifacts | {SOURCES: _render_sources(out)}


def _output(out: Path, contract: str) -> dict[str, Any]:
    output: dict[str, Any] = json.loads(
        (out / f"{contract}.sol" / f"{contract}.json").read_text(encoding="utf-8")
    )
    return output


def _render_sources(out: Path) -> str:
    """The sources of all contracts, each once, and which of them each contract needs."""
    contracts: dict[str, Any] = {}
    for contract in CONTRACTS:
        metadata = _output(out, contract)["metadata"]
        (target,) = metadata["settings"]["compilationTarget"]
        remappings = [line for line in metadata["settings"]["remappings"] if line.startswith("@openzeppelin")]
        contracts[contract] = {
            "target": target,
            "sources": sorted(metadata["sources"]),
            "remappings": remappings,
        }
    paths = sorted({path for contract in contracts.values() for path in contract["sources"]})
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}
    return json.dumps({"contracts": contracts, "sources": sources}, indent=1, sort_keys=True) + "\n"


def _render(out: Path, contract: str) -> str:
    output = _output(out, contract)
    metadata = output["metadata"]
    # What decides the bytecode and nothing that depends on where the project lies.
    settings = {name: metadata["settings"][name] for name in ("evmVersion", "metadata", "optimizer", "viaIR")}
    artifact: dict[str, Any] = {
        "contract": contract,
        "compiler": {"version": metadata["compiler"]["version"], "settings": settings},
        "abi": sorted(output["abi"], key=lambda entry: (entry["type"], entry.get("name", ""))),
        "bytecode": output["bytecode"]["object"],
        "deployed_bytecode": output["deployedBytecode"]["object"],
    }
    return json.dumps(artifact, indent=1, sort_keys=True) + "\n"


def stale(artifacts: dict[str, str]) -> list[str]:
    """The names of the shipped files that differ from these, are missing, or should not be there."""
    shipped = {path.name: path.read_text(encoding="utf-8") for path in ARTIFACTS.glob("*.json")}
    return sorted(name for name in artifacts.keys() | shipped if artifacts.get(name) != shipped.get(name))


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare with what is shipped")
    check: bool = parser.parse_args().check
    artifacts = compile_contracts()
    differing = stale(artifacts)
    if check:
        for name in differing:
            print(f"{name} is stale: run `python tools/build_artifacts.py`", file=sys.stderr)
        return 1 if differing else 0
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    for name in differing:
        if name in artifacts:
            (ARTIFACTS / name).write_text(artifacts[name], encoding="utf-8")
        else:
            (ARTIFACTS / name).unlink()
        print(f"wrote {name}" if name in artifacts else f"removed {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
