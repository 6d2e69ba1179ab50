"""Build wheel and sdist, and see that they work where nothing else is installed.

`python -m tools.check_package [--pythons python3.11,python3.12]`: for each Python, a new environment gets the
wheel, as pipx does it. There the requirements must agree (`pip check`), a consumer's file must pass mypy
--strict, the demo's rows must become the same bytes on every Python, and one story must go through: account,
model, contribution, prediction, claim.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NAMES = ("python3.11", "python3.12", "python3.13")

NEEDED = (
    "py.typed",
    "build.json",
    "examples/reviews.csv",
    "examples/scenarios/tumours.toml",
    "examples/scenarios/base/imdb.toml",
    "examples/markets/tumours.toml",
    *(f"simulation/{name}" for name in ("curves.css", "page.css", "page.html", "page.js")),
)
"""What a wheel must have beside code."""

UNWANTED = ("tests/", ".github/", "node_modules/", "benchmarks/")
"""What a wheel must not have."""


def main() -> int:
    """Check what was asked for; the exit status is 1 if something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tools.check_package", description=__doc__)
    parser.add_argument("--pythons", default="", help="commas between; all that are found if not given")
    asked = [name for name in parser.parse_args().pythons.split(",") if name]
    with tempfile.TemporaryDirectory(prefix="dcai-package-") as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        seen = {
            python: try_in(folder / f"env-{at}", python, wheel) for at, python in enumerate(_found(asked))
        }
    for python, digest in seen.items():
        say(f"{python}: works; features {digest[:16]}")
    if len(set(seen.values())) != 1:
        raise SystemExit("The same rows become other bytes on another Python.")
    return 0


def build(folder: Path) -> Path:
    """Build the sdist, the wheel of it, and look at what is in them.

    Returns:
        The wheel.
    """
    run([sys.executable, "-m", "build", "--outdir", str(folder), str(PROJECT)])
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
    for needed in NEEDED:
        if f"dcai_cli/{needed}" not in inside:
            raise SystemExit(f"{wheel.name} lacks dcai_cli/{needed}.")
    stray = [path for path in inside if path.startswith(UNWANTED)]
    if stray:
        raise SystemExit(f"{wheel.name} has {stray[0]}.")
    with tarfile.open(sdist) as archive:
        sources = archive.getnames()
    if not any(path.endswith("contracts/CollaborativeTrainer.sol") for path in sources):
        raise SystemExit(f"{sdist.name} lacks the contracts.")
    size = f"{len(inside)} files, {wheel.stat().st_size:,} bytes"
    say(f"{wheel.name}: {size}; {sdist.name}: {len(sources)} files")
    return wheel


def try_in(environment: Path, python: str, wheel: Path) -> str:
    """Install the wheel into an environment of its own, and use it.

    Returns:
        A digest of the bytes that the example's rows became.
    """
    run([python, "-m", "venv", str(environment)])
    inside = environment / "bin"
    run([inside / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1"])
    run([inside / "python", "-m", "pip", "install", "--quiet", str(wheel)])
    run([inside / "python", "-m", "pip", "check"])
    run([inside / "python", "-m", "pip", "install", "--quiet", "mypy"])
    # Away from the checkout, so that neither its sources nor its settings are found.
    consumer = shutil.copy(PROJECT / "tests" / "typing" / "consumer.py", environment)
    run([inside / "mypy", "--strict", consumer], cwd=environment)
    return use(inside / "dcai", environment)


def use(dcai: Path, environment: Path) -> str:
    """The first five minutes, by the installed command alone."""
    rows = PROJECT / "examples" / "reviews.csv"
    password = environment / "password"
    password.write_text("a password of nobody's\n")
    password.chmod(0o600)
    home = {"DCAI_HOME": str(environment / "home"), "ETH_PASSWORD": str(password)}

    def call(*arguments: str) -> str:
        # Away from the checkout, so that nothing of it is found.
        return run([dcai, *arguments], cwd=environment, env=os.environ | home)

    say(call("--version").replace("\n", ", ").rstrip(", "))
    call("account", "new", "--name", "alice")
    model = ("--name", "reviews", "--kind", "text", "--labels", "negative,positive", "--n-features", "1024")
    call("model", "deploy", *model, "--yes")
    call("contribute", str(rows), "--limit", "60", "--yes")
    call("predict", "what a wonderful film")
    call("devnet", "advance", "25h")
    claimed = json.loads(call("refunds", "--claim", "--yes", "--json"))["data"]
    if not claimed["transactions"]:
        raise SystemExit("Nothing was claimed.")
    call("simulate", "tumours", "--output", "run")
    if "<polyline" not in (environment / "run" / "index.html").read_text(encoding="utf-8"):
        raise SystemExit("The page of a simulation has no curves.")
    spec = environment / "spec.json"
    spec.write_text(json.loads(call("model", "show", "--json"))["data"]["spec"])
    features = call("featurize", str(rows), "--spec", str(spec), "--json")
    return _digest(json.loads(features)["data"])


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _found(asked: Sequence[str]) -> Iterator[str]:
    """The interpreters that were asked for, or those of the supported versions that are here."""
    for name in asked or NAMES:
        # pyenv's own commands stand for versions that may not be chosen.
        path = _of_pyenv(name) or shutil.which(name)
        if path is not None:
            yield path
        elif asked:
            raise SystemExit(f"There is no {name} here.")
        else:
            say(f"{name}: not here, not checked")


def _of_pyenv(name: str) -> str | None:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(root.glob(f"versions/*/bin/{name}"))
    return str(found[-1]) if found else None


def run(command: Sequence[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command, and stop with what it said if it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = f"{done.stdout}\n{done.stderr}"
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{words}")
    return done.stdout


def say(text: str) -> None:
    """Tell people how far it is."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
