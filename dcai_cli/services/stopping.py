"""Ending a long command between two transactions: what SIGTERM and SIGINT ask for."""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Signals:
    """The first signal asks for an end, the second one ends the process at once; a context manager.

    Ending at once loses nothing: whatever was signed is in the ledger.

    Args:
        tell: called with the first signal's name.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._before: dict[int, Any] = {}
        self.received: signal.Signals | None = None
        """The first signal; None as long as there was none."""

    def __enter__(self) -> Self:
        # Setting an event from a handler could wait for the very thread that it interrupted. A socket cannot.
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._wake.close()
        self._woken.close()

    @property
    def requested(self) -> bool:
        """Whether somebody wants an end."""
        return self.received is not None

    def wait(self, seconds: float) -> None:
        """Return after some seconds, or as soon as somebody wants an end."""
        if not self.requested:
            select.select([self._woken], [], [], max(0.0, seconds))

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)  # and nothing else: the first signal's message may be half written
        self.received = signal.Signals(number)
        with suppress(OSError):
            self._wake.send(b"\0")
        self._tell(self.received.name)
