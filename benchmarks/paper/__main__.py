"""Run the experiments, or write their page anew."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from benchmarks.paper import attacks, page, published, sent
from benchmarks.paper.study import PROJECT, Workers

RESULTS = PROJECT / "benchmarks" / "paper.json"
FAST_LIMIT_S = 180
"""For 100,000 contributions."""


def main() -> None:
    """Run, write down, and exit with 1 if the fast mode is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="only write the page, from paper.json")
    if not parser.parse_args().page:
        RESULTS.write_text(json.dumps(_run(), indent=1) + "\n", encoding="utf-8")
    page.write(json.loads(RESULTS.read_text(encoding="utf-8")))


def _run() -> dict[str, Any]:
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    speed = sent.speed()
    say(f"the fast mode: {speed['contributions']:,} contributions in {speed['cpu_s']} s of CPU time")
    if speed["cpu_s"] > FAST_LIMIT_S:
        sys.exit(f"That is more than {FAST_LIMIT_S} s.")
    say("a scenario on anvil")
    results: dict[str, Any] = {"sent": sent.sent()}
    workers = Workers(say)
    say("the published experiment")
    results["published"] = published.experiments(workers)
    results["causes"] = published.causes(workers)
    results["alone"] = attacks.alone(workers)
    results["followed"] = attacks.followed(workers)
    results["attacks"] = attacks.search(workers)
    workers.close()
    say("done")
    return results


if __name__ == "__main__":
    main()
