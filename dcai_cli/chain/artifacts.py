"""The compiled contracts that ship with the package, read once and only when needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from dcai_cli.chain import abi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dcai_cli.chain.abi import Entry

_FOLDER = resources.files("dcai_cli.chain") / "artifacts"


@dataclass(frozen=True)
class Artifact:
    """One compiled contract.

    Args:
        name: the contract's name.
        entries: its ABI.
        bytecode: what deploys it, without constructor arguments.
        deployed_bytecode: what stands at its address.
        compiler: version and settings.
    """

    name: str
    entries: tuple[Entry, ...]
    bytecode: bytes
    deployed_bytecode: bytes
    compiler: Mapping[str, Any]

    @cached_property
    def functions(self) -> dict[str, Entry]:
        """Its functions by name; none that dcai calls is overloaded."""
        return {entry["name"]: entry for entry in self.entries if entry["type"] == "function"}

    @cached_property
    def events(self) -> dict[str, Entry]:
        """Its events by name."""
        return {entry["name"]: entry for entry in self.entries if entry["type"] == "event"}

    @cached_property
    def events_by_topic(self) -> dict[bytes, Entry]:
        """Its events by the first topic of their logs."""
        return {abi.topic(entry): entry for entry in self.events.values()}

    @cached_property
    def errors(self) -> tuple[Entry, ...]:
        """Its custom errors."""
        return tuple(entry for entry in self.entries if entry["type"] == "error")

    @property
    def constructor_inputs(self) -> list[Entry]:
        """The parameters of its constructor."""
        return next((entry["inputs"] for entry in self.entries if entry["type"] == "constructor"), [])


@cache
def artifact(name: str) -> Artifact:
    """Read one shipped contract.

    Args:
        name: the contract's name, such as "CollaborativeTrainer".

    Raises:
        KeyError: no contract of that name ships with this package.
    """
    try:
        text = (_FOLDER / f"{name}.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise KeyError(f"{name}: this package ships {', '.join(names())}") from None
    content = json.loads(text)
    return Artifact(
        name=content["contract"],
        entries=tuple(content["abi"]),
        bytecode=bytes.fromhex(content["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(content["deployed_bytecode"].removeprefix("0x")),
        compiler=content["compiler"],
    )


@cache
def names() -> tuple[str, ...]:
    """The contracts that ship with this package, in alphabetical order."""
    stems = (file.name.removesuffix(".json") for file in _FOLDER.iterdir() if file.name.endswith(".json"))
    # Contract names are capitalised; anything else in the folder is no contract.
    return tuple(sorted(stem for stem in stems if stem[:1].isupper()))


@cache
def all_errors() -> dict[bytes, Entry]:
    """Every custom error of every shipped contract, by selector."""
    return {abi.selector(error): error for name in names() for error in artifact(name).errors}
