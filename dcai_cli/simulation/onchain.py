"""The real mode: every action is a transaction, and the chain must say what the rules say, to the wei."""

from __future__ import annotations

import itertools
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dcai_cli.chain import Fees
from dcai_cli.chain.commitment import sample_proof, samples_root
from dcai_cli.chain.registry import TRAINER
from dcai_cli.config import load_settings
from dcai_cli.domain import MAX_TRANSACTION_GAS, Batch
from dcai_cli.errors import DcaiError, UsageError
from dcai_cli.hashing import keccak256
from dcai_cli.keystore import Keystore
from dcai_cli.services.accounts import acting_account, import_account, unlock
from dcai_cli.services.deploy import deploy_model
from dcai_cli.services.models import HostedModel, snapshot
from dcai_cli.services.workspace import Workspace
from dcai_cli.simulation.rules import Variant

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.chain import Chain, Receipt
    from dcai_cli.simulation.engine import ChainMaker
    from dcai_cli.simulation.market import Claims
    from dcai_cli.simulation.pool import Prepared
    from dcai_cli.simulation.rules import Deposit, StakeRules
    from dcai_cli.simulation.scenario import Scenario

GAS_MONEY_WEI = 10_000 * 10**18
"""What every account gets beside its balance, to pay for gas with."""

_FEES = Fees(max_fee_per_gas_wei=100 * 10**9, priority_fee_wei=1)
_LIGHT_SCRYPT = 1 << 12
"""The keys are thrown away with their folder, so they need not be hard to guess."""


class Mismatch(DcaiError):
    """The chain says something else than the rules do: one of both has a fault."""


@contextmanager
def on_chain(scenario: Scenario, prepared: Prepared, rpc_url: str | None) -> Iterator[ChainMaker]:
    """Deploy the model of a scenario, and give accounts to its agents.

    Args:
        scenario: who takes part.
        prepared: the model to begin with.
        rpc_url: an anvil; None for an embedded chain, which is thrown away afterwards.

    Yields:
        What makes the chain's side of a market; once.

    Raises:
        UsageError: the contracts do not have the scenario's rules, or the node is none for development.
    """
    if scenario.variant != Variant():
        raise UsageError(
            "The scenario has rules that the contracts do not have: its [variant].",
            hint="Leave out --real, or what is in [variant].",
        )
    with throw_away(rpc_url) as (workspace, password):
        model, keys = _deployed(workspace, password, scenario, prepared)
        yield lambda rules: ChainSide(workspace, model, keys, rules)


@contextmanager
def throw_away(rpc_url: str | None) -> Iterator[tuple[Workspace, str]]:
    """A home that is gone afterwards.

    Args:
        rpc_url: an anvil; None for an embedded chain, which is thrown away with the home.

    Yields:
        The opened parts, and a password for keys.
    """
    with tempfile.TemporaryDirectory(prefix="dcai-simulation-") as home:
        settings = load_settings({"DCAI_HOME": home}, rpc_url=rpc_url)
        keystore = Keystore(settings.keystore_dir, work_factor=_LIGHT_SCRYPT)
        # The embedded chain's clock stands still: every block gets its time from here.
        with Workspace(settings, keystore=keystore, clock=lambda: 1_700_000_000) as workspace:
            yield workspace, secrets.token_hex(8)


def _deployed(
    workspace: Workspace, password: str, scenario: Scenario, prepared: Prepared
) -> tuple[HostedModel, dict[str, LocalAccount]]:
    names = {account: agent.balance_wei for agent in scenario.agents for account in agent.accounts}
    keys = {}
    for name in sorted({*names, scenario.owner}):
        private_key = _unused_key(workspace.chain, f"{scenario.name}: {name}")
        import_account(workspace, name, private_key=private_key, password=password)
        keys[name] = unlock(workspace, acting_account(workspace, name), lambda _: password)
        # More than it will have: what is its own is reckoned from its balance now.
        workspace.chain.set_balance(keys[name].address, GAS_MONEY_WEI + names.get(name, 0))
    deployed = deploy_model(
        workspace,
        name=scenario.name,
        spec=prepared.spec,
        params=prepared.params,
        terms=scenario.terms,
        password=lambda _: password,
        account=scenario.owner,
        pretrained_words=prepared.words,
    )
    return deployed.model, keys


def _unused_key(chain: Chain, name: str) -> str:
    """A key that follows from a name, whose account has sent nothing.

    Gas depends on addresses, by the zeros in what is sent: with keys drawn by chance no two runs are alike.
    """
    from eth_account import Account

    keys = (keccak256(f"dcai simulate: {name}: {number}".encode()) for number in itertools.count())
    return next(key.hex() for key in keys if not chain.next_nonce(Account.from_key(key).address))


