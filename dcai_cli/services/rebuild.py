"""The ledger from the chain alone: after the loss of everything but the key file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.errors import BadInput, Reverted, UsageError, WrongChain
from dcai_cli.services.accounts import acting_account
from dcai_cli.services.index import contributors_models, follow
from dcai_cli.services.models import HostedModel, find_model

if TYPE_CHECKING:
    from dcai_cli.services.accounts import ActingAccount
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was found of an account on a chain.

    Args:
        account: whose.
        models: the models that it contributed to.
        foreign: trainers that took batches of it and are not ours, with what is wrong with them.
        batches: its batches in the ledger now.
        samples: their samples.
        open_batches: those of the batches with something to claim.
        open_wei: the deposits that are still out.
    """

    account: ActingAccount
    models: tuple[HostedModel, ...]
    foreign: tuple[tuple[str, str], ...]
    batches: int
    samples: int
    open_batches: int
    open_wei: int


def rebuild_ledger(
    workspace: Workspace,
    *,
    account: str | None = None,
    from_block: int = 0,
    unverified: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Rebuilt:
    """Find every batch of an account by the chain's events, whoever's model took it.

    What is in the ledger stays; what is missing is added. Files that were contributed are known again by
    their samples, so that contributing them once more sends nothing twice.

    Args:
        workspace: the opened parts.
        account: whose; the acting account's if None.
        from_block: no contribution is older.
        unverified: take over batches of models whose code is not what dcai ships, too.
        progress: gets (blocks read, blocks in all) of each model.

    Raises:
        PrunedLogs: the node does not have the events any more.
    """
    acting = acting_account(workspace, account)
    models, foreign = [], []
    for trainer in contributors_models(workspace.chain, acting.address, from_block):
        try:
            models.append(find_model(workspace, trainer, unverified=unverified))
        except (WrongChain, BadInput, UsageError, Reverted) as error:
            foreign.append((trainer, error.message))
    follow(workspace, models, progress=progress)
    chain, ledger = workspace.chain, workspace.ledger
    addresses = {model.address for model in models}
    found = {
        state: [
            batch
            for batch in ledger.batches(chain.key, acting.address, state=state, payloads=False)
            if batch.model in addresses
        ]
        for state in ("open", "settled")
    }
    return Rebuilt(
        account=acting,
        models=tuple(models),
        foreign=tuple(foreign),
        batches=len(found["open"]) + len(found["settled"]),
        samples=sum(batch.count for batches in found.values() for batch in batches),
        open_batches=len(found["open"]),
        open_wei=sum(batch.deposit_wei - batch.refunded_wei - batch.lost_wei for batch in found["open"]),
    )
