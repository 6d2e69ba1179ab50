"""The ABI codec and the decoder of reverts, against web3's own codec and the shapes that clients send."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from dcai_cli.chain import abi
from dcai_cli.chain.artifacts import all_errors, artifact, names
from dcai_cli.chain.reverts import _HINTS, decode_revert, revert_data

PROJECT = Path(__file__).resolve().parent.parent.parent
ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
BATCH = (3, ADDRESS, 1_700_000_000, 10**12, 2, 5, 0b11, bytes(range(32)))


def revert(name: str, *values: object) -> bytes:
    """What a contract reverts with when it raises a custom error."""
    entry = next(entry for entry in all_errors().values() if entry["name"] == name)
    return abi.selector(entry) + abi.encode(entry["inputs"], values)


def test_every_shipped_contract_can_be_read() -> None:
    """Each artifact has code that fits the limit of a contract, and an ABI."""
    assert set(names()) >= {
        "CollaborativeTrainer",
        "DataHandler",
        "ModelRegistry",
        "Perceptron",
        "PointsIncentive",
        "StakeIncentive",
    }
    for name in names():
        contract = artifact(name)
        assert contract.name == name
        assert 0 < len(contract.deployed_bytecode) <= 24_576
        assert len(contract.bytecode) > len(contract.deployed_bytecode)
        assert contract.functions


def test_functions_are_not_overloaded() -> None:
    """Functions and events can be named by their name alone, but for one of ERC-721 that nobody calls."""
    for name in names():
        for kind in ("function", "event"):
            found = [entry["name"] for entry in artifact(name).entries if entry["type"] == kind]
            assert {entry for entry in found if found.count(entry) > 1} <= {"safeTransferFrom"}


def test_an_unknown_contract_names_those_that_ship() -> None:
    """A misspelt contract name is a fault that shows the right ones."""
    with pytest.raises(KeyError, match="CollaborativeTrainer"):
        artifact("Collaborativetrainer")


@pytest.mark.parametrize(
    ("function", "values"),
    [
        ("quote", [25]),
        ("contribute", [b"\x01\x00\x01\x00\x07"]),
        ("refund", [[(BATCH, b"payload", 0b10)]]),
        ("report", [BATCH, [(1, b"sample", [bytes(32), b"\x01" * 32])]]),
        ("sweep", [BATCH]),
    ],
)
def test_calls_are_encoded_as_web3_encodes_them(function: str, values: list[Any]) -> None:
    """Selector and arguments, nested structs included, have the bytes that web3 gives them."""
    contract = artifact("CollaborativeTrainer")
    entry = contract.functions[function]
    ours = abi.selector(entry) + abi.encode(entry["inputs"], values)
    theirs = Web3().eth.contract(abi=list(contract.entries)).encode_abi(function, values)
    assert f"0x{ours.hex()}" == theirs


def test_events_are_decoded_as_web3_decodes_them() -> None:
    """Indexed and plain arguments come out by name, addresses with their checksum."""
    contract = artifact("CollaborativeTrainer")
    entry = contract.events["Contributed"]
    topics = [abi.topic(entry), (3).to_bytes(32, "big"), bytes(12) + bytes.fromhex(ADDRESS[2:])]
    plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
    data = abi.encode(plain, [1_700_000_000, 10**12, 0b101, b"payload"])
    log = {
        "topics": topics,
        "data": data,
        "address": ADDRESS,
        "logIndex": 0,
        "transactionIndex": 0,
        "transactionHash": bytes(32),
        "blockHash": bytes(32),
        "blockNumber": 1,
    }
    theirs = Web3().eth.contract(abi=list(contract.entries)).events.Contributed().process_log(log)
    assert abi.decode_event(entry, topics, data) == dict(theirs["args"])


def test_a_log_of_another_shape_is_refused() -> None:
    """A log with too few topics, or cut data, is not decoded into nonsense."""
    entry = artifact("CollaborativeTrainer").events["Contributed"]
    with pytest.raises(ValueError, match="2 indexed arguments, not 0"):
        abi.decode_event(entry, [abi.topic(entry)], b"")
    with pytest.raises(ValueError, match="do not decode"):
        abi.decode([{"type": "uint256"}, {"type": "bytes"}], bytes(40))


def test_an_indexed_string_stays_the_hash_that_the_log_holds() -> None:
    """Dynamic indexed arguments are hashed by the EVM, so there is nothing to decode."""
    entry = {"name": "Named", "inputs": [{"name": "name", "type": "string", "indexed": True}]}
    assert abi.decode_event(entry, [abi.topic(entry), b"\x07" * 32], b"") == {"name": b"\x07" * 32}


def test_a_custom_error_is_shown_with_its_values_and_a_hint() -> None:
    """The message is the error as it would be written in Solidity; the hint says what to do."""
    error = decode_revert(revert("InsufficientDeposit", 1, 2 * 10**18))
    assert error.message == "InsufficientDeposit(offeredWei=1, requiredWei=2000000000000000000)"
    assert error.name == "InsufficientDeposit"
    assert error.values == {"offeredWei": 1, "requiredWei": 2 * 10**18}
    assert "2 ETH" in error.hint


def test_too_early_says_when() -> None:
    """A claim before its time tells when it is due."""
    assert "2023-11-14T22:13:20Z" in decode_revert(revert("TooEarly", 0, 1_700_000_000, 1_600_000_000)).hint


def test_every_shipped_error_can_be_shown() -> None:
    """Whatever our contracts revert with comes out under its own name, hint or not."""
    for selector, entry in all_errors().items():
        values = [_example(parameter) for parameter in entry["inputs"]]
        error = decode_revert(selector + abi.encode(entry["inputs"], values))
        assert error.name == entry["name"]
        assert re.search(rf"\b{entry['name']}\b", error.message)


def _example(parameter: abi.Entry) -> Any:
    if parameter["type"] == "tuple":
        return tuple(_example(component) for component in parameter["components"])
    return {"address": ADDRESS, "string": "text", "bytes32": bytes(32), "bool": True}.get(
        parameter["type"], 1
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The contract reverted without a reason."),
        (bytes.fromhex("08c379a0") + abi.encode([{"type": "string"}], ["no"]), "The contract reverted: no"),
        (
            bytes.fromhex("4e487b71") + bytes(31) + b"\x11",
            "The contract panicked: arithmetic overflow (0x11).",
        ),
        (bytes.fromhex("4e487b71") + bytes(31) + b"\xee", "The contract panicked: unknown (0xee)."),
        (bytes.fromhex("12345678"), "The contract reverted with an unknown error, 0x12345678."),
        (bytes.fromhex("08c379a0") + b"\xff", "The contract reverted with an unknown error, 0x08c379a0ff."),
    ],
)
def test_other_reverts_are_shown_as_far_as_they_can_be(data: bytes, message: str) -> None:
    """Reasons in words, panics, unknown errors and broken ones each have a message."""
    error = decode_revert(data)
    assert (error.message, error.name) == (message, "")


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": "execution reverted: custom error", "data": "0xaabbccdd"},
        {"code": -32603, "message": "Error: VM Exception", "data": {"message": "…", "data": "0xaabbccdd"}},
        {"code": -32015, "message": "VM execution error.", "data": "Reverted 0xaabbccdd"},
        {"code": -32000, "message": "…", "data": {"originalError": {"code": 3, "data": "0xaabbccdd"}}},
    ],
)
def test_revert_data_is_found_in_every_clients_shape(error: dict[str, Any]) -> None:
    """Geth and anvil, hardhat, parity and wallets' proxies put the bytes into different places."""
    assert revert_data(error) == bytes.fromhex("aabbccdd")


