"""The command line as a process: terminals, locks, pipes, interruptions, and nodes that fail half-way."""

from __future__ import annotations

import codecs
import http.client
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dcai_cli.chain.remote import RemoteNode
from dcai_cli.services.accounts import acting_account
from dcai_cli.services.workspace import Workspace

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai
    from tests.conftest import Anvil

PATIENCE_S = 60
PRESSES = 6


class Terminal:
    """A command whose stdin and stderr are a terminal, and whose stdout is a pipe.

    Args:
        dcai: whose home it works in.
        arguments: what is typed after `dcai`.
        environment: more variables.
    """

    def __init__(self, dcai: Dcai, *arguments: str | Path, **environment: str) -> None:
        self._screen, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dcai_cli", *map(str, arguments)],
            env=surroundings(dcai) | environment,
            cwd=dcai.folder,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
            start_new_session=True,  # so that this test's own terminal, if it has one, is not asked
        )
        os.close(terminal)
        self.seen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def until(self, text: str) -> None:
        """Wait until the screen shows a text."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            ready, _, _ = select.select([self._screen], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"the screen never showed {text!r}: {self.seen}"
            try:
                self.seen += self._decoder.decode(os.read(self._screen, 4096))
            except OSError:  # the program ended
                pytest.fail(f"the program ended before it showed {text!r}: {self.seen}")

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._screen, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C until the program ends, as people do.

        Python drops an interruption that arrives inside a finaliser, which the garbage collector may run at
        any moment.
        """
        for _ in range(PRESSES):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_S / PRESSES)
                return

    def end(self) -> tuple[int, str]:
        """The exit code and all of stdout, when the program ends."""
        drain = threading.Thread(target=self._drain, daemon=True)
        drain.start()
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        drain.join(PATIENCE_S)
        return self.process.returncode, out.decode()

    def _drain(self) -> None:
        while True:
            try:
                self.seen += self._decoder.decode(os.read(self._screen, 4096))
            except OSError:
                return

    def close(self) -> None:
        """End the program, if it runs yet."""
        self.process.kill()
        self.process.wait()
        os.close(self._screen)


def surroundings(dcai: Dcai) -> dict[str, str]:
    """The environment of a process that works in a home."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TERM": "xterm",
    } | dcai.environment


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Starts commands on terminals; they end with the test."""
    started: list[Terminal] = []

    def start(dcai: Dcai, *arguments: str | Path, **environment: str) -> Terminal:
        started.append(Terminal(dcai, *arguments, **environment))
        return started[-1]

    yield start
    for one in started:
        one.close()


StartTerminal = Callable[..., Terminal]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("account import --name carol", "Standard input is closed."),
        ("account new --name carol", "Password for carol: nobody is there to type it."),
        ("account export", "Nobody is there to answer."),
    ],
)
def test_a_question_to_a_closed_standard_input_is_a_usage_error(
    dcai: Dcai, command: str, problem: str
) -> None:
    """Whoever closes it, as some service managers do, is told what to name instead."""
    environment = surroundings(dcai)
    del environment["ETH_PASSWORD"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "dcai_cli", *command.split()],
        env=environment,
        cwd=dcai.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{problem}\nhint: " in done.stderr


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"], ids=["no", "return", "end of file"])
def test_only_yes_goes_on(dcai: Dcai, films: Path, terminal: StartTerminal, answer: str) -> None:
    """The plan and a question stand on the terminal; anything but yes stops with 1, and nothing is sent."""
    with dcai.unchanged():
        command = terminal(dcai, "contribute", films)
        command.until("[y/N]")
        assert "deposits  at most" in command.seen
        assert "contributing" not in command.seen  # no bar paints over the question
        command.type(answer)
        code, out = command.end()
    assert (code, out) == (1, "")
    assert "nothing was sent" in command.seen


