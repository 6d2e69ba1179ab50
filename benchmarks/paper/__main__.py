"""Run the experiments, write their page anew, or measure a part again to see whether it is the same."""

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
    parser.add_argument(
        "--check", action="store_true", help="measure a part again, and compare; writes nothing"
    )
    options = parser.parse_args()
    if options.check:
        sys.exit(_check(json.loads(RESULTS.read_text(encoding="utf-8"))))
    if not options.page:
        RESULTS.write_text(json.dumps(_run(), indent=1) + "\n", encoding="utf-8")
    page.write(json.loads(RESULTS.read_text(encoding="utf-8")))


def _check(committed: dict[str, Any]) -> int:
    """What was sent, the perceptrons' experiment, and every attack at its best: 1 if a figure differs."""
    workers = Workers(print)
    again = {
        "what was sent": (sent.sent(), committed["sent"]),
        "the published experiment": published.again(workers, committed["published"]),
        **attacks.again(workers, committed["attacks"]),
    }
    workers.close()
    differ = 0
    for name, (measured, expected) in again.items():
        found = json.loads(json.dumps(measured))
        differ += found != expected
        print(f"{name}: {'the same' if found == expected else f'{found}, not {expected}'}")
    return int(differ > 0)


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