@pytest.mark.parametrize("data", [None, "text", "0xzz", {}, {"data": None}, 7, ["0x"]])
def test_an_error_without_revert_data_has_none(data: object) -> None:
    """What is not hex data is not taken for it."""
    assert revert_data({"code": -32000, "message": "nonce too low", "data": data}) is None


def test_every_hint_belongs_to_an_error_that_ships() -> None:
    """A renamed error would silently lose its hint."""
    assert set(_HINTS) <= {entry["name"] for entry in all_errors().values()}


@pytest.mark.parametrize("module", ["dcai_cli.chain", "dcai_cli.keystore"])
def test_importing_the_floor_loads_nothing_heavy(module: str) -> None:
    """Commands that read the ledger only import these modules without paying for what they may use."""
    heavy = "{'web3', 'eth', 'eth_account', 'eth_abi', 'eth_utils', 'eth_keyfile', 'requests', 'sqlite3'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=PROJECT
    )
    assert shown.stdout.strip() == "[]"


def test_the_embedded_chain_needs_no_web3(tmp_path: Path) -> None:
    """The default network starts without the largest import of all."""
    code = (
        "import sys; from pathlib import Path; from dcai_cli.chain import open_chain;"
        "from dcai_cli.config import Settings; folder = Path(sys.argv[1])\n"
        "with open_chain(Settings(folder, folder, folder)) as chain: chain.timestamp()\n"
        "print('web3' in sys.modules, 'eth_account' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT)
    assert shown.stdout.strip() == "False False"
