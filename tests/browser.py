"""A real Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

_OPTIONS = (
    "--headless",
    "--no-sandbox",  # as root it takes no other
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_PATIENCE_S = 30


def program() -> str | None:
    """The path of Chromium."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A browser that runs until it is stopped.

    Args:
        path: its program.
        folder: an empty folder for all that it keeps.
    """

    def __init__(self, path: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [path, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        said = ""
        for line in self._process.stderr:
            said += line
            if line.startswith("DevTools listening on "):
                self._url = line.removeprefix("DevTools listening on ").strip()
                break
        else:
            raise RuntimeError(f"Chromium does not start: {said}")

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        """A new, empty tab."""
        with connect(self._url, max_size=None) as socket:
            tab = Tab(socket)
            yield tab
            tab.call("Page.close")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


class Tab:
    """A tab, and all that happened in it.

    Args:
        socket: to the browser's DevTools.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank", newWindow=True, width=1200, height=1000)
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the protocol; what happens meanwhile is in `events`."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": arguments}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while (answer := self._hear()).get("id") != number:
            pass
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self._socket.recv(timeout=_PATIENCE_S))
        if "method" in heard:
            self.events.append(heard)
        return heard

    def open(self, file: Path) -> None:
        """Open a file, and wait until all of it is there."""
        self.call("Page.navigate", url=file.as_uri())
        while not self.told("Page.loadEventFired"):
            self._hear()

    def told(self, *names: str) -> list[dict[str, Any]]:
        """What happened, of these kinds."""
        return [event["params"] for event in self.events if event["method"] in names]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def move_mouse(self, x: float, y: float) -> None:
        """Move the pointer to a place of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        """Click into the middle of an element."""
        x, y = self.middle(selector)
        for what in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=what, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key of the keyboard."""
        for what in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=what, key=key, code=key, windowsVirtualKeyCode=_KEYS[key]
            )

    def middle(self, selector: str) -> tuple[float, float]:
        """Where the middle of an element is."""
        box = self.evaluate(f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()")
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


_KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}
