"""What changes about a model: its price, its contributions, and what people state of its accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain import PrunedLogs
from dcai_cli.chain.registry import TRAINER
from dcai_cli.ledger.records import ContributionTotals
from dcai_cli.services.evaluate import Publication, published_evaluations
from dcai_cli.services.index import follow
from dcai_cli.services.models import HostedModel

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model with what changes about it.

    Args:
        model: the model.
        sealed_at: when it was opened for contributions; 0 if it is not.
        batches: batches contributed so far.
        last_contributed_at: when the last of them came; 0 if none did.
        contributions: sums over all of them; None if the node has forgotten their logs.
        unit_price_wei: what a batch of one unit costs now; None before it is sealed.
        balance_wei: deposits that its trainer holds.
        evaluations: what was stated of its accuracy, oldest first; None likewise.
    """

    model: HostedModel
    sealed_at: int
    batches: int
    last_contributed_at: int
    contributions: ContributionTotals | None
    unit_price_wei: int | None
    balance_wei: int
    evaluations: tuple[Publication, ...] | None


def model_status(
    workspace: Workspace,
    model: HostedModel,
    *,
    note: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> ModelStatus:
    """Read what changes about a model.

    Args:
        workspace: the opened parts.
        model: the model.
        note: is told of logs that the node has forgotten.
        progress: gets (blocks read, blocks in all).
    """
    chain, address = workspace.chain, model.address
    sealed_at = chain.view(TRAINER, address, "sealedAt")
    contributions, evaluations = None, None
    try:
        follow(workspace, [model], progress=progress)
        contributions = workspace.ledger.contribution_totals(chain.key, address)
        evaluations = tuple(published_evaluations(chain, model))
    except PrunedLogs as error:
        note(f"Contributions and evaluations are not all known here. {error.message}")
    return ModelStatus(
        model=model,
        sealed_at=sealed_at,
        batches=chain.view(TRAINER, address, "batchCount"),
        last_contributed_at=chain.view(TRAINER, address, "lastContributedAt"),
        contributions=contributions,
        unit_price_wei=chain.view(TRAINER, address, "quote", 1) if sealed_at else None,
        balance_wei=chain.balance_wei(address),
        evaluations=evaluations,
    )
