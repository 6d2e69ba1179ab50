"""Recommending another model instead of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.errors import Reverted
from dcai_cli.services.accounts import Password, acting_account
from dcai_cli.services.cost import carry_out_asked
from dcai_cli.services.models import HostedModel, find_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from dcai_cli.services.transactions import Sent
    from dcai_cli.services.workspace import Workspace


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
