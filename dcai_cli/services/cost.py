"""What transactions will cost, in the words of every question before one is signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.chain.signing import decode_signed
from dcai_cli.domain import counted, format_ether
from dcai_cli.services.accounts import Password, unlock
from dcai_cli.services.models import HostedModel, hints_naming
from dcai_cli.services.transactions import ENVELOPE_BYTES, FEE_RISE, Outbox, Sent, finish, settle_mined

if TYPE_CHECKING:
    from dcai_cli.ledger import StoredTransaction
    from dcai_cli.services.accounts import ActingAccount
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Cost:
    """What will be paid for gas, and who has how much for it.

    Args:
        transactions: how many there are.
        gas: what they take in all.
        gas_price_wei: what a unit of gas is offered at most.
        fee_wei: the most that they cost by that.
        balance_wei: what the account has.
    """

    transactions: int
    gas: int
    gas_price_wei: int
    fee_wei: int
    balance_wei: int

    @property
    def in_words(self) -> str:
        """What stands in the question."""
        count = counted(self.transactions, "transaction")
        return (
            f"That takes {count} of about {self.gas:,} gas{' in all' if self.transactions > 1 else ''}. "
            f"It costs up to {format_ether(self.fee_wei)} at the present gas price. "
            f"The balance is {format_ether(self.balance_wei)}."
        )

    @property
    def ceiling_wei(self) -> int:
        """What a unit of gas may cost after a yes."""
        return self.gas_price_wei * FEE_RISE


def cost_of(workspace: Workspace, address: str, to: str, data: bytes) -> Cost:
    """What one transaction will cost.

    Args:
        workspace: the opened parts.
        address: who sends it.
        to: the contract.
        data: the input.

    Raises:
        Reverted: the contract would refuse it.
    """
    chain = workspace.chain
    gas = chain.estimate_gas(address, to, data)
    price_wei = chain.fees().max_fee_per_gas_wei
    fee_wei = gas * price_wei + chain.data_fee_wei(len(data) + ENVELOPE_BYTES, gas=gas)
    return Cost(1, gas, price_wei, fee_wei, chain.balance_wei(address))


def carry_out_asked(
    workspace: Workspace,
    account: ActingAccount,
    model: HostedModel,
    *,
    kind: str,
    to: str,
    data: bytes,
    what: str,
    password: Password,
    confirm: Callable[[str], None],
) -> Sent:
    """Send one transaction about a model once its cost was shown, unless an earlier run sent the same.

    Args:
        workspace: the opened parts.
        account: who sends it.
        model: the model.
        kind: what the ledger calls it.
        to: the contract.
        data: the input.
        what: what it does, as a sentence without its full stop.
        password: asked once for the account's password.
        confirm: gets what will be done and its cost before anything is signed; raises to stop it.

    Raises:
        Reverted: the contract refused.
    """
    chain = workspace.chain

    def sent_before(settled: Iterable[StoredTransaction]) -> Sent | None:
        """An earlier run of the same command may have died before it saw that this was mined."""
        for done in settled:
            if (done.kind, done.state) != (kind, "mined"):
                continue
            fields = decode_signed(done.raw)
            if (fields.data, (fields.to or "").lower()) == (data, to.lower()):
                return Sent.found(done)
        return None

    with hints_naming(model), workspace.sending(account.address) as turn:
        found = sent_before(settle_mined(workspace, account.address))
        if found is not None:
            return found
        cost = cost_of(workspace, account.address, to, data)
        on = "" if chain.is_embedded else f" on chain {chain.chain_id} at {chain.url_label}"
        with turn.aside():
            confirm(f"{what}{on}, from {account.name} ({account.address}). {cost.in_words}")
        key = unlock(workspace, account, password)
        ceiling_wei = None if chain.is_embedded else cost.ceiling_wei
        found = sent_before(finish(workspace, key.address, key, ceiling_wei=ceiling_wei))
        if found is not None:
            return found
        outbox = Outbox(workspace, key.address, key, ceiling_wei=ceiling_wei)
        return outbox.carry_out(kind=kind, to=to, data=data, model=model.address)
