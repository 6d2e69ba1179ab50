"""The command `dcai`."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # What is imported stays. Looking for cycles in it, now and at the end, takes a fifth of a short command.
    gc.set_threshold(100_000, 20, 100)
    from dcai_cli.cli.app import run

    # Whatever a library writes beside our files (logs of databases, locks) is nobody else's business.
    os.umask(0o077)
    for name in ("stdout", "stderr"):
        # A file that is opened later must not get the number of a stream that somebody closed.
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        # A label may be any text, and a terminal may know less: no command fails for that.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
