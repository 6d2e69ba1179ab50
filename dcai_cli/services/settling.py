"""What became of transactions: receipts into the ledger, reorganisations noticed, the forgotten sent again.

A process may die between any two lines. Whoever comes next calls `recover` first, which finishes what is on
its way: a transaction that the ledger knows as signed is looked for on the chain, sent again as it stands
(the same bytes, so it cannot happen twice), or dropped when its nonce went to another. What is in a block is
looked at again until so many blocks are on top of it that no reorganisation is expected to reach it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain import Event, FeeTooLow, NonceTaken, NotMined, Receipt, RpcError
from dcai_cli.chain.signing import created_address, decode_signed
from dcai_cli.errors import DcaiError, InsufficientFunds
from dcai_cli.ledger.fold import DONE, UNSETTLED
from dcai_cli.ledger.records import Opened, Outcome, Payout, Place

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.ledger import StoredTransaction
    from dcai_cli.services.workspace import Workspace

LAG_S = 15.0
"""How long nodes behind one URL may disagree about the newest block."""

SENDING_S = 60
"""So long a transaction that another machine signed is left to it."""

PAYING_EVENTS = {"Refunded": "refund", "Reported": "report", "Swept": "sweep"}
"""What leaves a batch by which event."""

_RECEIVERS = {"Refunded": "contributor", "Reported": "reporter", "Swept": "sweeper"}
_BITMAPS = {"Refunded": "refunded", "Reported": "reported"}


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found of an account's transactions.

    Args:
        settled: those that are on-chain now and were not settled before.
        flying: those that are on their way, in the order of their nonces.
        refused: of these, those that no node takes now, and why.
    """

    settled: tuple[StoredTransaction, ...]
    flying: tuple[StoredTransaction, ...]
    refused: tuple[tuple[StoredTransaction, DcaiError], ...] = ()


def settle_mined(workspace: Workspace, address: str) -> list[StoredTransaction]:
    """Take over what became of an account's transactions in the meantime; sends nothing.

    A transaction whose block was reorganised away is on its way again, and one whose nonce went to another is
    given up.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        address: the account.

    Returns:
        The transactions that are on-chain now and were not settled before.
    """
    chain, ledger = workspace.chain, workspace.ledger
    recheck(workspace, address)
    settled = []
    patience_s = 0.0 if chain.is_embedded else LAG_S
    flying = ledger.transactions(chain.key, account=address, states=UNSETTLED)
    mined_nonce = chain.mined_nonce(address) if flying else 0
    for stored in flying:
        receipt = find_receipt(workspace, stored)
        if receipt is None and mined_nonce > stored.nonce:
            is_known = _has_mined(workspace, stored)
            receipt = _late_receipt(workspace, stored, 0.0 if is_known else patience_s)
            if receipt is None:
                ledger.drop(stored)
                patience_s = 0.0  # whoever waited once for the nodes need not wait again
        if receipt is not None:
            settle(workspace, stored, receipt)
            settled.append(ledger.transaction(stored.id))
    return settled


def _has_mined(workspace: Workspace, stored: StoredTransaction) -> bool:
    """Whether another transaction of the ledger is mined with the nonce of this one."""
    mined = workspace.ledger.transactions(stored.chain, account=stored.account, states=DONE, final=False)
    return any(other.nonce == stored.nonce for other in mined)


def recover(workspace: Workspace, address: str) -> Recovered:
    """Take over what is mined, and send again what is not; waits for nothing.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        address: the account.
    """
    chain, ledger = workspace.chain, workspace.ledger
    settled = settle_mined(workspace, address)
    refused = []
    for stored in ledger.transactions(chain.key, account=address, states=UNSETTLED):
        if _is_being_sent(workspace, stored):
            continue
        try:
            send_again(workspace, stored)
        except NonceTaken:
            # The next look finds its receipt, or that its nonce went to another.
            continue
        except (InsufficientFunds, RpcError) as error:
            # It may be on its way elsewhere, so it is not given up.
            refused.append((stored, error))
            continue
        ledger.mark_sent(stored)
    # A chain that mines at once has receipts for them already.
    if ledger.transactions(chain.key, account=address, states=UNSETTLED):
        settled += settle_mined(workspace, address)
    flying = ledger.transactions(chain.key, account=address, states=UNSETTLED)
    on_their_way = {stored.id for stored in flying}
    return Recovered(
        tuple(settled), tuple(flying), tuple(found for found in refused if found[0].id in on_their_way)
    )


