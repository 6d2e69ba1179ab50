"""The models of a chain, and what their owners recommend instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain.signing import decode_signed
from dcai_cli.errors import Reverted, WrongChain
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.models import HostedModel, describe, find_model, known_models
from dcai_cli.services.registry import known_registry
from dcai_cli.services.transactions import Outbox, Sent, finish

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


def supersede_model(
    workspace: Workspace,
    model: HostedModel,
    successor: str | None,
    *,
    password: Password,
    ceiling_wei: int | None = None,
) -> Sent:
    """Recommend another model instead of one's own.

    Args:
        workspace: the opened parts.
        model: one's own.
        successor: name or address of the other; None takes the recommendation back.
        password: asked once for the account's password.
        ceiling_wei: what a unit of gas may cost at most.

    Raises:
        Reverted: the registry refused: it made neither, or somebody else owns the model.
    """
    chain = workspace.chain
    other = "0x" + "0" * 40 if successor is None else find_model(workspace, successor).address
    registry = chain.view("CollaborativeTrainer", model.address, "registry")
    key = unlock(workspace, acting_account(workspace, model.owner), password)
    data = chain.encode("ModelRegistry", "supersede", model.address, other)
    with workspace.sending(key.address):
        for done in finish(workspace, key.address, key, ceiling_wei=ceiling_wei):
            # An earlier run of the same command may have died before it saw that this was mined.
            if (done.kind, done.state) == ("supersede", "mined") and decode_signed(done.raw).data == data:
                return Sent.found(done)
        outbox = Outbox(workspace, key.address, key, ceiling_wei=ceiling_wei)
        return outbox.carry_out(kind="supersede", to=registry, data=data, model=model.address)
