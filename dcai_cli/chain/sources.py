"""What the shipped contracts were compiled from: Solidity's standard JSON input, as explorers take it."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from dcai_cli.chain.artifacts import artifact


def compiler_input(contract_name: str) -> dict[str, Any]:
    """The standard JSON input of one contract: compiled again, it gives the shipped bytecode.

    Args:
        contract_name: the contract's name, such as "CollaborativeTrainer".
    """
    shipped = _shipped()
    contract = shipped["contracts"][contract_name]
    settings = dict(artifact(contract_name).compiler["settings"])
    return {
        "language": "Solidity",
        "sources": {path: {"content": shipped["sources"][path]} for path in contract["sources"]},
        "settings": {
            **settings,
            "remappings": contract["remappings"],
            "libraries": {},
            "outputSelection": {
                contract["target"]: {contract_name: ["abi", "evm.bytecode", "evm.deployedBytecode"]}
            },
        },
    }


def qualified_name(contract_name: str) -> str:
    """Where the contract stands in its input, as explorers ask for it: path:name."""
    return f"{_shipped()['contracts'][contract_name]['target']}:{contract_name}"


@cache
def _shipped() -> dict[str, Any]:
    file = resources.files("dcai_cli.chain") / "artifacts" / "sources.json"
    shipped: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return shipped
