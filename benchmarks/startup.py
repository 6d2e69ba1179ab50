"""What starting costs: `dcai --help` against a bare typer and rich program, short commands in CPU seconds.

`python benchmarks/startup.py` prints the figures and writes them to benchmarks/startup.json; the exit status
is 1 if one is above its limit. The short commands work in a home with an account, a model and a few deposits
on the embedded chain.

Each figure is the least of many runs, which take turns, so that what else the machine does hits all of them
alike and little of it is left. The limit in seconds is one of the machine that the committed figures are of,
at rest; the ratios to the bare program, of the same run, say more on another one.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RUNS = 20
HELP_LIMIT = 1.5
"""Of the ratio of CPU times."""

SHORT = {
    "dcai": [],
    "refunds": ["refunds"],
    "reports": ["reports"],
    "tx list": ["tx", "list"],
    "devnet status": ["devnet", "status"],
    "account list": ["account", "list"],
    "config show": ["config", "show"],
}
SHORT_LIMIT_S = 0.45
"""CPU seconds of each of these."""

ASKING = {"model list": ["model", "list"]}
"""What asks a contract of the embedded chain, so that the machine that executes it is imported."""

ASKING_LIMIT = 4.5
"""Of the ratio of CPU times to the bare program."""

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

DCAI = (sys.executable, "-m", "dcai_cli")
DEPOSITS = 3


def cpu_s(command: list[str], environment: dict[str, str]) -> float:
    """CPU seconds, user and system, of one run of a command that must succeed."""
    silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in range(3)]
    _, status, used = os.wait4(os.posix_spawn(command[0], command, environment, file_actions=silent), 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime


def prepare(home: Path) -> dict[str, str]:
    """Make a home with an account, a model and deposits; the environment in which it is used."""
    password = home / "password"
    password.write_text("start-up\n", encoding="utf-8")
    password.chmod(0o600)
    # Compiled files are part of what is installed: whoever measures must not keep them from being written.
    left_out = ("ETH_", "DCAI_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    environment = kept | {"DCAI_HOME": str(home), "ETH_PASSWORD": str(password)}
    deploy = ["model", "deploy", "--name", "reviews", "--labels", "negative,positive"]
    contribute = ["contribute", "examples/reviews.csv", "--yes", "--limit"]
    for words in (
        ["account", "new", "--name", "alice"],
        [*deploy, "--n-features", "4096", "--yes"],
        *([*contribute, str(20 * number)] for number in range(1, DEPOSITS + 1)),
    ):
        cpu_s([*DCAI, *words], environment)
    return environment


def measure(home: Path) -> dict[str, float]:
    """The least CPU seconds of the bare program, of `dcai --help` and of the short commands."""
    environment = prepare(home)
    bare = home / "bare.py"
    bare.write_text(BARE, encoding="utf-8")
    commands = {"bare": [sys.executable, str(bare), "--help"], "--help": [*DCAI, "--help"]}
    commands |= {name: [*DCAI, *words] for name, words in (SHORT | ASKING).items()}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            times[name].append(cpu_s(command, environment))
    return {name: min(found) for name, found in times.items()}


def main() -> None:
    """Measure, print, write down; exit with 1 above a limit."""
    os.chdir(FOLDER.parent)
    with tempfile.TemporaryDirectory() as home:
        cpu = measure(Path(home))
    ratios = {name: found / cpu["bare"] for name, found in cpu.items()}
    figures = {
        "runs": RUNS,
        "cpu_s": {name: round(found, 3) for name, found in cpu.items()},
        "ratio_to_bare": {name: round(found, 2) for name, found in ratios.items()},
        "help_ratio_limit": HELP_LIMIT,
        "short_limit_s": SHORT_LIMIT_S,
        "asking_ratio_limit": ASKING_LIMIT,
    }
    text = json.dumps(figures, indent=2)
    print(text)
    (FOLDER / "startup.json").write_text(f"{text}\n", encoding="utf-8")
    above = [f"{name} takes {cpu[name]:.3f} s" for name in SHORT if cpu[name] > SHORT_LIMIT_S]
    above += [
        f"{name} takes {ratios[name]:.2f} times as long as a bare program"
        for name in ASKING
        if ratios[name] > ASKING_LIMIT
    ]
    if ratios["--help"] > HELP_LIMIT:
        above.append(f"--help takes {ratios['--help']:.2f} times as long as a bare program")
    sys.exit("\n".join(above) or 0)


if __name__ == "__main__":
    main()
