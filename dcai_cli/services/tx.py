"""One's own transactions: looking at them, speeding up what is stuck, cancelling what is not mined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain.fees import bumped
from dcai_cli.chain.signing import PLAIN_GAS, decode_signed
from dcai_cli.errors import UsageError
from dcai_cli.ledger.fold import UNSETTLED
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.settling import recheck, recover, settle_mined
from dcai_cli.services.transactions import FEE_RISE, Outbox, cancel, speed_up

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.chain import SignedFields
    from dcai_cli.ledger import StoredTransaction
    from dcai_cli.services.accounts import ActingAccount
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TransactionView:
    """A transaction as a command shows it.

    Args:
        stored: what the ledger has of it.
        fields: what it says.
        attempts: how often it was signed.
    """

    stored: StoredTransaction
    fields: SignedFields
    attempts: int

    @property
    def is_on_its_way(self) -> bool:
        """Whether its outcome is open."""
        return self.stored.state in UNSETTLED


@dataclass(frozen=True, slots=True)
class Replacement:
    """What is about to take the place of a transaction; shown before it is signed.

    Args:
        account: whose.
        before: the transaction.
        fee_at_most_wei: what the replacement can cost.
    """

    account: ActingAccount
    before: TransactionView
    fee_at_most_wei: int


def list_transactions(
    workspace: Workspace, *, account: str | None = None, everything: bool = False
) -> list[TransactionView]:
    """An account's transactions on this chain, by their nonces; the open ones only, unless all are wanted."""
    acting = acting_account(workspace, account)
    states = () if everything else UNSETTLED
    found = workspace.ledger.transactions(workspace.chain.key, account=acting.address, states=states)
    return [_view(workspace, stored) for stored in found]


def show_transaction(workspace: Workspace, which: str, *, account: str | None = None) -> TransactionView:
    """One transaction, by its hash, the beginning of it, or its nonce.

    Raises:
        UsageError: there is none, or more than one.
    """
    acting = acting_account(workspace, account)
    return _find(workspace, acting.address, which)


def replace_transaction(
    workspace: Workspace,
    which: str | None,
    *,
    cancels: bool,
    password: Password,
    account: str | None = None,
    ceiling_wei: int | None = None,
    wait: bool = True,
    confirm: Callable[[Replacement], None] = lambda _: None,
) -> TransactionView:
    """Speed up or cancel a transaction that is on its way, and wait until it or its replacement is mined.

    Args:
        workspace: the opened parts.
        which: its hash, the beginning of it, or its nonce; what all others wait for if None.
        cancels: whether the replacement only uses up the nonce.
        password: asked for the account's password.
        account: whose; the acting account's if None.
        ceiling_wei: what a unit of gas may cost at most; not far more than what was shown if None.
        wait: whether to wait until it is mined.
        confirm: gets what is about to be sent; raises to stop.

    Raises:
        UsageError: nothing is on its way, or not this one.
        FeesAboveCeiling: nodes want more for a replacement.
        NotMined: it was sent, and not mined in time.
    """
    acting = acting_account(workspace, account)
    with workspace.sending(acting.address) as turn:
        settle_mined(workspace, acting.address)
        before = _open(workspace, acting.address, which)
        fees = bumped(before.fields.fees, workspace.chain.fees())
        gas = PLAIN_GAS if cancels else before.fields.gas
        with turn.aside():
            confirm(Replacement(acting, before, gas * fees.max_fee_per_gas_wei))
        settle_mined(workspace, acting.address)
        before = _open(workspace, acting.address, before.stored.hash)
        if ceiling_wei is None:
            ceiling_wei = fees.max_fee_per_gas_wei * FEE_RISE
        key = unlock(workspace, acting, password)
        replaced = (cancel if cancels else speed_up)(workspace, key, before.stored, ceiling_wei=ceiling_wei)
        if wait:
            _wait(workspace, key, replaced, ceiling_wei)
        return _view(workspace, workspace.ledger.transaction(before.stored.id))


def _wait(
    workspace: Workspace, key: LocalAccount, replaced: StoredTransaction, ceiling_wei: int | None
) -> None:
    """Wait for one transaction; those before it are sent again, and come first."""
    outbox = Outbox(workspace, key.address, key, ceiling_wei=ceiling_wei)
    outbox.flying.extend(
        stored for stored in recover(workspace, key.address).flying if stored.nonce <= replaced.nonce
    )
    while outbox.flying:
        outbox.wait()
    recheck(workspace, key.address)


def _open(workspace: Workspace, address: str, which: str | None) -> TransactionView:
    flying = workspace.ledger.transactions(workspace.chain.key, account=address, states=UNSETTLED)
    if which is None:
        if not flying:
            raise UsageError("No transaction is on its way.", hint="See all of them: dcai tx list --all")
        return _view(workspace, flying[0])
    found = _find(workspace, address, which)
    if not found.is_on_its_way:
        raise UsageError(
            f"Transaction {found.stored.hash} is {found.stored.state}; only what is on its way can be "
            "replaced.",
            hint="See what is: dcai tx list",
        )
    return found


def _find(workspace: Workspace, address: str, which: str) -> TransactionView:
    mine = workspace.ledger.transactions(workspace.chain.key, account=address)
    named = which.lower()
    if named.isdecimal():
        found = [stored for stored in mine if stored.nonce == int(named)]
        found = [stored for stored in found if stored.state != "dropped"] or found
    else:
        found = [
            stored
            for stored in mine
            if any(attempt.hash.startswith(named) for attempt in workspace.ledger.attempts(stored))
        ]
    if len(found) != 1:
        many = "several transactions" if found else "no transaction"
        raise UsageError(
            f"{address} has {many} {which!r} on this chain.",
            hint="Name its hash, the beginning of it, or its nonce: dcai tx list --all",
        )
    return _view(workspace, found[0])


def _view(workspace: Workspace, stored: StoredTransaction) -> TransactionView:
    return TransactionView(stored, decode_signed(stored.raw), len(workspace.ledger.attempts(stored)))
