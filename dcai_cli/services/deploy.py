"""Deploying a model: protocol contracts once per chain, one transaction a model, weights, the seal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.chain.artifacts import artifact
from dcai_cli.domain import CLASSES, Terms, format_duration
from dcai_cli.errors import BadInput, DcaiError, UsageError
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.models import HostedModel, describe, known_models, remember, snapshot
from dcai_cli.services.transactions import Sent, recover, submit

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.services.workspace import Workspace

PARTS = ("CollaborativeTrainer", "Perceptron", "StakeIncentive", "DataHandler")
"""What the registry clones, in the order of its constructor's arguments."""

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


def check_terms(terms: Terms) -> None:
    """Refuse time-outs that the contract would refuse, in words.

    Raises:
        UsageError: the waits are not in order, or closer than the gap.
    """
    order = (
        ("refund wait", terms.refund_wait_s, "report wait", terms.report_wait_s, terms.min_gap_s),
        ("report wait", terms.report_wait_s, "owner wait", terms.owner_wait_s, terms.min_gap_s),
        ("owner wait", terms.owner_wait_s, "public wait", terms.public_wait_s, 0),
    )
    if terms.refund_wait_s <= 0:
        raise UsageError(
            "The refund wait must be longer than 0 s.", hint="Write for instance --refund-wait 1d."
        )
    for earlier, earlier_s, later, later_s, gap_s in order:
        if earlier_s + gap_s > later_s or (gap_s == 0 and earlier == "refund wait" and earlier_s == later_s):
            raise UsageError(
                f"The {later} ({format_duration(later_s)}) must be at least {format_duration(gap_s)} "
                f"after the {earlier} ({format_duration(earlier_s)}).",
                hint="Lengthen it, or shorten --min-gap.",
            )


def check_name(name: str) -> None:
    """Refuse a name that the registry would refuse.

    Raises:
        UsageError: the name has other characters, or too many.
    """
    if re.fullmatch(r"[a-z0-9-]{1,32}", name) is None:
        raise UsageError(
            f"{name!r} cannot be the name of a model.",
            hint="Use 1 to 32 lower-case letters, digits and dashes.",
        )


