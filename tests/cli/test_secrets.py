"""No secret leaves the program: not by its output, its files, its processes, or the traceback of a fault."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dcai_cli.chain.remote import RemoteNode
from dcai_cli.keystore import Keystore
from tests.cli.conftest import HONEST

PROJECT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "Sesame-7c1fe0-öffne-dich"
WRONG = "Sesame-7c1fe0-wrong-dich"
KEY = "c0ffee5e8d91b3a7" * 4
USER, URL_PASSWORD, PATH, QUERY, HEADER = (
    "user-8a11c3d2",
    "pass-91b2d4f6",
    "path-a3c4e5f6",
    "query-b4d6f8a1",
    "header-c5e7a9b1",
)
EXPORT = "account export"
DEPLOY = ("model", "deploy", "--name", "films", "--labels", "negative,positive", "--n-features", "256")

FAULTS = {
    "opening the key file": """
import eth_keyfile.keyfile as broken
def fault(*args, **kwargs): raise RuntimeError("damaged on purpose")
broken.decode_keyfile_json = fault
""",
    "signing": """
from eth_account.signers.local import LocalAccount
def fault(self, *args, **kwargs):
    raw = bytes(self.key)
    raise RuntimeError("damaged on purpose")
LocalAccount.sign_transaction = fault
""",
    "asking the node": """
import dcai_cli.chain.http as broken
def fault(self, *args, **kwargs):
    url, headers = self._url, self._headers
    raise RuntimeError("damaged on purpose")
broken.HttpTransport.exchange = fault
""",
}
"""Programs that damage one part: each fault happens while secrets stand in local variables."""


def spellings(secrets: Mapping[str, bytes]) -> dict[bytes, str]:
    """Every secret as it could be written down, with what it is."""
    found: dict[bytes, str] = {}
    for what, secret in secrets.items():
        text = secret.decode(errors="ignore")
        ways = [
            *(secret, secret.hex().encode(), secret.hex().upper().encode()),
            *(base64.b64encode(secret).rstrip(b"="), repr(secret)[2:-1].encode()),
            *(json.dumps(text)[1:-1].encode(), ascii(text)[1:-1].encode()),
            str(int.from_bytes(secret, "big")).encode(),
        ]
        found |= {way: what for way in ways if len(way) >= 12}
    return found


@dataclass
class Watched:
    """Runs commands as a user would, and looks for secrets in all that they leave.

    Args:
        folder: the working folder; `home` in it is the program's.
        secrets: what must not show, by what it is.
        environment: of the commands.
        ran: what ran, with its exit code.
        leaks: what was found where.
        lines: command lines that were seen.
    """

    folder: Path
    secrets: dict[str, bytes]
    environment: dict[str, str]
    ran: list[tuple[str, int]] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    lines: set[bytes] = field(default_factory=set)

    def __call__(
        self, *arguments: str, typed: str = "", code: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command; None as the code takes any but 0."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dcai_cli", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with self._sampled(process.pid):
            out, err = process.communicate(typed.encode(), timeout=120)
        words = " ".join(arguments)
        self.ran.append((words, process.returncode))
        talk = err.decode(errors="replace")
        assert process.returncode == code if code is not None else process.returncode, f"{words}: {talk}"
        shown = b"" if words.startswith(EXPORT) else out
        self._look(shown, f"stdout of {words}")
        self._look(err, f"stderr of {words}")
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def _look(self, content: bytes, where: str) -> None:
        for spelling, what in spellings(self.secrets).items():
            if spelling.lower() in content.lower():
                self.leaks.append(f"{what} in {where}")

    @contextmanager
    def _sampled(self, pid: int) -> Iterator[None]:
        """Read the command lines of a process and its children while it runs."""
        over = threading.Event()

        def sample() -> None:
            while not over.wait(0.03):
                for one in family(pid):
                    self.lines |= read_lines(one)

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def look_around(self) -> None:
        """Look into every file that was written, and at every command line that was seen."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.parent.name != "given":
                self._look(path.read_bytes(), f"{path.relative_to(self.folder)}")
                self._look(os.fsencode(path.name), "a file's name")
        for line in self.lines:
            self._look(line, f"the process list: {line!r}")


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:  # grows while it is read
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended
    return found


