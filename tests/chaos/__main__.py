"""Run the scenarios: `python -m tests.chaos [--only NAME] [--seed N] [--scale 0.1]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.harness import play, table, write_report
from tests.chaos.scenarios import SCENARIOS
from tests.conftest import PROJECT

SEED = 5
REPORT = PROJECT / "benchmarks" / "chaos.json"


def main() -> int:
    """Run them, print a table, write the report; the exit status is 1 if one of them does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, help="run this scenario; may be repeated")
    parser.add_argument("--seed", type=int, default=SEED, help="decides everything left to chance")
    parser.add_argument("--scale", type=float, default=1.0, help="the part of the full work to do")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the report goes")
    arguments = parser.parse_args()
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        for scenario in SCENARIOS:
            if arguments.only and scenario.name not in arguments.only:
                continue
            sys.stderr.write(f"{scenario.name}: {scenario.about}\n")
            verdict = play(scenario, Path(folder) / scenario.name, seed=arguments.seed, scale=arguments.scale)
            verdicts.append(verdict)
            sys.stdout.write(table([verdict]) + "\n")
            sys.stdout.flush()
            write_report(arguments.report, [verdict], scale=arguments.scale)
    failed = [verdict.name for verdict in verdicts if not verdict.held]
    sys.stdout.write(f"{len(verdicts) - len(failed)} of {len(verdicts)} hold")
    sys.stdout.write(f"; not: {', '.join(failed)}\n" if failed else "\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
