"""Measure, print, and write the tables of docs/market.md anew.

`python -m benchmarks.market` takes some minutes. The data is read from the folder that DCAI_TEST_DATA names,
or ../shared/data.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.market import removal, scores

PROJECT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DCAI_TEST_DATA", PROJECT.parent / "shared" / "data"))
PAGE = PROJECT / "docs" / "market.md"
END = "<!-- end of the table -->\n"


def main() -> None:
    """Make both tables."""
    for name, markdown in (("scores", scores.markdown), ("removal", removal.markdown)):
        table = markdown(DATA)
        print(table, flush=True)
        before, rest = PAGE.read_text(encoding="utf-8").split(
            f"<!-- made by benchmarks/market/{name}.py -->\n"
        )
        after = rest.split(END, 1)[1]
        page = f"{before}<!-- made by benchmarks/market/{name}.py -->\n\n{table}\n{END}{after}"
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
