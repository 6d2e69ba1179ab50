"""The models of a chain, and what their owners recommend instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.errors import Reverted, WrongChain
from dcai_cli.services.models import HostedModel, describe, known_models
from dcai_cli.services.registry import known_registry

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.services.workspace import Workspace

PAGE = 100
"""Models that one call lists."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as a list shows it.

    Args:
        model: the model.
        sealed: whether it is open for contributions.
        superseded_by: the address of the model that its owner recommends instead; None if none.
    """

    model: HostedModel
    sealed: bool
    superseded_by: str | None


def listed_models(workspace: Workspace) -> list[Listed]:
    """All models that the chain's registry lists, oldest first, and then others that the ledger knows."""
    chain, registry = workspace.chain, known_registry(workspace)
    by_address = {model.address: model for model in known_models(workspace)}
    trainers: list[str] = []
    while registry is not None:
        page = chain.view("ModelRegistry", registry, "models", len(trainers), PAGE)
        if not page:
            break
        trainers += page
    for trainer in trainers:
        if trainer not in by_address:
            name = chain.view("CollaborativeTrainer", trainer, "name")
            by_address[trainer] = describe(chain, trainer, name=name)
    ordered = dict.fromkeys([*trainers, *by_address])
    return [
        Listed(
            model=by_address[trainer],
            sealed=bool(chain.view("CollaborativeTrainer", trainer, "sealedAt")),
            superseded_by=superseded_by(chain, by_address[trainer]),
        )
        for trainer in ordered
    ]


def superseded_by(chain: Chain, model: HostedModel) -> str | None:
    """The address of the model that a model's owner recommends instead; None if none."""
    try:
        registry = chain.view("CollaborativeTrainer", model.address, "registry")
        successor = str(chain.view("ModelRegistry", registry, "supersededBy", model.address))
    except (Reverted, WrongChain):
        return None  # the contracts of an unverified model need not have a registry
    return successor if int(successor, 16) else None
