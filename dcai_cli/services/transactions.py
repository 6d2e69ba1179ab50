"""Sending so that nothing is lost: planned, signed and written down, then sent, mined, settled.

A process may die between any two lines here. Whoever comes next calls `recover` first, which finishes what is
on its way: a transaction that the ledger knows as signed is looked for on the chain, sent again as it stands
(the same bytes, so it cannot happen twice), or dropped when its nonce went to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain import Event, FeeTooLow, NonceTaken, NotMined, Receipt
from dcai_cli.domain import MAX_TRANSACTION_GAS
from dcai_cli.errors import InsufficientFunds, LimitExceeded
from dcai_cli.ledger.store import UNSETTLED, Outcome

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.chain import Chain
    from dcai_cli.ledger import Claim, StoredBatch, StoredTransaction
    from dcai_cli.services.workspace import Workspace

GAS_MARGIN_PERCENT = 15
"""Gas offered above the estimate: other contributions may come first and touch other words."""

USABLE_GAS = MAX_TRANSACTION_GAS * 100 // (100 + GAS_MARGIN_PERCENT)
"""Gas that an estimate may have so that the margin above it still fits a transaction."""


LAG_S = 15.0
"""How long nodes behind one URL may disagree about the newest block."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that is on-chain.

    Args:
        hash: its hash.
        gas_used: what the receipt says.
        fee_wei: what was paid for it.
        contract_address: the contract it created, if it did.
        outcome: what the ledger took over from it.
    """

    hash: str
    gas_used: int
    fee_wei: int
    contract_address: str | None
    outcome: Outcome


def submit(
    workspace: Workspace,
    key: LocalAccount,
    *,
    kind: str,
    to: str | None,
    data: bytes,
    value_wei: int = 0,
    gas_estimate: int | None = None,
    detail: str = "",
    model: str | None = None,
    batch: StoredBatch | None = None,
    claims: Sequence[Claim] = (),
    gas_price_limit_wei: int | None = None,
) -> Sent:
    """Sign, write down, send, wait, settle.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        key: the unlocked account.
        kind: deploy, install, create, weights, seal, supersede, contribute, refund, report, sweep, or
            validate.
        to: the contract, or None to create one.
        data: call data.
        value_wei: ether that goes along.
        gas_estimate: what it needs; asked from the node if None.
        detail: what the kind leaves open, for instance the contract's name.
        model: the trainer's address, if it is about one.
        batch: the planned batch that it contributes.
        claims: what it claims.
        gas_price_limit_wei: what a unit of gas may cost at most, fees having been shown before.

    Raises:
        LimitExceeded: gas costs more than that now; nothing was sent.
        Reverted: the contract refused; with the reason.
        InsufficientFunds: the balance does not cover it; nothing was sent.
    """
    chain, ledger = workspace.chain, workspace.ledger
    if gas_estimate is None:
        gas_estimate = chain.estimate_gas(key.address, to, data, value_wei)
    fees = chain.fees()
    if gas_price_limit_wei is not None and fees.max_fee_per_gas_wei > gas_price_limit_wei:
        raise LimitExceeded(
            f"A unit of gas can cost {fees.max_fee_per_gas_wei} wei now, above the limit of "
            f"{gas_price_limit_wei} wei that follows from what was shown.",
            hint="Type the command again to see the new fees.",
        )
    signed = chain.sign(
        key,
        to=to,
        data=data,
        value_wei=value_wei,
        nonce=chain.next_nonce(key.address),
        gas=min(gas_estimate * (100 + GAS_MARGIN_PERCENT) // 100, MAX_TRANSACTION_GAS),
        fees=fees,
    )
    balance_wei = chain.balance_wei(key.address)
    if balance_wei < value_wei + signed.max_fee_wei:
        raise InsufficientFunds(
            f"This transaction ({kind}{f' {detail}' if detail else ''}) can take "
            f"{value_wei + signed.max_fee_wei} wei; {key.address} has {balance_wei} wei.",
            hint="Send ether to the account.",
        )
    stored = ledger.add_transaction(
        chain=chain.key,
        account=key.address,
        kind=kind,
        detail=detail,
        model=model,
        hash=signed.hash,
        nonce=signed.nonce,
        raw=signed.raw,
        created_at=int(workspace.clock()),
        batch=batch,
        asked=claims,
    )
    try:
        chain.send(stored.raw)
    except (InsufficientFunds, FeeTooLow):
        # Refused before anybody else saw it. After any other answer it may be on its way, or even mined,
        # and `recover` finds out.
        ledger.drop(stored)
        raise
    ledger.mark_sent(stored)
    receipt = chain.wait(stored.hash)
    outcome = _settle(workspace, stored, receipt)
    if not receipt.status:
        raise chain.revert_reason(receipt)
    return Sent(stored.hash, receipt.gas_used, outcome.fee_wei, receipt.contract_address, outcome)


def settle_mined(workspace: Workspace, address: str) -> list[StoredTransaction]:
    """Take over what became of an account's transactions in the meantime; sends nothing.

    A transaction whose nonce went to another is given up.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        address: the account.

    Returns:
        The transactions that are on-chain now and were not settled before.
    """
    chain, ledger = workspace.chain, workspace.ledger
    settled = []
    for stored in ledger.transactions(chain.key, account=address, states=UNSETTLED):
        receipt = chain.receipt(stored.hash)
        if receipt is None and chain.mined_nonce(address) > stored.nonce:
            receipt = _late_receipt(chain, stored)
            if receipt is None:
                ledger.drop(stored)
        if receipt is not None:
            _settle(workspace, stored, receipt)
            settled.append(ledger.transaction(stored.id))
    return settled


def recover(workspace: Workspace, address: str) -> list[StoredTransaction]:
    """Finish what earlier processes of this account left on its way: what is not mined is sent again.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        address: the account.

    Returns:
        The transactions that are on-chain now and were not settled before.

    Raises:
        InsufficientFunds: one cannot be sent again; it may be on its way elsewhere, so it is not given up.
        FeeTooLow: likewise.
    """
    chain, ledger = workspace.chain, workspace.ledger
    settled = settle_mined(workspace, address)
    for stored in ledger.transactions(chain.key, account=address, states=UNSETTLED):
        try:
            chain.send(stored.raw)
        except NonceTaken:
            receipt = _late_receipt(chain, stored)
            if receipt is None:
                ledger.drop(stored)
                continue
        else:
            ledger.mark_sent(stored)
            receipt = chain.wait(stored.hash)
        _settle(workspace, stored, receipt)
        settled.append(ledger.transaction(stored.id))
    return settled


def _late_receipt(chain: Chain, stored: StoredTransaction) -> Receipt | None:
    """The receipt of a transaction whose nonce is used: its own, unless another took the nonce.

    Behind one URL there may be several nodes, and one may know the nonce before another knows the receipt.
    """
    try:
        return chain.wait(stored.hash, timeout_s=0 if chain.is_embedded else LAG_S)
    except NotMined:
        return None


def _settle(workspace: Workspace, stored: StoredTransaction, receipt: Receipt) -> Outcome:
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
        fee_wei=receipt.gas_used * receipt.effective_gas_price_wei,
        contract_address=receipt.contract_address,
        contributed=next((_contributed(event) for event in events if event.name == "Contributed"), None),
        paid={event.args["batchId"]: _paid(event) for event in events if event.name in _BITMAPS},
        points=_points(workspace, receipt) if stored.kind == "refund" else 0,
    )
    workspace.ledger.settle(stored, outcome)
    return outcome


_BITMAPS = {"Refunded": "refunded", "Reported": "reported", "Swept": None}
"""Which argument of a paying event says which samples paid; a sweep takes all that is left."""


def _contributed(event: Event) -> tuple[int, int, int, int]:
    args = event.args
    return args["batchId"], args["addedAt"], args["depositPerUnit"], args["informative"]


def _paid(event: Event) -> tuple[int, int]:
    bitmap = _BITMAPS[event.name]
    return (event.args[bitmap] if bitmap else 0), event.args["amountWei"]


def _points(workspace: Workspace, receipt: Receipt) -> int:
    """The model points that a refund earned."""
    events = workspace.chain.events("PointsIncentive", receipt)
    return sum(event.args["points"] for event in events if event.name == "PointsEarned")
