"""What starting costs: `dcai --help` against a bare typer and rich program, short commands in CPU seconds.

`python benchmarks/startup.py` prints the figures and writes them to benchmarks/startup.json; the exit status
is 1 if one is above its limit. The short commands work in a home with an account and a model on the embedded
chain, which `dcai` alone and `refunds` ask.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RUNS = 15
LIMIT = 1.5
"""Of the ratio of CPU times."""

SHORT = {
    "dcai": [],
    "refunds": ["refunds"],
    "account list": ["account", "list"],
    "config show": ["config", "show"],
}
SHORT_LIMIT_S = 0.45
"""CPU seconds of each of these."""

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


def cpu_s(command: list[str], environment: dict[str, str] | None = None) -> float:
    """CPU seconds, user and system, of one run of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=FOLDER.parent,
        env=environment,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_short() -> dict[str, float]:
    """Medians of the short commands, in a home of their own."""
    dcai = [sys.executable, "-m", "dcai_cli"]
    with tempfile.TemporaryDirectory() as home:
        password = Path(home) / "password"
        password.write_text("start-up\n", encoding="utf-8")
        password.chmod(0o600)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETH_", "DCAI_"))}
        environment = kept | {"DCAI_HOME": home, "ETH_PASSWORD": str(password)}
        deploy = ["model", "deploy", "--name", "reviews", "--labels", "negative,positive"]
        for words in (
            ["account", "new", "--name", "alice"],
            [*deploy, "--n-features", "4096", "--yes"],
            ["contribute", "examples/reviews.csv", "--limit", "20", "--yes"],
        ):
            cpu_s([*dcai, *words], environment)
        times: dict[str, list[float]] = {name: [] for name in SHORT}
        for _ in range(RUNS):
            for name, words in SHORT.items():
                times[name].append(cpu_s([*dcai, *words], environment))
    return {name: round(statistics.median(found), 4) for name, found in times.items()}


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
    figures, short = measure(), measure_short()
    text = json.dumps({**figures, "short_cpu_s": short, "short_limit_s": SHORT_LIMIT_S}, indent=2)
    print(text)
    (FOLDER / "startup.json").write_text(f"{text}\n", encoding="utf-8")
    sys.exit(figures["ratio"] > LIMIT or max(short.values()) > SHORT_LIMIT_S)


if __name__ == "__main__":
    main()
