"""Contributing a file: rows to samples to batches to the chain, and resuming where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain.verification import is_ours
from dcai_cli.domain import MAX_BATCH_SAMPLES, counted
from dcai_cli.errors import UsageError
from dcai_cli.features.featurize import Skipped
from dcai_cli.features.readers import check_source, open_rows
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.contribution.batches import BatchSender, ContributedBatch
from dcai_cli.services.contribution.earlier_run import EarlierRun
from dcai_cli.services.contribution.plan import ContributeRequest, ContributionPlan, plan_contribution
from dcai_cli.services.models import find_model, hints_naming
from dcai_cli.services.settling import recheck
from dcai_cli.services.transactions import (
    FEE_RISE,
    Outbox,
)

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Turn, Workspace

LONGEST_NAP_S = 30.0
"""A spread contribution looks at the chain's clock so often, which can be ahead of this machine's."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a contribution did.

    Args:
        plan: what was planned.
        batches: the batches that came on-chain, those of a broken-off run included.
        skipped: rows that were not sent, with the reason.
    """

    plan: ContributionPlan
    batches: tuple[ContributedBatch, ...]
    skipped: tuple[Skipped, ...]

    @property
    def contributed(self) -> int:
        """Samples that came on-chain."""
        return sum(batch.samples for batch in self.batches)

    @property
    def informative(self) -> int:
        """Samples of them of which the model predicted another label."""
        return sum(batch.informative for batch in self.batches)


def contribute(
    workspace: Workspace,
    request: ContributeRequest,
    *,
    password: Password,
    confirm: Callable[[ContributionPlan], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    note: Callable[[str], None] = lambda _: None,
) -> Contribution:
    """Contribute a file's rows; the same call again finishes what an earlier one left.

    Args:
        workspace: the opened parts.
        request: what to contribute, where to.
        password: asked once for the account's password.
        confirm: gets the plan before anything is signed; raises to stop.
        progress: gets (samples sent, samples in all).
        note: is told of an encoding other than UTF-8, of columns that a tabular model does not use, and of
            batches of an earlier run that were refused.

    Raises:
        BadInput: the file, or all of its rows, cannot be used.
        LimitExceeded: the deposits could exceed the limit, and nothing was sent; or others made the first
            batch dearer than its ceiling.
        InsufficientFunds: the balance does not cover deposits and fees; nothing was sent.
        PartlyDone: it broke off after some batches; the same call again goes on.
    """
    if not 1 <= request.batch_size <= MAX_BATCH_SAMPLES:
        raise UsageError(
            f"A batch of {request.batch_size} samples is not possible.",
            hint=f"Choose --batch-size from 1 to {MAX_BATCH_SAMPLES}.",
        )
    check_source(request.file)
    account = acting_account(workspace, request.account)
    model = find_model(workspace, request.model, unverified=request.unverified)
    with (
        hints_naming(model),
        open_rows(request.file, note=note, vector_column=model.spec.vector_column) as rows,
    ):
        if not request.unverified:
            is_ours(workspace.chain, model.address)
        with workspace.sending(account.address) as turn:
            before = EarlierRun(workspace, account.address, model)
            if not request.dry_run:
                before.settle_mined()
            sender = BatchSender(
                workspace,
                request.batch_size,
                account.address,
                model,
                max_rise=request.max_rise,
                follows=any(batch.model == model.address for batch in before.unfinished()),
            )
            plan, candidates = plan_contribution(
                workspace, request, account, model, rows, sender, before, note
            )
            if not request.dry_run and (candidates or plan.unfinished):
                with turn.aside():
                    confirm(plan)
                before.check_untouched(candidates)
                key = unlock(workspace, account, password)
                ceiling_wei = plan.gas_price_wei * FEE_RISE
                spent_wei = before.send_again(key, ceiling_wei, plan.fee_at_most_wei)
                if before.refused:
                    refused = counted(before.refused, "batch of an earlier run", "batches of an earlier run")
                    note(f"The contract refused {refused}; type the same command again to send the rows.")
                outbox = Outbox(
                    workspace,
                    account.address,
                    key,
                    ceiling_wei=ceiling_wei,
                    budget_wei=max(0, plan.fee_at_most_wei - spent_wei),
                )
                pace = _Pace(workspace, turn, request.spread_s, len(candidates))
                sender.send_all(outbox, candidates, progress, pace.wait)
                recheck(workspace, account.address)
    return Contribution(plan, (*before.batches, *sender.batches), (*plan.skipped, *sender.skipped))


class _Pace:
    """Spreads batches over a time, as many samples of it as are sent.

    Args:
        workspace: the opened parts.
        turn: others may send in the pauses.
        spread_s: the time; 0 for none.
        samples: how many samples there are in all.
    """

    def __init__(self, workspace: Workspace, turn: Turn, spread_s: int, samples: int) -> None:
        self._workspace = workspace
        self._turn = turn
        self._spread_s = spread_s
        self._samples = samples
        self._start = workspace.chain.timestamp() if spread_s else 0
        self._start_here = workspace.clock()

    def wait(self, left: int, settle: Callable[[], None]) -> None:
        """Wait until the next batch is due; before that, until nothing is on its way."""
        if not self._spread_s:
            return
        due_s = self._spread_s * (self._samples - left) // self._samples
        if due_s <= self._passed_s():
            return
        settle()
        with self._turn.aside():
            while (ahead_s := due_s - self._passed_s()) > 0:
                self._workspace.sleep(min(ahead_s, LONGEST_NAP_S))

    def _passed_s(self) -> float:
        """How long it is ago that it began: a chain whose blocks wait for transactions stands still."""
        chain_s = self._workspace.chain.timestamp() - self._start
        return max(chain_s, self._workspace.clock() - self._start_here)
