"""The models of a chain, and what their owners recommend instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.errors import Reverted, WrongChain
from dcai_cli.services.accounts import Password, acting_account
from dcai_cli.services.cost import carry_out_asked
from dcai_cli.services.models import HostedModel, describe, find_model, known_models
from dcai_cli.services.registry import known_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from dcai_cli.chain import Chain
    from dcai_cli.services.transactions import Sent
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


def supersede_model(
    workspace: Workspace,
    model: HostedModel,
    successor: str | None,
    *,
    password: Password,
    confirm: Callable[[str], None] = lambda _: None,
) -> Sent:
    """Recommend another model instead of one's own.

    Args:
        workspace: the opened parts.
        model: one's own.
        successor: name or address of the other; None takes the recommendation back.
        password: asked once for the account's password.
        confirm: gets what will be done and its cost before anything is signed; raises to stop it.

    Raises:
        Reverted: it is the same model, or the registry refused: it made neither, or somebody else owns it.
    """
    chain = workspace.chain
    other = None if successor is None else find_model(workspace, successor)
    if other is not None and other.address == model.address:
        raise Reverted(
            f"{model.name} ({model.address}) cannot be recommended instead of itself.",
            hint="Name another model of the same registry: dcai model list",
            name="UnknownModel",
            values={"trainer": model.address},
        )
    instead = "nothing" if other is None else f"{other.name} ({other.address})"
    return carry_out_asked(
        workspace,
        acting_account(workspace, model.owner),
        model,
        kind="supersede",
        to=chain.view("CollaborativeTrainer", model.address, "registry"),
        data=chain.encode(
            "ModelRegistry", "supersede", model.address, "0x" + "0" * 40 if other is None else other.address
        ),
        what=f"Recommend {instead} instead of {model.name} ({model.address})",
        password=password,
        confirm=confirm,
    )