def test_an_interruption_ends_with_130_and_leaves_everything(
    dcai: Dcai, films: Path, terminal: StartTerminal
) -> None:
    """Ctrl-C at the question: exit code 130, one JSON document, nothing sent."""
    with dcai.unchanged():
        command = terminal(dcai, "contribute", films, "--json")
        command.until("[y/N]")
        command.interrupt()
        code, out = command.end()
    error = json.loads(out)["error"]
    assert (code, error["code"]) == (130, "interrupted")
    assert "goes on where" in error["hint"]


def test_an_interruption_of_what_has_no_steps_says_what_shows_whether_it_was_done(
    dcai: Dcai, terminal: StartTerminal
) -> None:
    """Ctrl-C at a question of a command that does one thing: another run would not go on."""
    command = terminal(dcai, "devnet", "reset", "--json")
    command.until("[y/N]")
    command.interrupt()
    code, out = command.end()
    hint = "Whether it was done says: dcai devnet status"
    assert (code, json.loads(out)["error"]["hint"]) == (130, hint)


def test_a_second_process_is_told_who_works_here(dcai: Dcai, films: Path, terminal: StartTerminal) -> None:
    """While one waits for an answer another ends with 18 and the first one's pid; then the first goes on."""
    first = terminal(dcai, "contribute", films)
    first.until("[y/N]")
    second = dcai("contribute", films, "--yes", "--json")
    error = second.document["error"]
    assert (second.code, error["code"]) == (18, "locked")
    assert f"(pid {first.process.pid})" in error["message"]
    assert "embedded chain" in error["message"]
    first.type("yes\n")
    code, out = first.end()
    assert code == 0
    assert out.startswith("6 samples in 1 batch are on-chain")
    assert dcai.data("contribute", films, "--yes")["already_contributed"] == 6


def test_a_new_password_is_asked_for_twice_and_shown_never(empty: Dcai, terminal: StartTerminal) -> None:
    """Two different answers make no account; two equal ones do, and it opens with them."""
    for again, expected in (("other\n", 2), ("secret\n", 0)):
        command = terminal(empty, "account", "new", "--name", "me", ETH_PASSWORD="")
        command.until("Password for me: ")
        command.type("secret\n")
        command.until("The same again: ")
        command.type(again)
        code, out = command.end()
        assert code == expected
        assert "secret" not in out + command.seen
    (empty.folder / "password").write_text("secret")
    assert empty("account", "export", "me", "--yes").out.startswith("0x")


def test_a_password_that_is_not_typed_is_a_usage_error(dcai: Dcai, terminal: StartTerminal) -> None:
    """Ctrl-D at the password prompt stops with 2 and names the option."""
    command = terminal(dcai, "account", "export", "alice", "--yes", ETH_PASSWORD="")
    command.until("Password of alice: ")
    command.type("\x04")
    code, out = command.end()
    assert (code, out) == (2, "")
    assert "--password-file" in command.seen


def test_a_reader_that_goes_away_is_no_fault(dcai: Dcai) -> None:
    """A pipe that is closed early ends the command without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "dcai_cli", "account", "list", "--json"],
        env=surroundings(dcai),
        cwd=dcai.folder,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.complaint("failures exit 0")
@pytest.mark.parametrize("arguments", [["account", "list"], ["account", "list", "--json"], ["--help"]])
def test_a_full_disk_behind_stdout_is_a_failure_that_is_said(dcai: Dcai, arguments: list[str]) -> None:
    """What cannot be written is no success: exit code 1, one error, no traceback."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dcai_cli", *arguments],
            env=surroundings(dcai),
            cwd=dcai.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: Standard output cannot be written: No space left on device.\n")
    assert "Traceback" not in done.stderr