def read_lines(pid: int) -> set[bytes]:
    """The command line of a process, and the names of its threads."""
    try:
        names = [(task / "comm").read_bytes() for task in Path(f"/proc/{pid}/task").iterdir()]
        return {Path(f"/proc/{pid}/cmdline").read_bytes(), *names}
    except OSError:
        return set()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """A home on the embedded chain with one imported key, whose password stands in a file that is given."""
    given = tmp_path / "given"
    given.mkdir(mode=0o700)
    (given / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    (given / "wrong").write_text(f"{WRONG}\n", encoding="utf-8")
    rows = "\n".join(f"{text},{label}" for text, label in [("text", "label"), *HONEST])
    (given / "films.csv").write_text(f"{rows}\n")
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV") if name in os.environ
    }
    return Watched(
        tmp_path,
        {
            "the private key": bytes.fromhex(KEY),
            "half of the private key": bytes.fromhex(KEY[:32]),
            "the password": PASSWORD.encode(),
            "the wrong password": WRONG.encode(),
            "the URL's user": USER.encode(),
            "the URL's password": URL_PASSWORD.encode(),
            "the URL's path": PATH.encode(),
            "the URL's query": QUERY.encode(),
            "a header": HEADER.encode(),
        },
        kept
        | {
            "PYTHONPATH": str(PROJECT),
            "PYTHONUTF8": "1",
            "HOME": str(tmp_path),
            "DCAI_HOME": str(tmp_path / "home"),
            "ETH_PASSWORD": str(given / "password"),
            "ETH_RPC_HEADERS": f"Authorization: Bearer {HEADER}\nX-Key: {HEADER}",
        },
    )


def secret_url(port: int) -> str:
    """A URL with a secret in every part."""
    return f"http://{USER}:{URL_PASSWORD}@127.0.0.1:{port}/{PATH}?key={QUERY}#{QUERY}"


def light_account(watched: Watched, name: str, key: str) -> None:
    """An account whose file opens at once."""
    Keystore(watched.folder / "home" / "keystore", work_factor=2).import_key(name, key, PASSWORD)


def test_commands_leave_no_secret_anywhere(watched: Watched) -> None:
    """Making, importing and exporting keys, deploying, contributing, predicting, claiming; and failing."""
    given = watched.folder / "given"
    films, wrong = str(given / "films.csv"), str(given / "wrong")
    watched("account", "import", "--name", "alice", "--json", typed=f"0x{KEY}\n")
    watched("account", "new", "--name", "bob")
    stored = Keystore(watched.folder / "home" / "keystore")
    watched.secrets["bob's key"] = bytes.fromhex(stored.export(stored.find("bob"), PASSWORD)[2:])
    watched("account", "import", "--name", "odd", typed=f"{KEY}ff\n", code=15)
    watched("account", "import", "--name", "odd", "--json", typed=f"{KEY[:-1]}\n", code=15)
    alice = str(stored.find("alice").path)
    watched("account", "import", "--name", "odd", "--file", alice, "--password-file", wrong, code=11)
    watched("account", "list", "--json")
    watched("account", "show", "alice", "--json")
    watched("account", EXPORT.split()[1], "alice", "--yes", "--password-file", wrong, code=11)
    assert watched("account", "export", "alice", "--yes").stdout.decode() == f"0x{KEY}\n"
    stored.find("alice").path.unlink()
    light_account(watched, "alice", KEY)

    watched(*DEPLOY, "--yes", "--password-file", wrong, code=11)
    watched(*DEPLOY, "--yes")
    watched("contribute", films, "--yes", "--json", "--password-file", wrong, code=11)
    watched("contribute", films, "--yes", "--json")
    watched("predict", "a wonderful film", "--json")
    watched("devnet", "advance", "25h")
    watched("refunds", "--claim", "--yes", "--password-file", wrong, code=11)
    watched("refunds", "--claim", "--yes", "--json")
    watched("config", "show", "--json")
    watched.look_around()
    assert watched.leaks == []
    assert len(watched.lines) >= 12  # command lines were seen at all


