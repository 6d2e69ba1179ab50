"""What a layer 2 charges for data: the formula, and a node that knows nothing of it or lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.chain import Chain, RpcError
from dcai_cli.chain.layer2 import ARB_SYS, GAS_PRICE_ORACLE, Layer2
from dcai_cli.config import Settings
from tests.data_fees import CASES, data_fee_wei

ADDRESS = "0x" + "22" * 20


class ScriptedNode:
    """A node that has code at some addresses, and one answer to every call.

    Args:
        codes: the code at each address.
        answer: what each call returns, or the error that it raises.
    """

    label = "node.example"

    def __init__(self, codes: dict[str, str], answer: object) -> None:
        self.codes = codes
        self.answer = answer
        self.asked: list[str] = []

    def request(self, method: str, *params: Any) -> Any:
        """Answer one request."""
        self.asked.append(method)
        if method == "eth_chainId":
            return "0xa"
        answer = self.codes.get(params[0], "0x") if method == "eth_getCode" else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def request_many(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Answer some, one by one."""
        return [self.request(method, *params) for method, params in requests]


def word(number: int) -> str:
    """A number as a call returns it."""
    return f"0x{number:064x}"


def chain_at(node: ScriptedNode, folder: Path) -> Chain:
    """A chain at this node."""
    return Chain(node, Settings(folder, folder, folder, rpc_url="http://node.example"))


ORACLE = {GAS_PRICE_ORACLE: "0x60"}
BOTH = {GAS_PRICE_ORACLE: "0x60", ARB_SYS: "0xfe"}


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_formula_is_the_one_of_the_op_stack(case: dict[str, Any]) -> None:
    """Our reading of the specification gives what the OP stack's contract answered, for three forks."""
    assert data_fee_wei(case) == int(case["fee_wei"])


@pytest.mark.parametrize(
    ("codes", "answer", "expected"),
    [
        ({}, word(6), None),
        (ORACLE, word(6), Layer2.OP_STACK),
        (ORACLE, word(18), None),
        (ORACLE, "0x", None),
        (ORACLE, "0x06", None),
        (ORACLE, word(6) + "00" * 32, None),
        (ORACLE, RpcError("execution reverted", rpc_code=3, data=b""), None),
        ({ARB_SYS: "0xfe"}, word(10), Layer2.ARBITRUM),
        ({ARB_SYS: "0xfe"}, word(11), None),
        ({ARB_SYS: "0xfe"}, RpcError("execution reverted", rpc_code=3, data=b""), None),
        (BOTH, word(6), Layer2.OP_STACK),
    ],
)
def test_a_layer_2_is_known_by_what_its_contracts_answer(
    tmp_path: Path, codes: dict[str, str], answer: object, expected: Layer2 | None
) -> None:
    """Code at the address is not enough; and the node is asked once."""
    node = ScriptedNode(codes, answer)
    chain = chain_at(node, tmp_path)
    assert chain.layer2 is expected
    asked = len(node.asked)
    assert chain.layer2 is expected
    assert len(node.asked) == asked


@pytest.mark.parametrize(
    ("codes", "answer"),
    [
        ({ARB_SYS: "junk"}, word(10)),
        ({ARB_SYS: RpcError("busy")}, word(10)),
        ({ARB_SYS: "0xfe"}, RpcError("busy")),
        ({ARB_SYS: "0xfe"}, {"a": 1}),
        ({ARB_SYS: "0xfe"}, None),
    ],
)
def test_a_node_that_cannot_say_it_is_asked_again(
    tmp_path: Path, codes: dict[str, str], answer: object
) -> None:
    """Until it answers properly there is no layer 2; a daemon of months does not stay with a bad moment."""
    node = ScriptedNode(codes, answer)
    chain = chain_at(node, tmp_path)
    assert chain.layer2 is None
    assert chain.data_fee_wei(100) == 0
    node.codes, node.answer = {ARB_SYS: "0xfe"}, word(10)
    assert chain.layer2 is Layer2.ARBITRUM


@pytest.mark.parametrize(
    "answer", [word(2**255), word(10**25), "0x", "0x01", word(1) * 2, "0xzz", None, 7, RpcError("busy")]
)
@pytest.mark.parametrize("what", [b"x" * 100, 100])
def test_a_fee_that_makes_no_sense_is_an_error_of_the_node(
    tmp_path: Path, answer: object, what: bytes | int
) -> None:
    """Once a network has an oracle, its silence or nonsense is not taken for a fee of zero."""
    node = ScriptedNode(ORACLE, word(6))
    chain = chain_at(node, tmp_path)
    assert chain.layer2 is Layer2.OP_STACK
    node.answer = answer
    with pytest.raises(RpcError):
        chain.data_fee_wei(what)


def test_an_oracle_that_refuses_everything_is_an_error(tmp_path: Path) -> None:
    """Neither question answered: nothing is assumed."""
    node = ScriptedNode(ORACLE, word(6))
    chain = chain_at(node, tmp_path)
    assert chain.layer2 is Layer2.OP_STACK
    node.answer = RpcError("execution reverted", rpc_code=3, data=b"")
    with pytest.raises(RpcError, match="refuses to answer"):
        chain.data_fee_wei(b"data")


def test_the_embedded_chain_is_no_layer_2(tmp_path: Path) -> None:
    """Nothing is asked of it."""
    from dcai_cli.chain import open_chain

    with open_chain(Settings(tmp_path, tmp_path, tmp_path)) as chain:
        assert chain.layer2 is None
        assert chain.data_fee_wei(b"data", gas=21_000) == 0


def test_a_receipt_has_the_data_fee() -> None:
    """What a transaction cost on the OP stack is its gas and its data."""
    from dcai_cli.chain.answers import to_receipt

    form = {
        "transactionHash": "0x" + "ab" * 32,
        "status": "0x1",
        "blockNumber": "0x5",
        "blockHash": "0x" + "cd" * 32,
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x2",
        "logs": [],
    }
    assert to_receipt(form).fee_wei == 42_000
    assert to_receipt({**form, "l1Fee": "0x64"}).fee_wei == 42_100
    assert to_receipt({**form, "l1Fee": None}).data_fee_wei == 0
