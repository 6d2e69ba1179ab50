"""Is it ours? Compares a model's code with what ships, and writes what explorers verify it by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.registry import (
    DATA_HANDLER,
    INCENTIVE_CONTRACTS,
    MODEL_CONTRACTS,
    TRAINER,
    implementation_address,
)
from dcai_cli.chain.sources import compiler_input, qualified_name
from dcai_cli.chain.verification import is_ours
from dcai_cli.files import write_atomically
from dcai_cli.hashing import checksummed
from dcai_cli.services.models import HostedModel, find_model

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class CompilerInput:
    """A file of standard JSON input that was written.

    Args:
        path: the file.
        contract: what an explorer asks for as the contract's name: its source and its name.
        address: the part of the model; a minimal proxy.
        implementation: the contract that it stands for, whose code is verified.
        compiler: the version of solc.
    """

    path: Path
    contract: str
    address: str
    implementation: str
    compiler: str


def verify_model(workspace: Workspace, name_or_address: str | None) -> HostedModel:
    """Compare the code of a model and all its parts with what dcai ships.

    Raises:
        WrongChain: there is no code, or another.
    """
    model = find_model(workspace, name_or_address)
    is_ours(workspace.chain, model.address)
    return model


def write_compiler_inputs(
    workspace: Workspace, model: HostedModel, folder: Path
) -> tuple[CompilerInput, ...]:
    """Write the standard JSON input of each part of a model that is ours, a file each.

    Args:
        workspace: the opened parts.
        model: the model; its code was compared before.
        folder: where to; it is made.

    Raises:
        DcaiError: a file cannot be written.
    """
    registry = str(workspace.chain.view(TRAINER, model.address, "registry"))
    parts = {
        TRAINER: model.address,
        MODEL_CONTRACTS[model.params.model_type]: model.model,
        INCENTIVE_CONTRACTS[model.incentive_type]: model.incentive,
        DATA_HANDLER: model.data_handler,
    }
    written = []
    for name, address in parts.items():
        path = folder / f"{name}.json"
        text = json.dumps(compiler_input(name), indent=1, sort_keys=True) + "\n"
        write_atomically(path, text.encode(), mode=0o644)
        implementation = checksummed("0x" + implementation_address(registry, name).hex())
        written.append(
            CompilerInput(
                path, qualified_name(name), address, implementation, artifact(name).compiler["version"]
            )
        )
    return tuple(written)