def test_a_node_with_secrets_in_its_url_is_used_and_lost_without_showing_them(
    watched: Watched, anvil_url: str, closed_url: str
) -> None:
    """A node that works, one that is down, and one that is none: only the host is ever shown."""
    light_account(watched, "alice", KEY)
    with closing(RemoteNode([anvil_url], {})) as node:
        address = Keystore(watched.folder / "home" / "keystore").find("alice").address
        node.request("anvil_setBalance", address, hex(10**21))
    port = urlsplit(anvil_url).port
    # anvil serves its root only, so the path holds no secret here.
    live = f"http://{USER}:{URL_PASSWORD}@127.0.0.1:{port}/?key={QUERY}#{QUERY}"
    films = str(watched.folder / "given" / "films.csv")
    watched(*DEPLOY, "--yes", "--json", ETH_RPC_URL=live)
    watched("contribute", films, "--yes", ETH_RPC_URL=live)
    watched("config", "show", ETH_RPC_URL=live)
    dead = secret_url(urlsplit(closed_url).port or 0)
    strange = secret_url(port or 0)
    for arguments, url, code in (
        (("account", "show", "alice", "--json"), dead, 13),
        (("contribute", films, "--yes"), dead, 13),
        (("refunds", "--claim", "--yes", "--json"), strange, 13),
        (("contribute", films, "--yes"), strange, 13),
        (("account", "show", "alice", "--json"), dead.replace("http", "ftp"), 2),
        (("account", "show", "alice"), f"http://[{USER}", 2),
    ):
        watched(*arguments, ETH_RPC_URL=url, code=code)
    watched.look_around()
    assert watched.leaks == []


@pytest.mark.parametrize("damage", FAULTS)
def test_the_traceback_of_a_fault_shows_no_values(watched: Watched, closed_url: str, damage: str) -> None:
    """A fault of ours keeps its traceback, of lines and not of what stands in variables."""
    light_account(watched, "alice", KEY)
    damaged = watched.folder / "given" / "damaged"
    damaged.mkdir()
    (damaged / "sitecustomize.py").write_text(FAULTS[damage])
    environment: dict[str, Any] = {"PYTHONPATH": f"{damaged}{os.pathsep}{PROJECT}"}
    if damage == "asking the node":
        environment["ETH_RPC_URL"] = secret_url(urlsplit(closed_url).port or 0)
    for arguments in ((*DEPLOY, "--yes"), (*DEPLOY, "--yes", "--json")):
        ended = watched(*arguments, code=1, **environment)
        assert b"Traceback" in ended.stderr
        assert b"damaged on purpose" in ended.stderr
    assert json.loads(ended.stdout)["error"]["code"] == "failed"
    watched.look_around()
    assert watched.leaks == []


def test_secrets_are_found_where_there_are_any(watched: Watched) -> None:
    """The search itself: a key in a file, in upper case, in bytes, in a command line, is found."""
    for content in (KEY.upper().encode(), bytes.fromhex(KEY), json.dumps(PASSWORD).encode(), QUERY.encode()):
        (watched.folder / "leak").write_bytes(b"x" + content + b"y")
        watched.leaks.clear()
        watched.look_around()
        assert watched.leaks
    watched.leaks.clear()
    (watched.folder / "leak").unlink()
    watched.environment["ETH_PASSWORD"] = ""
    watched("account", "show", KEY, code=10)
    assert any("stderr" in leak for leak in watched.leaks)
    watched.look_around()
    assert any("process list" in leak for leak in watched.leaks)