class ChainSide:
    """Sends what the rules have reckoned, and holds the chain's answers against it.

    Args:
        workspace: the opened parts.
        model: the deployed model.
        keys: of every account, by name.
        rules: what was reckoned.
    """

    def __init__(
        self, workspace: Workspace, model: HostedModel, keys: dict[str, LocalAccount], rules: StakeRules
    ) -> None:
        self._chain = workspace.chain
        self._model = model
        self._keys = keys
        self._rules = rules
        self._sealed_at = int(self._chain.view(TRAINER, model.address, "sealedAt"))
        self._nonces = {name: self._chain.next_nonce(key.address) for name, key in keys.items()}
        self._before_wei = {
            name: self._chain.balance_wei(keys[name].address) - wei
            for name, wei in rules.balances_wei.items()
        }
        self._fees_wei = dict.fromkeys(keys, 0)
        self._batches: dict[int, tuple[Batch, bytes]] = {}

    def contribute(self, deposit: Deposit) -> int:
        """Contribute a batch, with exactly its deposit."""
        payload = b"".join(sample.data for sample in deposit.samples)
        receipt, args = self._send(
            deposit.contributor,
            deposit.added_at,
            "contribute",
            (payload,),
            "Contributed",
            value_wei=deposit.deposit_wei,
        )
        self._same(
            deposit.added_at,
            (args["batchId"], args["depositPerUnit"], args["informative"]),
            (deposit.id, deposit.per_unit_wei, deposit.informative),
        )
        root = samples_root([sample.data for sample in deposit.samples])
        self._batches[deposit.id] = (self._meta(deposit, root), payload)
        return receipt.gas_used

    def refund(self, who: str, claims: Claims, paid: Claims, at: int) -> int:
        """Claim refunds."""
        asked = [
            (self._batches[number][0].as_tuple(), self._batches[number][1], mask) for number, mask in claims
        ]
        receipt, events = self._sent(who, at, "refund", (asked,), "Refunded")
        answered = {args["batchId"]: (args["amountWei"], args["refunded"]) for args in events}
        reckoned = {number: told for (number, _), told in zip(claims, paid, strict=True)}
        self._same(at, answered, reckoned)
        return receipt.gas_used

    def report(
        self, who: str, deposit: Deposit, indexes: Sequence[int], paid: tuple[int, int], at: int
    ) -> int:
        """Report samples."""
        samples = [sample.data for sample in deposit.samples]
        proofs = [(index, samples[index], sample_proof(samples, index)) for index in indexes]
        batch = self._batches[deposit.id][0]
        receipt, args = self._send(who, at, "report", (batch.as_tuple(), proofs), "Reported")
        self._same(at, (args["amountWei"], args["reported"]), paid)
        return receipt.gas_used

    def sweep(self, who: str, deposit: Deposit, amount_wei: int, at: int) -> int:
        """Sweep a batch."""
        batch = self._batches[deposit.id][0]
        receipt, args = self._send(who, at, "sweep", (batch.as_tuple(),), "Swept")
        self._same(at, args["amountWei"], amount_wei)
        return receipt.gas_used

    def check(self) -> None:
        """Compare every balance, what the trainer holds, and all weights.

        Raises:
            Mismatch: something differs.
        """
        at = self._rules.last_contributed_at
        for name, reckoned_wei in self._rules.balances_wei.items():
            wei = self._chain.balance_wei(self._keys[name].address) + self._fees_wei[name]
            self._same(at, (name, wei - self._before_wei[name]), (name, reckoned_wei))
        self._same(at, self._chain.balance_wei(self._model.address), self._rules.open_wei)
        self._same(at, snapshot(self._chain, self._model).words(), self._rules.replica.words())

    def _meta(self, deposit: Deposit, root: bytes) -> Batch:
        return Batch(
            id=deposit.id,
            contributor=self._keys[deposit.contributor].address,
            added_at=self._sealed_at + deposit.added_at,
            deposit_per_unit_wei=deposit.per_unit_wei,
            count=len(deposit.samples),
            units=deposit.units,
            informative=deposit.informative,
            samples_root=root,
        )

    def _send(
        self, who: str, at: int, function: str, args: tuple[object, ...], event: str, *, value_wei: int = 0
    ) -> tuple[Receipt, dict[str, Any]]:
        """Send what has one event, and read it."""
        receipt, found = self._sent(who, at, function, args, event, value_wei=value_wei)
        self._same(at, len(found), 1)
        return receipt, found[0]

    def _sent(
        self, who: str, at: int, function: str, args: tuple[object, ...], event: str, *, value_wei: int = 0
    ) -> tuple[Receipt, list[dict[str, Any]]]:
        """The receipt, and the arguments of each event of this kind."""
        chain = self._chain
        chain.mine_next_at(self._sealed_at + at)
        signed = chain.sign(
            self._keys[who],
            to=self._model.address,
            data=chain.encode(TRAINER, function, *args),
            value_wei=value_wei,
            nonce=self._nonces[who],
            gas=MAX_TRANSACTION_GAS,
            fees=_FEES,
        )
        receipt = chain.wait(chain.send(signed.raw))
        self._nonces[who] += 1
        self._fees_wei[who] += receipt.fee_wei
        if not receipt.status:
            reason = chain.revert_reason(receipt).message
            raise Mismatch(f"At {at} s the chain refuses to {function} for {who}: {reason}")
        return receipt, [found.args for found in chain.events(TRAINER, receipt) if found.name == event]

    @staticmethod
    def _same(at: int, answered: object, reckoned: object) -> None:
        if answered != reckoned:
            raise Mismatch(
                f"At {at} s the chain says {answered}, and the rules say {reckoned}.",
                hint="Report this, with the scenario and the seed.",
            )