def deploy_model(
    workspace: Workspace,
    *,
    name: str,
    spec: FeatureSpec,
    margin: int,
    terms: Terms,
    password: Password,
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
        margin: the perceptron's margin per active feature.
        terms: time-outs and price.
        password: asked once for the account's password.
        account: whose model it becomes.
        pretrained_words: its weights to start with; none if it starts untrained.
        seal: open it for contributions.
        confirm: gets what will be done before anything is signed; raises to stop it.
        progress: gets a line per step.

    Raises:
        BadInput: a model has this name already that is sealed, or differs in spec, margin or terms.
        UsageError: the registry would refuse the name, or the time-outs contradict each other.
    """
    check_name(name)
    if len(spec.labels) != CLASSES:
        raise BadInput(
            f"The labels are {', '.join(spec.labels)}; a model tells {CLASSES} apart.",
            hint="Name two labels.",
        )
    check_terms(terms)
    stored = acting_account(workspace, account)
    confirm(f"Deploy model {name} from {stored.name} ({stored.address}).")
    key = unlock(workspace, stored, password)
    with workspace.sending(key.address):
        # What an earlier run had signed when it died may have been its last step, the seal.
        just_sealed = {stored.model for stored in recover(workspace, key.address) if stored.kind == "seal"}
        steps: list[Sent] = []
        model = _unfinished(workspace, key.address, name, spec, margin, terms, just_sealed)
        resumed = model is not None
        if model is None:
            registry = _registry(workspace, key, steps, progress)
            progress(f"creating {name}")
            model = _create(workspace, key, registry, name, spec, margin, terms, steps)
        sealed = model.address in just_sealed
        if not sealed and (pretrained_words or resumed):
            _write_weights(workspace, key, model, pretrained_words, steps, progress)
        if seal and not sealed:
            progress("sealing")
            steps.append(_send(workspace, key, model, "seal", "seal"))
    return Deployment(
        model=model,
        sealed=seal or sealed,
        gas_used=sum(step.gas_used for step in steps),
        fee_wei=sum(step.fee_wei for step in steps),
        transactions=tuple(step.hash for step in steps),
    )


def seal_model(workspace: Workspace, model: HostedModel, *, password: Password) -> Sent:
    """Open a model for contributions; final."""
    key = unlock(workspace, acting_account(workspace, model.owner), password)
    with workspace.sending(key.address):
        recover(workspace, key.address)
        return _send(workspace, key, model, "seal", "seal")


def _send(
    workspace: Workspace, key: LocalAccount, model: HostedModel, kind: str, function: str, *args: object
) -> Sent:
    data = workspace.chain.encode("CollaborativeTrainer", function, *args)
    return submit(workspace, key, kind=kind, to=model.address, data=data, model=model.address)


def _unfinished(
    workspace: Workspace,
    owner: str,
    name: str,
    spec: FeatureSpec,
    margin: int,
    terms: Terms,
    just_sealed: Collection[str | None],
) -> HostedModel | None:
    """The model that an earlier run of the same command created, and did not live to see sealed."""
    _learn_created(workspace, owner)
    for model in known_models(workspace):
        if model.name != name:
            continue
        sealed_at = workspace.chain.view("CollaborativeTrainer", model.address, "sealedAt")
        if model.address in just_sealed:
            sealed_at = 0
        same = (model.spec, model.margin, model.terms) == (spec, margin, terms)
        if sealed_at or not same or model.owner.lower() != owner.lower():
            is_what = "" if sealed_at or same else ", with another spec, margin or terms"
            raise BadInput(
                f"A model called {name} exists already, at {model.address}{is_what}.",
                hint="Choose another --name.",
            )
        return model
    return None


def _learn_created(workspace: Workspace, owner: str) -> None:
    """Take models into the ledger whose creation was mined after the process that sent it had died."""
    chain = workspace.chain
    addresses = {model.address for model in known_models(workspace)}
    for stored in workspace.ledger.transactions(chain.key, account=owner, states=("mined",), kind="create"):
        receipt = chain.receipt(stored.hash)
        for event in chain.events("ModelRegistry", receipt) if receipt else ():
            if event.name == "ModelCreated" and event.args["trainer"] not in addresses:
                assert receipt is not None
                trainer = event.args["trainer"]
                found = describe(chain, trainer, name=stored.detail, from_block=receipt.block_number)
                remember(workspace, found)


def _registry(
    workspace: Workspace, key: LocalAccount, steps: list[Sent], progress: Callable[[str], None]
) -> str:
    """The registry of this chain: deployed by whoever needs it first, remembered in the ledger."""
    chain, ledger = workspace.chain, workspace.ledger
    addresses: list[str] = []
    for part in (*PARTS, "ModelRegistry"):
        address = ledger.choice(chain.key, part) or _mined_part(workspace, key.address, part)
        if address is None or not _runs(chain.code(address), part, addresses):
            progress(f"deploying {part}")
            data = chain.encode_deploy(part, *(addresses if part == "ModelRegistry" else ()))
            sent = submit(workspace, key, kind="deploy", detail=part, to=None, data=data)
            steps.append(sent)
            address = sent.contract_address
        if address is None:
            raise DcaiError(f"The node named no address for {part}.", hint="Try another node: --rpc-url URL")
        ledger.choose(chain.key, part, address)
        addresses.append(address)
    return addresses[-1]


def _runs(code: bytes, part: str, addresses: Sequence[str]) -> bool:
    """Whether this is the code of a part as it ships; an older version's is not.

    The registry's code holds the addresses of the parts that it clones, where the artifact has zeros.
    """
    if part == "ModelRegistry":
        for address in addresses:
            word = bytes.fromhex(address[2:])
            if word not in code:
                return False
            code = code.replace(word, bytes(20))
    return code == artifact(part).deployed_bytecode


def _mined_part(workspace: Workspace, account: str, part: str) -> str | None:
    mined = workspace.ledger.transactions(
        workspace.chain.key, account=account, states=("mined",), kind="deploy"
    )
    return next((stored.contract_address for stored in reversed(mined) if stored.detail == part), None)


def _create(
    workspace: Workspace,
    key: LocalAccount,
    registry: str,
    name: str,
    spec: FeatureSpec,
    margin: int,
    terms: Terms,
    steps: list[Sent],
) -> HostedModel:
    wire = spec.wire
    parameters = (
        name,
        spec.to_json(),
        (wire.n_features, wire.max_features, wire.valued, margin),
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
    steps.append(submit(workspace, key, kind="create", to=registry, data=data, detail=name))
    _learn_created(workspace, key.address)
    return next(model for model in known_models(workspace) if model.name == name)


def _write_weights(
    workspace: Workspace,
    key: LocalAccount,
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
        progress(f"writing weights {first * 16:,} to {(first + len(chunk)) * 16:,}")
        steps.append(_send(workspace, key, model, "weights", "writeWeights", first, chunk))


def pretrained_words(file: Path, spec: FeatureSpec, margin: int) -> list[int]:
    """Weights to start a model with.

    Args:
        file: an .npz with `weights` and `bias`, or labelled rows (csv, jsonl, parquet) to train on, in order.
        spec: the feature spec.
        margin: the perceptron's margin per active feature.

    Raises:
        BadInput: the file is neither, or no row of it can be used.
    """
    from dcai_cli.features.featurize import FeaturizedRow, Skipped, featurize
    from dcai_cli.features.readers import read_rows
    from dcai_cli.models.perceptron import Perceptron
    from dcai_cli.models.pretrain import read_weights

    if file.suffix == ".npz":
        return read_weights(file, spec.n_features)
    replica = Perceptron(spec.n_features, margin, spec.valued)
    rows = list(featurize(read_rows(file), spec))
    usable = [row for row in rows if isinstance(row, FeaturizedRow)]
    if not usable:
        reason = next(row.reason for row in rows if isinstance(row, Skipped))
        raise BadInput(f"No row of {file} can be trained on; row 1: {reason}.", hint="Check --labels.")
    for row in usable:
        replica.train(row.sample)
    return replica.words()
