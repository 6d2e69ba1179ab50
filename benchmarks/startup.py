"""What `dcai --help` costs, against a bare typer and rich program: the ratio of their CPU times.

`python benchmarks/startup.py` prints the figures and writes them to benchmarks/startup.json; the exit status
is 1 if the ratio is above the limit.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RUNS = 15
LIMIT = 2.0

BARE = '''\
"""A bare typer and rich program."""

import typer
from rich.console import Console

app = typer.Typer(rich_markup_mode="rich")


@app.command()
def hello(name: str) -> None:
    """Say hello."""
    Console().print(f"Hello {name}")


app()
'''


def cpu_s(command: list[str]) -> float:
    """CPU seconds, user and system, of one run of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, cwd=FOLDER.parent, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure() -> dict[str, float | int]:
    """Medians of alternating runs, so that what else the machine does hits both alike."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE, encoding="utf-8")
        commands = {
            "dcai": [sys.executable, "-m", "dcai_cli", "--help"],
            "bare": [sys.executable, str(bare), "--help"],
        }
        for command in commands.values():  # compiled files and the disk's cache are not measured
            cpu_s(command)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(RUNS):
            for name, command in commands.items():
                times[name].append(cpu_s(command))
    dcai_s, bare_s = statistics.median(times["dcai"]), statistics.median(times["bare"])
    return {
        "runs": RUNS,
        "dcai_help_cpu_s": round(dcai_s, 4),
        "bare_help_cpu_s": round(bare_s, 4),
        "ratio": round(dcai_s / bare_s, 3),
        "limit": LIMIT,
    }


def main() -> None:
    """Measure, print, write down; exit with 1 above the limit."""
    figures = measure()
    text = json.dumps(figures, indent=2)
    print(text)
    (FOLDER / "startup.json").write_text(f"{text}\n", encoding="utf-8")
    sys.exit(figures["ratio"] > LIMIT)


if __name__ == "__main__":
    main()