def send_again(workspace: Workspace, stored: StoredTransaction) -> None:
    """Send the attempt at a transaction that offers most and is taken: the balance may not cover the last.

    Raises:
        NonceTaken: its nonce is used.
        InsufficientFunds: none is taken, the last for want of ether.
        RpcError: none is taken, the last for another reason.
    """
    # A cancelled transaction must not come back to life.
    attempts = [one for one in workspace.ledger.attempts(stored) if one.cancels == stored.cancels]
    attempts.sort(key=lambda one: decode_signed(one.raw).fees.max_fee_per_gas_wei, reverse=True)
    refused: InsufficientFunds | None = None
    for attempt in attempts:
        try:
            workspace.chain.send(attempt.raw)
        except InsufficientFunds as error:
            refused = refused or error
        except FeeTooLow:
            if refused is None:
                raise
        else:
            return
    assert refused is not None
    raise refused


def _is_being_sent(workspace: Workspace, stored: StoredTransaction) -> bool:
    """Whether the machine that signed it may be about to send it: where machines share a ledger."""
    fresh = workspace.clock() - stored.created_at < SENDING_S
    return workspace.ledger.is_server and stored.state == "signed" and fresh


def recheck(workspace: Workspace, address: str) -> list[StoredTransaction]:
    """Look whether the blocks of an account's transactions are still there.

    Args:
        workspace: the opened parts.
        address: the account.

    Returns:
        The transactions that are on their way again, since their blocks are gone.
    """
    chain, ledger = workspace.chain, workspace.ledger
    mined = ledger.transactions(chain.key, account=address, states=DONE, final=False)
    if not mined:
        return []
    head = chain.block_number()
    hashes = {} if chain.is_embedded else _block_hashes(chain, {stored.block_number or 0 for stored in mined})
    gone, final = [], []
    for stored in mined:
        number = stored.block_number or 0
        if not chain.is_embedded and hashes[number] != stored.block_hash:
            gone.append(ledger.unsettle(stored))
        elif chain.is_embedded or head - number >= workspace.settings.confirmations:
            final.append(stored)
    if final:
        ledger.finalize(final)
        ledger.forget_payloads(
            chain.key, head - (0 if chain.is_embedded else workspace.settings.confirmations)
        )
    return gone


def _block_hashes(chain: Chain, numbers: set[int]) -> dict[int, str | None]:
    return {number: chain.block_hash(number) for number in sorted(numbers)}


def find_receipt(workspace: Workspace, stored: StoredTransaction) -> Receipt | None:
    """The receipt of a transaction, whichever of its attempts was mined; None if none was."""
    for attempt in workspace.ledger.attempts(stored):
        receipt = workspace.chain.receipt(attempt.hash)
        if receipt is not None:
            return receipt
    return None


def _late_receipt(workspace: Workspace, stored: StoredTransaction, patience_s: float) -> Receipt | None:
    """The receipt of a transaction whose nonce is used: its own, unless another took the nonce.

    Behind one URL there may be several nodes, and one may know the nonce before another knows the receipt.
    """
    try:
        return workspace.chain.wait_for(lambda: find_receipt(workspace, stored), stored.hash, patience_s)
    except NotMined:
        return None


def settle(workspace: Workspace, stored: StoredTransaction, receipt: Receipt) -> Outcome:
    """Take a receipt over into the ledger; the same one again changes nothing."""
    events = [
        event
        for event in workspace.chain.events("CollaborativeTrainer", receipt)
        if stored.model is not None and event.address.lower() == stored.model.lower()
    ]
    outcome = Outcome(
        status=receipt.status,
        block_number=receipt.block_number,
        block_hash=receipt.block_hash,
        gas_used=receipt.gas_used,
        fee_wei=receipt.fee_wei,
        hash=receipt.hash,
        # Whether there is one is the node's word; where it is, is none.
        contract_address=created_address(stored.account, stored.nonce) if receipt.contract_address else None,
        contributed=next((opened(event) for event in events if event.name == "Contributed"), None),
        payouts=tuple(payout(event) for event in events if event.name in PAYING_EVENTS),
        points=_points(workspace, receipt) if stored.kind == "refund" else 0,
    )
    workspace.ledger.settle(stored, outcome)
    return outcome


def place(event: Event) -> Place:
    """Where an event stands."""
    return Place(event.block_number, event.block_hash, event.transaction_hash, event.log_index)


def opened(event: Event) -> Opened:
    """What a `Contributed` adds to its batch."""
    args = event.args
    return Opened(args["batchId"], args["addedAt"], args["depositPerUnit"], args["informative"], place(event))


def payout(event: Event) -> Payout:
    """What a paying event took out of its batch."""
    return Payout(
        kind=PAYING_EVENTS[event.name],
        batch_id=event.args["batchId"],
        account=event.args[_RECEIVERS[event.name]],
        bitmap=event.args[_BITMAPS[event.name]] if event.name in _BITMAPS else 0,
        amount_wei=event.args["amountWei"],
        place=place(event),
    )


def _points(workspace: Workspace, receipt: Receipt) -> int:
    """The model points that a refund earned."""
    events = workspace.chain.events("PointsIncentive", receipt)
    return sum(event.args["points"] for event in events if event.name == "PointsEarned")
