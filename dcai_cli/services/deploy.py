"""Deploying a model: protocol contracts once per chain, one transaction a model, weights, the seal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.chain.registry import (
    DATA_HANDLER,
    INCENTIVE_CONTRACTS,
    MODEL_CONTRACTS,
    TRAINER,
    code_hash,
)
from dcai_cli.chain.signing import decode_signed
from dcai_cli.chain.verification import trainer_address
from dcai_cli.domain import ModelParams, Terms
from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.cost import Cost, carry_out_asked
from dcai_cli.services.limits import check_name, check_spec, check_terms
from dcai_cli.services.models import HostedModel, describe, known_models, remember, snapshot
from dcai_cli.services.registry import cost_of_ready_registry, ready_registry
from dcai_cli.services.transactions import FEE_RISE, Outbox, Sent, finish

if TYPE_CHECKING:
    from dcai_cli.features.readers import Source
    from dcai_cli.services.workspace import Workspace

GAS_PER_SPEC_BYTE = 220
GAS_PER_MODEL = 640_000
GAS_PER_WORD = 27_000
GAS_PER_SEAL = 35_000
"""What the steps after the registry take, measured and rounded up."""

WORDS_PER_TRANSACTION = 400
"""Words of weights that one transaction writes: 22,100 gas each on fresh storage, and calldata."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed model.

    Args:
        model: the model.
        sealed: whether contributions are open.
        gas_used: gas of all transactions of this command.
        fee_wei: what they cost.
        transactions: their hashes.
    """

    model: HostedModel
    sealed: bool
    gas_used: int
    fee_wei: int
    transactions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be deployed, in the words of `deploy_model`."""

    name: str
    spec: FeatureSpec
    params: ModelParams
    incentive_type: str
    terms: Terms

    @property
    def contracts(self) -> list[str]:
        """The implementations that it needs."""
        model, incentive = MODEL_CONTRACTS[self.params.model_type], INCENTIVE_CONTRACTS[self.incentive_type]
        return [TRAINER, model, incentive, DATA_HANDLER]

    def is_like(self, model: HostedModel) -> bool:
        """Whether a model was deployed by this plan."""
        return (self.spec, self.params, self.incentive_type, self.terms) == (
            model.spec,
            model.params,
            model.incentive_type,
            model.terms,
        )


