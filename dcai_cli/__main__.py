"""The command `dcai`."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # What is imported stays. Looking for cycles in it, now and at the end, takes a fifth of a short command.
    gc.set_threshold(100_000, 20, 100)
    # No plug-in of pydantic's is for us, and to look for one is to read what every package says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    from dcai_cli.cli.app import run

    # Whatever a library writes beside our files (logs of databases, locks) is nobody else's business.
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        # A label may be any text, and a terminal may know less: no command fails for that.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
