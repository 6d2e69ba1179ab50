"""The other programs: anvil and cast, from node_modules or the PATH."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent


def tool(name: str) -> str:
    """The path of a program of foundry; the test fails, and says what to do, where there is none."""
    # npm's package for this platform is the only one that npm installs.
    packaged = sorted((PROJECT / "node_modules" / "@foundry-rs").glob(f"{name}-*/bin/{name}*"))
    found = str(packaged[0]) if packaged else shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is neither in node_modules nor on the PATH: run `npm ci`")
    return found


@pytest.fixture(scope="session")
def cast() -> str:
    """The path of `cast`."""
    return tool("cast")


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    """A fresh anvil on a free loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [tool("anvil"), "--host", "127.0.0.1", "--port", str(port), "--silent"]
    with subprocess.Popen(command) as node:
        try:
            _wait_for(port, node)
            yield f"http://127.0.0.1:{port}"
        finally:
            node.terminate()


def _wait_for(port: int, node: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens; the operating system tells no earlier."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and node.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("anvil does not start")
