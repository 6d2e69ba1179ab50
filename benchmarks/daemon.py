"""What the daemon takes: memory over 10,000 cycles, and the time of a cycle with nothing due.

`python -m benchmarks.daemon` runs a week of cycles in one process, in simulated time on the embedded chain,
with contributions that are claimed six hours later. It prints the figures and writes them to
benchmarks/daemon.json; the exit status is 1 if memory grows by more than the limit.
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dcai_cli.config import load_settings
from dcai_cli.keystore import Keystore
from dcai_cli.services.daemon.cycle import CycleRequest
from dcai_cli.services.daemon.loop import Daemon, LoopRequest
from dcai_cli.services.workspace import Workspace

FOLDER = Path(__file__).resolve().parent
CYCLES = 10_000
WARM = 1_000
"""By then contributions were made and claimed: every module is imported, and every cache is full."""

CONTRIBUTE_EVERY = 500
INTERVAL_S = 60
LIMIT_KB = 4_096
"""Between the 1,000th and the 10,000th cycle: half a kilobyte a cycle is too much."""

PASSWORD = "correct horse"  # noqa: S105 - of an account that lives as long as the benchmark


def rss_kb() -> int:
    """Memory of this process that is in use."""
    gc.collect()
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def dcai(*arguments: str) -> None:
    """Run a command that must succeed, in a process of its own: only the daemon is measured here."""
    subprocess.run(
        [sys.executable, "-m", "dcai_cli", *arguments, "--yes", "--json"],
        cwd=FOLDER.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


@dataclass
class Week:
    """A clock that the daemon's pauses move; contributes and measures in them."""

    cycles: int
    rows: Path
    now: float = field(default_factory=lambda: time.time() + 60)
    count: int = 0
    rss_kb: dict[int, int] = field(default_factory=dict)
    quiet_cpu_s: array[float] = field(default_factory=lambda: array("d"))
    claims: int = 0
    _began: float = field(default_factory=time.process_time)

    @property
    def requested(self) -> bool:
        """Whether all cycles were run."""
        return self.count >= self.cycles

    def clock(self) -> float:
        """Seconds since 1970."""
        return self.now

    def log(self, _level: str, event: str, _message: str, /, **_facts: Any) -> None:  # noqa: ANN401 - the log's
        """Count claims."""
        self.claims += event == "claim"

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.quiet_cpu_s.append(time.process_time() - self._began)
        self.count += 1
        if self.count % WARM == 0 or self.requested:
            self.rss_kb[self.count] = rss_kb()
        if self.count % CONTRIBUTE_EVERY == 1 and not self.requested:
            self._contribute()
        self.now += seconds
        self._began = time.process_time()

    def _contribute(self) -> None:
        with self.rows.open("w", encoding="utf-8", newline="") as file:
            words = [
                (f"good{self.count} great{self.count}", "good"),
                (f"bad{self.count} dull{self.count}", "bad"),
            ]
            csv.writer(file).writerows([("text", "label"), *words])
        dcai("contribute", str(self.rows), "--quiet")


def measure(cycles: int) -> dict[str, Any]:
    """Run the cycles."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ.update(DCAI_HOME=folder, ETH_PASSWORD=str(home / "password"), ETH_RPC_URL="embedded")
        (home / "password").write_text(PASSWORD, encoding="utf-8")
        Keystore(home / "keystore", work_factor=1 << 12).new("me", PASSWORD)
        labels = ("--labels", "good,bad", "--n-features", "256", "--margin", "0", "--refund-wait", "6h")
        dcai("model", "deploy", "--name", "words", *labels)
        week = Week(cycles, home / "rows.csv")
        with Workspace(load_settings(), clock=week.clock) as workspace:
            request = LoopRequest(CycleRequest(password=lambda _: PASSWORD), interval_s=INTERVAL_S)
            Daemon(workspace, request, stop=week, log=week.log).run()
    quiet = sorted(week.quiet_cpu_s[WARM:])
    return {
        "cycles": week.count,
        "claims": week.claims,
        "rss_kb": [week.rss_kb[count] for count in sorted(week.rss_kb)],
        "growth_kb": week.rss_kb[cycles] - week.rss_kb[WARM],
        "limit_kb": LIMIT_KB,
        "peak_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "cycle_cpu_ms_median": round(1000 * quiet[len(quiet) // 2], 1),
        "cycle_cpu_ms_99th": round(1000 * quiet[len(quiet) * 99 // 100], 1),
    }


def main() -> None:
    """Measure, print, write down; exit with 1 above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=CYCLES, help=f"more than {WARM}")
    figures = measure(parser.parse_args().cycles)
    text = json.dumps(figures, indent=2)
    print(text)
    (FOLDER / "daemon.json").write_text(f"{text}\n", encoding="utf-8")
    sys.exit(figures["growth_kb"] > LIMIT_KB)


if __name__ == "__main__":
    main()