@pytest.mark.complaint("failures exit 0")
@pytest.mark.parametrize("arguments", [["model", "list"], ["config", "path", "--json"], ["--help"]])
def test_a_closed_stdout_is_a_failure_that_is_said(empty: Dcai, arguments: list[str]) -> None:
    """What nobody can read is no success: exit code 1, one error, no traceback."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "dcai_cli", *arguments],
        env=surroundings(empty),
        cwd=empty.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: Standard output cannot be written: it is closed.\nhint: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(("account", "code"), [("bob", 0), ("nobody", 10)])
def test_a_command_does_its_work_when_somebody_closed_its_streams(
    dcai: Dcai, streams: str, account: str, code: int
) -> None:
    """It says what it can, and no file gets the number of a stream; a result that is lost is no success."""
    command = [sys.executable, "-m", "dcai_cli", "account", "use", account, "--json"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *command],
        env=surroundings(dcai),
        cwd=dcai.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (code or (0 if streams == "2>&-" else 1))
    if streams == "2>&-":
        assert ("error" in json.loads(done.stdout)) == bool(code)
    else:
        assert done.stdout == ""
    assert bool(done.stderr) == ((code != 0 or ">&-" in streams) and "2" not in streams)
    if code == 0 and "2" not in streams:
        assert done.stderr.startswith("error: Standard output cannot be written: it is closed.\nhint: ")
    used = next(item["name"] for item in dcai.data("account", "list")["accounts"] if item["in_use"])
    assert used == ("alice" if code else "bob")


def test_the_process_exits_with_the_code(dcai: Dcai) -> None:
    """`python -m dcai_cli` hands the exit code on, and prints to the right streams."""
    done = subprocess.run(
        [sys.executable, "-m", "dcai_cli", "predict", "good", "--model", "nosuch", "--json"],
        env=surroundings(dcai),
        cwd=dcai.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"
    assert "error: No model is called 'nosuch'" in done.stderr


class Proxy(ThreadingHTTPServer):
    """Hands requests to a node, until the wire is cut at the n-th transaction.

    Args:
        node_url: the node.
        cut_at: the transaction at which it is cut, from 1.
        delivers: whether that transaction still reaches the node, so that only the answer is lost.
    """

    daemon_threads = True

    def __init__(self, node_url: str, *, cut_at: int, delivers: bool) -> None:
        super().__init__(("127.0.0.1", 0), Wire)
        self.node = node_url.removeprefix("http://")
        self.delivers = delivers
        self.left = cut_at

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class Wire(BaseHTTPRequestHandler):
    """One connection through the proxy."""

    server: Proxy

    def do_POST(self) -> None:
        """Hand one request on, or cut the wire."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sends = json.loads(body)["method"] == "eth_sendRawTransaction"
        self.server.left -= sends
        cut = self.server.left <= 0
        answer = b"" if cut and not (sends and self.server.delivers) else self._ask(body)
        if cut:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _ask(self, body: bytes) -> bytes:
        kind = {"Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self.server.node, timeout=PATIENCE_S)) as node:
            node.request("POST", "/", body, kind)
            return node.getresponse().read()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def proxy(node_url: str, *, cut_at: int, delivers: bool) -> Iterator[str]:
    """The URL of a proxy that serves for a while."""
    with Proxy(node_url, cut_at=cut_at, delivers=delivers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def on_anvil(dcai: Dcai, anvil_url: str) -> Dcai:
    """The prepared home, pointed at anvil, where alice is rich and has a model whose name is new."""
    dcai.environment["ETH_RPC_URL"] = anvil_url
    address = dcai.data("account", "show")["address"]
    with closing(RemoteNode([anvil_url], {})) as node:
        node.request("anvil_setBalance", address, hex(10**21))
    name = f"m{dcai.data('devnet', 'status')['block_number']}"
    dcai.data(
        "model", "deploy", "--name", name, "--labels", "negative,positive", "--n-features", "256", "--yes"
    )
    return dcai


@pytest.mark.parametrize(
    "delivers", [True, False], ids=["only the answer is lost", "the transaction is lost"]
)
def test_a_node_that_fails_half_way_costs_nothing_twice(
    on_anvil: Dcai, films: Path, anvil_url: str, delivers: bool
) -> None:
    """Exit code 3 says how far it came; the same command finishes it: every row is on-chain exactly once."""
    command = ("contribute", films, "--batch-size", "2", "--yes")
    with proxy(anvil_url, cut_at=2, delivers=delivers) as url:
        error = on_anvil.error(*command, ETH_RPC_URL=url)
    assert (error["code"], error["exit_code"]) == ("partly-done", 3)
    assert "0 of 6 samples are on-chain, 2 on their way" in error["message"]
    assert "same command again" in error["hint"]
    assert on_anvil.query("SELECT count(*) FROM transactions WHERE state IN ('signed', 'sent')") == [(2,)]

    data = on_anvil.data(*command)
    assert (data["contributed"], data["already_contributed"]) == (6, 0)
    assert on_anvil.data("data", "export", "-o", "out.csv")["samples"] == 6
    assert on_anvil.query("SELECT sum(count) FROM batches WHERE state = 'open'") == [(6,)]
    deposit_wei = sum(
        int(per_unit) * units
        for per_unit, units in on_anvil.query("SELECT deposit_per_unit_wei, units FROM batches")
    )
    assert int(on_anvil.data("model", "show")["balance_wei"]) == deposit_wei


def test_claims_that_break_off_half_way_are_finished_by_the_same_command(
    dcai: Dcai, films: Path, anvil: Callable[[], Anvil]
) -> None:
    """The first model's refund is sent, the second's answer is lost: exit code 3, and then the rest once."""
    node = anvil()
    dcai.environment["ETH_RPC_URL"] = node.url
    node.rpc("anvil_setBalance", dcai.data("account", "show")["address"], hex(10**21))
    for name in ("first", "second"):
        labels = ("--labels", "negative,positive", "--n-features", "256")
        dcai.data("model", "deploy", "--name", name, *labels, "--yes")
        dcai.data("contribute", films, "--model", name, "--yes")
    dcai.data("devnet", "advance", "25h")
    due_wei = sum(int(item["amount_wei"]) for item in dcai.data("refunds", "--all")["items"])

    with proxy(node.url, cut_at=2, delivers=True) as url:
        error = dcai.error("refunds", "--claim", "--yes", ETH_RPC_URL=url)
    assert (error["exit_code"], error["message"][:37]) == (3, "0 claims are on-chain, 1 on their way")
    dcai.data("refunds", "--claim", "--yes")
    assert dcai.data("refunds", "--all")["items"] == []
    refunded = dcai.query("SELECT refunded_wei FROM batches WHERE state = 'settled'")
    assert sum(int(amount) for (amount,) in refunded) == due_wei


def test_an_account_is_locked_on_every_node(on_anvil: Dcai, films: Path) -> None:
    """Behind a node, too, an account belongs to one process at a time; another account may work meanwhile."""
    with Workspace(on_anvil.settings) as workspace, workspace.sending(acting_account(workspace).address):
        error = on_anvil.error("contribute", films, "--yes")
        assert error["exit_code"] == 18
        assert f"(pid {os.getpid()})" in error["message"]
        assert "Account 0x" in error["message"]
        # Bob is poor here, and not locked.
        assert on_anvil.error("contribute", films, "--account", "bob", "--yes")["exit_code"] == 12


def test_a_question_locks_nobody_out_and_its_answer_is_not_taken_for_another_plan(
    on_anvil: Dcai, films: Path, terminal: StartTerminal
) -> None:
    """While one command asks, another contributes the same file: the first stops, and sends nothing twice."""
    first = terminal(on_anvil, "contribute", films)
    first.until("[y/N]")
    sent = on_anvil.data("contribute", films, "--yes")["contributed"]
    assert sent > 0
    first.type("y\n")
    assert first.end()[0] == 18
    assert "Another process contributed" in first.seen
    again = on_anvil.data("contribute", films, "--yes")
    assert (again["contributed"], again["already_contributed"]) == (0, sent)


def test_a_bar_on_a_narrow_screen_is_short(dcai: Dcai, films: Path, terminal: StartTerminal) -> None:
    """What does not fit is left out: no bar and no rate, but how much is done and the time that is left."""
    command = terminal(dcai, "contribute", films, "--yes", COLUMNS="40")
    code, _ = command.end()
    assert code == 0, command.seen
    assert "6/6" in command.seen
    assert "\u2501" not in command.seen
    assert "\u2026" not in command.seen
