"""What an earlier run of the same account left on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcai_cli.chain.signing import decode_signed
from dcai_cli.errors import Locked
from dcai_cli.ledger.fold import UNSETTLED
from dcai_cli.services.contribution.batches import Candidate, ContributedBatch
from dcai_cli.services.contribution.offers import highest_unit_price_wei
from dcai_cli.services.index import follow
from dcai_cli.services.models import HostedModel, known_models
from dcai_cli.services.transactions import (
    finish,
    settle_mined,
)

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.ledger import StoredBatch, StoredTransaction
    from dcai_cli.services.workspace import Workspace


class EarlierRun:
    """What an earlier run of this account left on its way.

    Args:
        workspace: the opened parts.
        address: the account.
        model: the model that is contributed to now.
    """

    def __init__(self, workspace: Workspace, address: str, model: HostedModel) -> None:
        self._workspace = workspace
        self._address = address
        self._model = model
        self.batches: list[ContributedBatch] = []
        self.keys: set[tuple[bytes, int]] = set()
        self._known: set[tuple[bytes, int]] = set()
        self.refused = 0

    def settle_mined(self) -> None:
        """Take over what is on-chain; what was never signed is planned anew, since prices have changed."""
        settled = settle_mined(self._workspace, self._address)
        if self._workspace.ledger.has_lost_contribution(*self._place):
            # The chain knows its rows: they must not go out again.
            follow(self._workspace, [self._model])
            settle_mined(self._workspace, self._address)  # what the index forgot of replaced blocks
        self._add(settled)
        self._workspace.ledger.drop_planned(*self._place)
        for batch in self.unfinished():
            if batch.model == self._model.address:
                self.keys |= self._workspace.ledger.keys_of(batch)
        self._known = self._workspace.ledger.contributed_keys(*self._place)

    @property
    def _place(self) -> tuple[str, str, str]:
        return self._workspace.chain.key, self._address, self._model.address

    def check_untouched(self, candidates: Sequence[Candidate]) -> None:
        """Make sure that the plan still holds, after others could send meanwhile.

        Raises:
            Locked: another process contributed some of its rows.
        """
        new = self._workspace.ledger.contributed_keys(*self._place) - self._known
        taken = sum((row.planned.key, row.planned.occurrence) in new for row in candidates)
        if taken:
            raise Locked(
                f"Another process contributed {taken} of these rows meanwhile; nothing was sent.",
                hint="Run the same command again.",
            )

    def unfinished(self) -> list[StoredBatch]:
        """Batches that are signed and not mined: their deposits are still to be paid, whatever the model."""
        return self._workspace.ledger.batches(self._workspace.chain.key, self._address, state="signed")

    def deposit_at_most_wei(self) -> int:
        """What the unfinished batches can cost."""
        prices = {model.address: highest_unit_price_wei(model) for model in known_models(self._workspace)}
        return sum(batch.units * prices[batch.model] for batch in self.unfinished())

    def fee_at_most_wei(self, ceiling_wei: int) -> int:
        """What the fees of all that is on its way can cost, replaced up to the ceiling where it is stuck."""
        chain = self._workspace.chain
        flying = self._workspace.ledger.transactions(chain.key, account=self._address, states=UNSETTLED)
        offers = [decode_signed(stored.raw) for stored in flying]
        return sum(offer.gas * max(offer.fees.max_fee_per_gas_wei, ceiling_wei) for offer in offers)

    def send_again(self, key: LocalAccount, ceiling_wei: int, budget_wei: int) -> int:
        """Finish the unfinished.

        Returns:
            What its fees came to.
        """
        settled = finish(self._workspace, self._address, key, ceiling_wei=ceiling_wei, budget_wei=budget_wei)
        self._add(settled)
        self.refused = sum(
            (stored.kind, stored.state, stored.model) == ("contribute", "reverted", self._model.address)
            for stored in settled
        )
        return sum(stored.fee_wei or 0 for stored in settled)

    def _add(self, settled: Sequence[StoredTransaction]) -> None:
        for stored in settled:
            batch = self._workspace.ledger.batch_of(stored)
            if batch is None or batch.batch_id is None or batch.model != self._model.address:
                continue
            on_chain = batch.on_chain()
            self.keys |= self._workspace.ledger.keys_of(batch)
            self.batches.append(
                ContributedBatch(
                    batch_id=on_chain.id,
                    samples=on_chain.count,
                    informative=on_chain.informative.bit_count(),
                    deposit_wei=on_chain.deposit_wei,
                    added_at=on_chain.added_at,
                    gas_used=stored.gas_used or 0,
                    fee_wei=stored.fee_wei or 0,
                    transaction=stored.hash,
                )
            )
