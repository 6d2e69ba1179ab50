"""Sending so that nothing is lost: signed, written down, sent, replaced where it is stuck, settled.

Several transactions of an account can be on their way at once, in the order of their nonces. A nonce comes
from the ledger and the node together, and is chosen, signed with and written down in one database
transaction; only then the transaction is sent. `settling` has what happens afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from dcai_cli.chain import FeesAboveCeiling, FeeTooLow, NonceTaken, NotMined, RpcError
from dcai_cli.chain.fees import bumped
from dcai_cli.chain.signing import decode_signed
from dcai_cli.domain import MAX_TRANSACTION_GAS, format_ether, told_apart
from dcai_cli.errors import InsufficientFunds, LimitExceeded, Locked, Reverted
from dcai_cli.ledger.fold import UNSETTLED
from dcai_cli.ledger.records import Outcome
from dcai_cli.services.settling import (
    Recovered,
    find_receipt,
    recheck,
    recover,
    send_again,
    settle,
    settle_mined,
)

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.chain import Fees, Receipt, SignedTransaction
    from dcai_cli.ledger import Claim, StoredBatch, StoredTransaction
    from dcai_cli.services.workspace import Workspace

__all__ = [
    "USABLE_GAS",
    "Outbox",
    "Recovered",
    "Sent",
    "cancel",
    "finish",
    "recover",
    "settle_mined",
    "speed_up",
]

FEE_RISE = 4
"""How many times what was shown the fees may cost, a unit of gas and all in all, before a command stops."""

GAS_MARGIN_PERCENT = 15
"""Gas offered above the estimate: other contributions may come first and touch other words."""

USABLE_GAS = MAX_TRANSACTION_GAS * 100 // (100 + GAS_MARGIN_PERCENT)
"""Gas that an estimate may have so that the margin above it still fits a transaction."""

IN_FLIGHT = 8
"""Transactions on their way at once; nodes keep 16 of an account for sure."""

ENVELOPE_BYTES = 200
"""What a transaction has besides its input, at most: receiver, value, fees, signature."""

PATIENCE_S = 180.0
"""How long to wait for a transaction; what is not mined by then stays on its way."""


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

    @classmethod
    def found(cls, stored: StoredTransaction) -> Self:
        """What an earlier process sent, as the ledger took it over.

        Args:
            stored: a transaction that is mined.
        """
        assert stored.block_number is not None
        assert stored.block_hash is not None
        outcome = Outcome(
            status=True,
            block_number=stored.block_number,
            block_hash=stored.block_hash,
            gas_used=stored.gas_used or 0,
            fee_wei=stored.fee_wei or 0,
            hash=stored.hash,
            contract_address=stored.contract_address,
        )
        return cls(stored.hash, outcome.gas_used, outcome.fee_wei, stored.contract_address, outcome)


class Outbox:
    """An account's transactions on their way, oldest first.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        address: the account.
        key: the same, unlocked; without it nothing can be signed, and what is stuck is not replaced.
        ceiling_wei: what a unit of gas may cost at most; None for no limit.
        budget_wei: what the fees of all transactions may cost at most; None for no limit.
        over: transactions on their way that no node takes: their nonces are used again.
        ceiling_of: what a unit of gas may cost at most where a transaction that is stuck is replaced; the
            ceiling if None.
    """

    def __init__(
        self,
        workspace: Workspace,
        address: str,
        key: LocalAccount | None = None,
        *,
        ceiling_wei: int | None = None,
        budget_wei: int | None = None,
        over: Sequence[StoredTransaction] = (),
        ceiling_of: Callable[[StoredTransaction], int | None] | None = None,
    ) -> None:
        self._workspace = workspace
        self._address = address
        self.key = key
        self.over = frozenset(stored.id for stored in over)
        self._budget_wei = budget_wei
        self._spent_wei = 0
        self._replaced_wei: dict[int, int] = {}
        self.ceiling_wei = ceiling_wei
        self._ceiling_of = ceiling_of or (lambda _stored: self.ceiling_wei)
        self.flying: deque[StoredTransaction] = deque()

    @property
    def address(self) -> str:
        """The account."""
        return self._address

    @property
    def committed_wei(self) -> int:
        """What the fees of its transactions came to, and what those on their way can cost.

        Others' that it replaced, since its own wait for them, count, too.
        """
        return self._spent_wei + self.promised_wei() + sum(self._replaced_wei.values())

    def promised_wei(self, *, but: StoredTransaction | None = None) -> int:
        """What the fees of those on their way can cost."""
        return sum(_fee_wei(stored.raw) for stored in self.flying if but is None or stored.id != but.id)

    @property
    def spent_wei(self) -> int:
        """What the fees of its transactions came to that are on-chain."""
        return self._spent_wei

    @property
    def is_full(self) -> bool:
        """Whether one must be waited for before the next is sent."""
        return len(self.flying) >= (1 if self._workspace.chain.is_embedded else IN_FLIGHT)

    def post(
        self,
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
    ) -> StoredTransaction:
        """Sign, write down and send; does not wait.

        Args:
            kind: deploy, install, create, weights, seal, supersede, contribute, refund, report, sweep,
                validate, evaluation, or fill; or what is done in a market (`MARKET_KINDS` of the ledger).
            to: the contract, or None to create one.
            data: call data.
            value_wei: ether that goes along.
            gas_estimate: what it needs; asked from the node if None.
            detail: what the kind leaves open, for instance the contract's name.
            model: the trainer's address, if it is about one.
            batch: the planned batch that it contributes.
            claims: what it claims.

        Raises:
            FeesAboveCeiling: gas costs more than the ceiling now; nothing was sent.
            LimitExceeded: the fees could exceed the budget; nothing was sent.
            Reverted: the contract would refuse.
            InsufficientFunds: the balance does not cover it; nothing was sent.
            Locked: another process was faster; nothing was sent.
        """
        workspace, key = self._workspace, self.key
        assert key is not None
        chain, ledger = workspace.chain, workspace.ledger
        if gas_estimate is None:
            gas_estimate = chain.estimate_gas(key.address, to, data, value_wei)
        gas = chain.gas_limit(gas_estimate, GAS_MARGIN_PERCENT)
        fees = chain.fees(self.ceiling_wei)
        fee_wei = gas * fees.max_fee_per_gas_wei + chain.data_fee_wei(len(data) + ENVELOPE_BYTES, gas=gas)
        self._check_budget(fee_wei)
        self._check_balance(f"{kind} {detail}".rstrip(), value_wei + fee_wei)

        def sign(nonce: int) -> SignedTransaction:
            return chain.sign(key, to=to, data=data, value_wei=value_wei, nonce=nonce, gas=gas, fees=fees)

        stored = ledger.add_transaction(
            chain=chain.key,
            account=key.address,
            kind=kind,
            detail=detail,
            model=model,
            created_at=int(workspace.clock()),
            batch=batch,
            asked=claims,
            next_nonce=chain.next_nonce(key.address),
            sign=sign,
            over=self.over,
        )
        self._send(stored)
        self.flying.append(stored)
        return stored

    def carry_out(
        self,
        *,
        kind: str,
        to: str | None,
        data: bytes,
        value_wei: int = 0,
        gas_estimate: int | None = None,
        detail: str = "",
        model: str | None = None,
    ) -> Sent:
        """Send one transaction and wait for it, and for those before it; the arguments are those of `post`.

        Raises:
            DcaiError: as `post` and `wait` do.
        """
        posted = self.post(
            kind=kind,
            to=to,
            data=data,
            value_wei=value_wei,
            gas_estimate=gas_estimate,
            detail=detail,
            model=model,
        )
        while True:
            stored, sent = self.wait()
            if stored.id == posted.id:
                return sent

    def wait(self) -> tuple[StoredTransaction, Sent]:
        """Wait until the oldest is mined; what is stuck is replaced by one that offers more.

        Raises:
            Reverted: the contract refused; with the reason.
            NotMined: it was not mined in time; it may still be.
            NonceTaken: its nonce went to another transaction; it will never be mined.
        """
        stored = self.flying[0]
        receipt = self._receipt(stored)
        self.flying.popleft()
        outcome = settle(self._workspace, stored, receipt)
        self._spent_wei += receipt.fee_wei
        if not receipt.status:
            raise self._workspace.chain.revert_reason(receipt)
        return stored, Sent(
            receipt.hash, receipt.gas_used, receipt.fee_wei, outcome.contract_address, outcome
        )

    def close_gaps(self) -> None:
        """Use up nonces before those on their way that nobody has a transaction for.

        A reorganisation leaves such a gap when it takes another program's transaction, which ours followed:
        without it no later one is ever mined.
        """
        chain = self._workspace.chain
        if not self.flying:
            return
        flying = self._workspace.ledger.transactions(chain.key, account=self._address, states=UNSETTLED)
        own = {stored.nonce for stored in flying if stored.id not in self.over}
        for nonce in range(chain.mined_nonce(self._address), max(own, default=0)):
            # The pool may hold another program's.
            if nonce not in own and chain.next_nonce(self._address) <= nonce:
                self.post(kind="fill", to=self._address, data=b"", detail="a gap between nonces")
                self.flying = deque(sorted(self.flying, key=lambda stored: stored.nonce))

    def _send(self, stored: StoredTransaction) -> None:
        ledger = self._workspace.ledger
        try:
            self._workspace.chain.send(stored.raw)
        except (InsufficientFunds, FeeTooLow):
            # Refused before anybody else saw it. After any other answer it may be on its way, or even mined,
            # and `recover` finds out: so it may if there is another node that was asked before, and lost its
            # answer, or another machine that saw it in the ledger. Behind it others may wait for its nonce.
            alone = len(self._workspace.settings.rpc_urls) <= 1 and not ledger.is_server
            if alone and not self._has_followers(stored):
                ledger.drop(stored)
            raise
        ledger.mark_sent(stored)

    def _has_followers(self, stored: StoredTransaction) -> bool:
        flying = self._workspace.ledger.transactions(stored.chain, account=stored.account, states=UNSETTLED)
        return any(other.nonce > stored.nonce for other in flying)

    def _check_budget(self, fee_wei: int) -> None:
        if self._budget_wei is None:
            return
        if self.committed_wei + fee_wei > self._budget_wei:
            in_all, limit = told_apart(self.committed_wei + fee_wei, self._budget_wei)
            raise LimitExceeded(
                f"With up to {format_ether(fee_wei)} for the next transaction, all fees can reach {in_all}, "
                f"above the limit of {limit}.",
                hint="Raise --max-fee, or wait until gas is cheaper.",
            )

    def _check_balance(self, what: str, needed_wei: int) -> None:
        """Make sure that what is on its way and this one are covered together."""
        chain, address = self._workspace.chain, self._address
        promised_wei = sum(_cost_wei(stored.raw) for stored in self.flying)
        balance_wei = chain.balance_wei(address)
        if balance_wei < promised_wei + needed_wei:
            also = f", with those on their way {format_ether(promised_wei)} more" if promised_wei else ""
            needed, balance = told_apart(needed_wei, balance_wei)
            raise InsufficientFunds(
                f"This transaction ({what}) can take {needed}{also}; {address} has {balance}.",
                hint="Send ether to the account.",
            )

    def _receipt(self, stored: StoredTransaction) -> Receipt:
        """Wait for the receipt of any attempt, raising what is offered after a while."""
        workspace = self._workspace
        step_s = 0.0 if workspace.chain.is_embedded else float(workspace.settings.replace_after_s)
        waited_s = 0.0
        while True:
            # As it stands now: it may have been replaced since it was posted.
            stored = workspace.ledger.transaction(stored.id)
            look = partial(find_receipt, workspace, stored)
            try:
                return workspace.chain.wait_for(look, stored.hash, min(step_s, PATIENCE_S - waited_s))
            except NotMined:
                waited_s += step_s
                if waited_s >= PATIENCE_S or not step_s:
                    raise
            if workspace.chain.mined_nonce(self._address) > stored.nonce:
                settle_mined(workspace, self._address)
                if workspace.ledger.transaction(stored.id).state == "dropped":
                    self.flying.popleft()
                    raise NonceTaken(
                        f"Another transaction took nonce {stored.nonce} of {self._address}.",
                        hint="Another program uses this account; type the same command again.",
                    )
                continue
            if recheck(workspace, self._address):
                # One before it was reorganised away, and has to be sent again first.
                recover(workspace, self._address)
                continue
            self._hasten()

    def _hasten(self) -> None:
        """Send what all others wait for once more, with a higher offer if that is allowed, or as it is."""
        workspace = self._workspace
        flying = workspace.ledger.transactions(workspace.chain.key, account=self._address, states=UNSETTLED)
        first = next((stored for stored in flying if stored.id not in self.over), None)
        if first is None:
            return  # another process settled it a moment ago
        # Whatever is refused here, an attempt before it is on its way, and may be mined when fees fall.
        with suppress(FeesAboveCeiling, InsufficientFunds, RpcError, Locked):
            if self.key is not None:
                self.raise_offer(first)
                return
        with suppress(InsufficientFunds, RpcError):
            send_again(workspace, workspace.ledger.transaction(first.id))

    def raise_offer(self, stored: StoredTransaction) -> None:
        """Replace a transaction by one that offers more, within ceiling and budget.

        Raises:
            DcaiError: as `speed_up` does.
        """
        assert self.key is not None
        raised = speed_up(self._workspace, self.key, stored, ceiling_wei=self._most_for(stored))
        if all(other.id != stored.id for other in self.flying):
            self._replaced_wei[stored.id] = _fee_wei(raised.raw)
        # What it may cost now counts.
        self.flying = deque(raised if other.id == stored.id else other for other in self.flying)

    def _most_for(self, stored: StoredTransaction) -> int | None:
        """What a unit of gas may cost in the place of a transaction: by its ceiling, and by the budget."""
        ceiling_wei = self._ceiling_of(stored)
        if self._budget_wei is None:
            return ceiling_wei
        others_wei = sum(fee for identity, fee in self._replaced_wei.items() if identity != stored.id)
        left_wei = self._budget_wei - self._spent_wei - self.promised_wei(but=stored) - others_wei
        by_budget_wei = max(0, left_wei) // decode_signed(stored.raw).gas
        return by_budget_wei if ceiling_wei is None else min(ceiling_wei, by_budget_wei)


def finish(
    workspace: Workspace,
    address: str,
    key: LocalAccount | None = None,
    *,
    ceiling_wei: int | None = None,
    budget_wei: int | None = None,
) -> list[StoredTransaction]:
    """Finish what earlier processes of an account left on its way: send it again, and wait for it.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        address: the account.
        key: the same, unlocked; without it, what is stuck is not replaced.
        ceiling_wei: what a unit of gas may cost at most, where more must be offered.
        budget_wei: what the fees may cost at most, where more must be offered.

    Returns:
        The transactions that are on-chain now and were not settled before, reverted ones included.

    Raises:
        InsufficientFunds: one cannot be sent again; it may be on its way elsewhere, so it is not given up.
        FeeTooLow: likewise.
    """
    recovered = recover(workspace, address)
    outbox = Outbox(workspace, address, key, ceiling_wei=ceiling_wei, budget_wei=budget_wei)
    outbox.flying.extend(recovered.flying)
    for stored, error in recovered.refused:
        if key is None or not isinstance(error, FeeTooLow):
            raise error
        outbox.raise_offer(stored)
    if key is not None:
        outbox.close_gaps()
    settled = list(recovered.settled)
    while outbox.flying:
        stored = outbox.flying[0]
        try:
            outbox.wait()
        except NonceTaken:
            continue
        except Reverted:
            pass  # what it was to do is a plan again
        settled.append(workspace.ledger.transaction(stored.id))
    return settled


def speed_up(
    workspace: Workspace, key: LocalAccount, stored: StoredTransaction, *, ceiling_wei: int | None = None
) -> StoredTransaction:
    """Replace a transaction on its way by the same with a higher offer.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        key: the unlocked account.
        stored: the transaction.
        ceiling_wei: what a unit of gas may cost at most.

    Raises:
        FeesAboveCeiling: the higher offer would exceed the ceiling.
        InsufficientFunds: the balance does not cover it; nothing was sent.
        Locked: it is not on its way any more.
    """
    fields = decode_signed(stored.raw)
    fees = bumped(fields.fees, workspace.chain.fees(), ceiling_wei)
    signed = workspace.chain.sign(
        key,
        to=fields.to,
        data=fields.data,
        value_wei=fields.value_wei,
        nonce=fields.nonce,
        gas=fields.gas,
        fees=fees,
    )
    return _send_replacement(workspace, stored, signed, cancels=stored.cancels)


def cancel(
    workspace: Workspace, key: LocalAccount, stored: StoredTransaction, *, ceiling_wei: int | None = None
) -> StoredTransaction:
    """Replace a transaction on its way by one that only uses up its nonce.

    Whether the cancellation or the transaction itself is mined is decided by the chain; what was planned with
    it is given up only when the cancellation is.

    Args:
        workspace: the opened parts; the caller holds the account's lock.
        key: the unlocked account.
        stored: the transaction.
        ceiling_wei: what a unit of gas may cost at most.

    Raises:
        FeesAboveCeiling: the higher offer would exceed the ceiling.
        InsufficientFunds: the balance does not cover it; nothing was sent.
        Locked: it is not on its way any more.
    """
    fees: Fees = bumped(decode_signed(stored.raw).fees, workspace.chain.fees(), ceiling_wei)
    signed = workspace.chain.sign_cancel(key, nonce=stored.nonce, fees=fees)
    return _send_replacement(workspace, stored, signed, cancels=True)


def _send_replacement(
    workspace: Workspace, stored: StoredTransaction, signed: SignedTransaction, *, cancels: bool
) -> StoredTransaction:
    needed_wei, balance_wei = _cost_wei(signed.raw), workspace.chain.balance_wei(stored.account)
    if balance_wei < needed_wei:
        # No node would take it, and it would stand before what is on its way.
        needed, balance = told_apart(needed_wei, balance_wei)
        raise InsufficientFunds(
            f"The higher offer can take {needed}; {stored.account} has {balance}.",
            hint="Send ether to the account.",
        )
    replacement = workspace.ledger.replace(stored, signed, cancels=cancels)
    # If an attempt before it was mined meanwhile, that one counts, and whoever waits finds its receipt.
    with suppress(NonceTaken):
        workspace.chain.send(signed.raw)
    workspace.ledger.mark_sent(replacement)
    return replacement


def _fee_wei(raw: bytes) -> int:
    fields = decode_signed(raw)
    return fields.gas * fields.fees.max_fee_per_gas_wei


def _cost_wei(raw: bytes) -> int:
    return decode_signed(raw).value_wei + _fee_wei(raw)
