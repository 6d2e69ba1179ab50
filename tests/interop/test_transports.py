"""The same client over HTTP, WebSocket and IPC, against a real anvil."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from dcai_cli.chain import Chain, RpcError, open_chain
from dcai_cli.chain.http import Limits
from dcai_cli.chain.registry import constructor_arguments
from dcai_cli.chain.remote import RemoteNode
from dcai_cli.config import Settings
from dcai_cli.errors import Reverted, RpcUnreachable, WrongChain
from tests.conftest import PROJECT, StartAnvil
from tests.unit.rpc_server import SECRET, serving

OWNER: LocalAccount = Account.from_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first account of every anvil."""


@pytest.fixture(params=["http", "ws", "ipc"])
def url(request: pytest.FixtureRequest, anvil: StartAnvil, tmp_path: Path) -> str:
    """A fresh anvil by each of its doors."""
    path = tmp_path / "anvil.ipc"
    node = anvil("--ipc", str(path))
    if request.param == "ipc":
        return f"ipc://{path}"
    return node.url.replace("http", request.param, 1)


@pytest.fixture
def chain(url: str, tmp_path: Path) -> Iterator[Chain]:
    """A client of it."""
    with open_chain(Settings(tmp_path, tmp_path, tmp_path, rpc_url=url, chain_id=31_337)) as opened:
        yield opened


def test_a_contract_is_deployed_read_and_followed(chain: Chain) -> None:
    """Signing, sending, waiting, views, reverts and logs work through every door."""
    data = chain.encode_deploy("ModelRegistry", *constructor_arguments())
    gas = chain.estimate_gas(OWNER.address, None, data)
    signed = chain.sign(
        OWNER,
        to=None,
        data=data,
        value_wei=0,
        nonce=chain.next_nonce(OWNER.address),
        gas=gas,
        fees=chain.fees(),
    )
    receipt = chain.wait(chain.send(signed.raw))
    assert receipt.status
    assert chain.send(signed.raw) == receipt.hash
    registry = str(receipt.contract_address)
    assert chain.code(registry)
    with pytest.raises(Reverted):
        chain.call(registry, b"\x01\x02\x03\x04")
    assert chain.logs("ModelRegistry", registry, "Installed", 0) == []
    assert chain.block(receipt.block_number).hash == receipt.block_hash
    assert chain.block("latest").parent_hash == chain.block(receipt.block_number - 1).hash


def test_many_requests_go_at_once(url: str) -> None:
    """Results and errors come back in their order."""
    with closing(RemoteNode([url], {})) as node:
        calls = [("eth_getBalance", (f"0x{number:040x}", "latest")) for number in range(150)]
        found = node.request_many([("eth_chainId", ()), *calls, ("no_such_method", ())])
        assert found[:-1] == ["0x7a69", *["0x0"] * 150]
        assert isinstance(found[-1], RpcError)
        assert node.request("eth_chainId") == "0x7a69"


def test_large_answers_and_questions_pass(url: str) -> None:
    """A contract's code of half a megabyte, there and back."""
    with closing(RemoteNode([url], {})) as node:
        code = "0x" + "5b" * 500_000
        node.request("anvil_setCode", "0x" + "99" * 20, code)
        assert node.request("eth_getCode", "0x" + "99" * 20, "latest") == code


def test_an_answer_above_the_limit_is_refused(url: str) -> None:
    """And the client goes on with a fresh connection."""
    with closing(RemoteNode([url], {}, limits=Limits(body_bytes=100_000))) as node:
        node.request("anvil_setCode", "0x" + "99" * 20, "0x" + "5b" * 100_000)
        with pytest.raises(RpcError, match="larger than 100,000 bytes"):
            node.request("eth_getCode", "0x" + "99" * 20, "latest")
        assert node.request("eth_chainId") == "0x7a69"


@pytest.mark.parametrize("door", ["http", "ws", "ipc"])
def test_a_node_that_dies_is_left_for_the_next(anvil: StartAnvil, tmp_path: Path, door: str) -> None:
    """The connection breaks in the middle of the work; the second URL, of any kind, goes on with it."""
    # The time is part of the genesis block, which both must have.
    same = ("--timestamp", "1700000000")
    first, second = anvil("--ipc", str(tmp_path / "anvil.ipc"), *same), anvil(*same)
    urls = {"http": first.url, "ws": first.url.replace("http", "ws"), "ipc": str(tmp_path / "anvil.ipc")}
    with closing(RemoteNode([urls[door], second.url], {}, sleep=lambda _: None)) as node:
        assert node.request("eth_chainId") == "0x7a69"
        first.stop()
        assert node.request("eth_chainId") == "0x7a69"
        assert node.label == second.url.removeprefix("http://")


def test_an_anvil_of_another_time_is_another_chain(anvil: StartAnvil) -> None:
    """The same chain id is not enough: a devnet that was started anew has another genesis block."""
    first, second = anvil("--timestamp", "1700000000"), anvil("--timestamp", "1700000001")
    with closing(RemoteNode([first.url, second.url], {}, sleep=lambda _: None)) as node:
        assert node.request("eth_chainId") == "0x7a69"
        first.stop()
        with pytest.raises(
            WrongChain, match=f"{second.url.removeprefix('http://')} is on another chain 31337"
        ):
            node.request("eth_chainId")


def test_a_socket_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    """The message names the file, not its folder."""
    with (
        closing(RemoteNode([str(tmp_path / SECRET / "geth.ipc")], {}, sleep=lambda _: None)) as node,
        pytest.raises(RpcUnreachable, match=r"The node at geth\.ipc .* the connection failed") as failed,
    ):
        node.request("eth_chainId")
    assert SECRET not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize(("status", "why"), [(401, "HTTP 401"), (429, "HTTP 429"), (404, "HTTP 404")])
def test_a_refused_websocket_is_unreachable_and_shows_no_secret(
    caplog: pytest.LogCaptureFixture, status: int, why: str
) -> None:
    """The handshake goes to a server that wants none; headers and URL stay secret in everybody's log."""
    with serving() as server:
        server.greeting = status
        url = server.url.replace("http", "ws")
        node = RemoteNode([url], {"X-Key": SECRET}, sleep=lambda _: None)
        with (
            caplog.at_level(logging.DEBUG),
            closing(node),
            pytest.raises(RpcUnreachable, match=why) as failed,
        ):
            node.request("eth_chainId")
        assert server.headers[-1]["X-Key"] == SECRET
    shown = "".join(traceback.format_exception(failed.value)) + caplog.text + repr(node)
    assert SECRET not in shown
    assert failed.value.__context__ is None
    gc.collect()


def test_http_needs_no_web3(anvil_url: str, tmp_path: Path) -> None:
    """The largest import of all is paid for by WebSockets and IPC only."""
    code = (
        "import sys; from pathlib import Path; from dcai_cli.chain import open_chain;"
        "from dcai_cli.config import Settings; folder = Path(sys.argv[1])\n"
        "with open_chain(Settings(folder, folder, folder, rpc_url=sys.argv[2])) as chain: chain.key\n"
        "print('web3' in sys.modules, 'requests' in sys.modules)"
    )
    for url, expected in ((anvil_url, "False True"), (anvil_url.replace("http", "ws"), "True True")):
        command = [sys.executable, "-c", code, str(tmp_path), url]
        shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT)
        assert shown.stdout.strip() == expected
