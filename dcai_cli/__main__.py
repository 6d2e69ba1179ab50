"""The command `dcai`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def main() -> None:
    """Run the command line and exit with its code."""
    if hasattr(signal, "pthread_sigmask"):
        # Ctrl-C waits until there is somebody to tell of it: `run` lets it through.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.unraisablehook = _press_again
    # What is imported stays. Looking for cycles in it, now and at the end, takes a fifth of a short command.
    gc.set_threshold(100_000, 20, 100)
    # No plug-in of pydantic's is for us, and to look for one is to read what every package says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    from dcai_cli.cli.app import run
    from dcai_cli.cli.output import ClosedStream

    # Whatever a library writes beside our files (logs of databases, locks) is nobody else's business.
    os.umask(0o077)
    for name in ("stdout", "stderr"):
        # A file that is opened later must not get the number of a stream that somebody closed.
        if getattr(sys, name) is None:
            setattr(sys, name, ClosedStream())
    for stream in (sys.stdout, sys.stderr):
        # A label may be any text, and a terminal may know less: no command fails for that.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # All is said; Python's own end would answer with a traceback.
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    gc.freeze()
    sys.exit(code)


def _press_again(fault: UnraisableHookArgs) -> None:
    """Where Python drops a Ctrl-C, within an object's finaliser, let it come again a moment later."""
    if fault.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(fault)
        return
    import _thread
    import threading

    timer = threading.Timer(0.01, _thread.interrupt_main)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main()