def deploy_model(
    workspace: Workspace,
    *,
    name: str,
    spec: FeatureSpec,
    params: ModelParams,
    terms: Terms,
    password: Password,
    incentive_type: str = "stake",
    account: str | None = None,
    pretrained_words: Sequence[int] = (),
    seal: bool = True,
    confirm: Callable[[str], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> Deployment:
    """Deploy a model under a name; a deployment that broke off is finished, not repeated.

    Args:
        workspace: the opened parts.
        name: lower-case letters, digits and dashes, at most 32.
        spec: its feature spec.
        params: its type and shape, which fits the spec.
        terms: time-outs and price.
        password: asked once for the account's password.
        incentive_type: "stake" or "points".
        account: whose model it becomes.
        pretrained_words: its weights to start with; none if it starts untrained.
        seal: open it for contributions.
        confirm: gets what will be done before anything is signed; raises to stop it.
        progress: gets a line per step.

    Raises:
        BadInput: a model has this name already that is sealed, or differs in spec, shape or terms.
        UsageError: the contracts would refuse the name, the spec or the terms.
    """
    check_name(name)
    check_spec(spec)
    check_terms(terms, incentive_type)
    plan = _Plan(name, spec, params, incentive_type, terms)
    stored = acting_account(workspace, account)
    cost = _cost(workspace, stored.address, plan, len(pretrained_words), seal=seal)
    confirm(f"Deploy model {name} from {stored.name} ({stored.address}). {cost.in_words}")
    key = unlock(workspace, stored, password)
    outbox = Outbox(
        workspace,
        key.address,
        key,
        ceiling_wei=cost.ceiling_wei,
        # What a layer 2 takes for data is not in what was shown.
        budget_wei=cost.fee_wei * FEE_RISE if workspace.chain.layer2 is None else None,
    )
    with workspace.sending(key.address):
        # What an earlier run had signed when it died may have been its last step, the seal.
        finished = finish(workspace, key.address, key, ceiling_wei=outbox.ceiling_wei)
        just_sealed = {stored.model for stored in finished if stored.kind == "seal"}
        steps: list[Sent] = []
        model = _unfinished(workspace, key.address, plan, just_sealed)
        resumed = model is not None
        if model is None:
            registry = ready_registry(workspace, outbox, plan.contracts, steps, progress)
            progress(f"creating {name}")
            model = _create(workspace, outbox, registry, plan, steps)
        sealed = model.address in just_sealed
        if not sealed and (pretrained_words or resumed):
            _write_weights(workspace, outbox, model, pretrained_words, steps, progress)
        if seal and not sealed:
            progress("sealing")
            steps.append(_send(workspace, outbox, model, "seal", "seal"))
    return Deployment(
        model=model,
        sealed=seal or sealed,
        gas_used=sum(step.gas_used for step in steps),
        fee_wei=sum(step.fee_wei for step in steps),
        transactions=tuple(step.hash for step in steps),
    )


def _cost(workspace: Workspace, account: str, plan: _Plan, words: int, *, seal: bool) -> Cost:
    """What a deployment will cost, and what the account has."""
    chain = workspace.chain
    count, gas = cost_of_ready_registry(workspace, account, plan.contracts)
    count += 1 + -(-words // WORDS_PER_TRANSACTION) + int(seal)
    gas += GAS_PER_MODEL + GAS_PER_SPEC_BYTE * len(plan.spec.to_json().encode()) + GAS_PER_WORD * words
    gas += GAS_PER_SEAL if seal else 0
    price_wei = chain.fees().max_fee_per_gas_wei
    return Cost(count, gas, price_wei, gas * price_wei, chain.balance_wei(account))


def seal_model(
    workspace: Workspace,
    model: HostedModel,
    *,
    password: Password,
    confirm: Callable[[str], None] = lambda _: None,
) -> Sent:
    """Open a model for contributions; final.

    Args:
        workspace: the opened parts.
        model: one's own.
        password: asked once for the account's password.
        confirm: gets what will be done and its cost before anything is signed; raises to stop it.

    Raises:
        Reverted: it is sealed already.
    """
    return carry_out_asked(
        workspace,
        acting_account(workspace, model.owner),
        model,
        kind="seal",
        to=model.address,
        data=workspace.chain.encode(TRAINER, "seal"),
        what=f"Seal {model.name} ({model.address}) for ever",
        password=password,
        confirm=confirm,
    )


def _send(
    workspace: Workspace, outbox: Outbox, model: HostedModel, kind: str, function: str, *args: object
) -> Sent:
    data = workspace.chain.encode("CollaborativeTrainer", function, *args)
    return outbox.carry_out(kind=kind, to=model.address, data=data, model=model.address)


def _unfinished(
    workspace: Workspace, owner: str, plan: _Plan, just_sealed: Collection[str | None]
) -> HostedModel | None:
    """The model that an earlier run of the same command created, and did not live to see sealed."""
    _learn_created(workspace, owner)
    for model in known_models(workspace):
        if model.name != plan.name:
            continue
        sealed_at = workspace.chain.view("CollaborativeTrainer", model.address, "sealedAt")
        if model.address in just_sealed:
            sealed_at = 0
        same = plan.is_like(model)
        if sealed_at or not same or model.owner.lower() != owner.lower():
            is_what = "" if sealed_at or same else ", with another spec, shape or terms"
            raise BadInput(
                f"A model called {plan.name} exists already, at {model.address}{is_what}.",
                hint="Choose another --name.",
            )
        return model
    return None


def _learn_created(workspace: Workspace, owner: str) -> None:
    """Take models into the ledger whose creation was mined after the process that sent it had died."""
    chain = workspace.chain
    addresses = {model.address for model in known_models(workspace)}
    for stored in workspace.ledger.transactions(chain.key, account=owner, states=("mined",), kind="create"):
        registry = decode_signed(stored.raw).to
        if registry is None:
            continue
        # Not what the receipt says: a node could name a model of somebody else.
        trainer = trainer_address(registry, owner, stored.detail)
        receipt = None if trainer in addresses else chain.receipt(stored.hash)
        if receipt is not None and receipt.status:
            found = describe(chain, trainer, name=stored.detail, from_block=receipt.block_number)
            remember(workspace, found)


def _create(
    workspace: Workspace, outbox: Outbox, registry: str, plan: _Plan, steps: list[Sent]
) -> HostedModel:
    terms = plan.terms
    parameters = (
        plan.name,
        plan.spec.to_json(),
        code_hash(MODEL_CONTRACTS[plan.params.model_type]),
        code_hash(INCENTIVE_CONTRACTS[plan.incentive_type]),
        plan.params.as_tuple(),
        (
            terms.refund_wait_s,
            terms.report_wait_s,
            terms.owner_wait_s,
            terms.public_wait_s,
            terms.min_gap_s,
            terms.max_idle_s,
            terms.cost_weight_wei,
        ),
    )
    data = workspace.chain.encode("ModelRegistry", "create", parameters)
    steps.append(outbox.carry_out(kind="create", to=registry, data=data, detail=plan.name))
    _learn_created(workspace, outbox.address)
    trainer = trainer_address(registry, outbox.address, plan.name)
    found = next((model for model in known_models(workspace) if model.address == trainer), None)
    if found is None:
        raise DcaiError(
            f"The node says that transaction {steps[-1].hash} is mined, and shows no model {plan.name}.",
            hint="Ask another node, and type the same command again: --rpc-url URL",
        )
    return found


def _write_weights(
    workspace: Workspace,
    outbox: Outbox,
    model: HostedModel,
    words: Sequence[int],
    steps: list[Sent],
    progress: Callable[[str], None],
) -> None:
    """Write pre-trained words; what is on-chain already is left out.

    Raises:
        BadInput: an earlier run wrote weights, and now there are none to complete them with.
    """
    present = snapshot(workspace.chain, model).words()
    if not words:
        if any(present):
            raise BadInput(
                f"An earlier run began to write weights into {model.name}, at {model.address}.",
                hint="Type the same command again, with its --pretrain FILE.",
            )
        return
    for first in range(0, len(words), WORDS_PER_TRANSACTION):
        chunk = list(words[first : first + WORDS_PER_TRANSACTION])
        if chunk == present[first : first + len(chunk)]:
            continue
        progress(f"writing words {first:,} to {first + len(chunk):,} of {len(words):,}")
        steps.append(_send(workspace, outbox, model, "weights", "writeWeights", first, chunk))


def holds_weights(source: Source) -> bool:
    """Whether a source to pre-train with is a file of arrays, and not of rows."""
    return source.place.lower().endswith(".npz")


def pretrained_words(
    source: Source, spec: FeatureSpec, params: ModelParams, *, note: Callable[[str], None] = lambda _: None
) -> list[int]:
    """Words to start a model with.

    Args:
        source: an .npz of this type of model, or labelled rows to train on, in order.
        spec: the feature spec.
        params: the shape of the model.
        note: is told of an encoding other than UTF-8, and of columns that a tabular model does not use.

    Raises:
        BadInput: the file is neither, or no row of it can be used.
    """
    from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
    from dcai_cli.features.readers import open_rows
    from dcai_cli.models.pretrain import read_weights, words_from_samples

    if holds_weights(source):
        return read_weights(Path(source.place), params)
    with open_rows(source, note=note, vector_column=spec.vector_column) as opened:
        rows = list(featurize(opened, spec, note=note))
    usable = [row.sample for row in rows if isinstance(row, FeaturizedRow)]
    if not usable:
        reason = next(row.reason for row in rows if isinstance(row, Skipped))
        raise BadInput(f"No row of {source} can be trained on; row 1: {reason}.", hint="Check --labels.")
    return words_from_samples(usable, params)
