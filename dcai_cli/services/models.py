"""Models on a chain: finding the one that is meant, reading what it is, copying its weights."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.verification import is_ours
from dcai_cli.domain import Terms, Wire
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.ledger import ModelRecord

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.models.perceptron import Perceptron
    from dcai_cli.services.workspace import Workspace

WORDS_PER_CALL = 1024
"""Words of weights read by one call: 16,384 weights, 32 KiB of answer."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A model on a chain, as its contracts describe it.

    Args:
        address: the trainer: the address people call it by.
        name: what this user calls it.
        owner: who deployed it.
        model: the address of the model contract (the weights).
        incentive: the address of the incentive mechanism.
        data_handler: the address of the data handler.
        spec: the feature spec.
        margin: the perceptron's margin per active feature.
        terms: time-outs and price.
        from_block: no event of it is older.
    """

    address: str
    name: str
    owner: str
    model: str
    incentive: str
    data_handler: str
    spec: FeatureSpec
    margin: int
    terms: Terms
    from_block: int

    @property
    def wire(self) -> Wire:
        """How it reads samples."""
        return self.spec.wire


def describe(chain: Chain, address: str, *, name: str = "", from_block: int = 0) -> HostedModel:
    """Read a model from its contracts.

    Args:
        chain: the chain.
        address: the trainer's address.
        name: what to call it; its address if empty.
        from_block: no event of it is older.

    Raises:
        BadInput: its feature spec is not one that this dcai knows, or contradicts its parameters.
    """

    def read(function: str) -> Any:  # noqa: ANN401 - by ABI
        return chain.view("CollaborativeTrainer", address, function)

    spec = FeatureSpec.from_json(str(read("featureSpec")))
    n_features, max_features, valued, _, _, margin, _, _ = read("params")
    declared = Wire(n_features=n_features, max_features=max_features, valued=valued)
    if spec.wire != declared:
        raise BadInput(
            f"The feature spec of {address} asks for {spec.wire}, its contract for {declared}.",
            hint="Do not use this model: rows would become other samples than its publisher says.",
        )
    refund, report, owner, public, gap, idle, cost = read("terms")
    return HostedModel(
        address=address,
        name=name or address,
        owner=str(read("owner")),
        model=str(read("model")),
        incentive=str(read("incentive")),
        data_handler=str(read("dataHandler")),
        spec=spec,
        margin=margin,
        terms=Terms(
            refund_wait_s=refund,
            report_wait_s=report,
            owner_wait_s=owner,
            public_wait_s=public,
            min_gap_s=gap,
            max_idle_s=idle,
            cost_weight_wei=cost,
        ),
        from_block=from_block,
    )


def remember(workspace: Workspace, model: HostedModel) -> None:
    """Put a model into the ledger, so that its name works from now on."""
    description = {
        "model": model.model,
        "incentive": model.incentive,
        "data_handler": model.data_handler,
        "margin": model.margin,
        "terms": asdict(model.terms),
    }
    workspace.ledger.add_model(
        ModelRecord(
            chain=workspace.chain.key,
            address=model.address,
            name=model.name,
            owner=model.owner,
            spec=model.spec.to_json(),
            description=json.dumps(description, sort_keys=True),
            from_block=model.from_block,
        )
    )


def known_models(workspace: Workspace) -> list[HostedModel]:
    """The models of this chain that the ledger knows, oldest first."""
    return [_from_record(record) for record in workspace.ledger.models(workspace.chain.key)]


def _from_record(record: ModelRecord) -> HostedModel:
    description = json.loads(record.description)
    return HostedModel(
        address=record.address,
        name=record.name,
        owner=record.owner,
        model=description["model"],
        incentive=description["incentive"],
        data_handler=description["data_handler"],
        spec=FeatureSpec.from_json(record.spec),
        margin=description["margin"],
        terms=Terms(**description["terms"]),
        from_block=record.from_block,
    )


def find_model(workspace: Workspace, name_or_address: str | None, *, unverified: bool = False) -> HostedModel:
    """The model that is meant: named, in use, or the only one.

    An address that the ledger does not know yet is read from the chain, and remembered.

    Args:
        workspace: the opened parts.
        name_or_address: what was typed, or None.
        unverified: take a model although its code is not what dcai ships.

    Raises:
        UsageError: none is named and there is not just one, or no model has this name.
        WrongChain: there is no code at the address, or code that is not ours.
    """
    known = known_models(workspace)
    wanted = name_or_address or workspace.ledger.choice(workspace.chain.key, "model")
    if wanted is None:
        if len(known) == 1:
            return known[0]
        if known:
            names = ", ".join(model.name for model in known)
            raise UsageError(f"There are several models ({names}).", hint="Name one: --model NAME")
        raise UsageError(
            "No model is known on this chain.",
            hint="Name one by its address: --model 0x..., or deploy one: dcai model deploy --help",
        )
    for model in known:
        if wanted == model.name or wanted.lower() == model.address.lower():
            return model
    if _ADDRESS.fullmatch(wanted) is None:
        names = ", ".join(model.name for model in known) or "none"
        raise UsageError(
            f"No model is called {wanted!r} on this chain (known: {names}).",
            hint="Name one that is known, or an address: --model 0x...",
        )
    return _adopt(workspace, wanted, unverified=unverified)


def _adopt(workspace: Workspace, address: str, *, unverified: bool) -> HostedModel:
    from eth_utils.address import to_checksum_address

    if not unverified or not workspace.chain.code(address):
        is_ours(workspace.chain, address)
    model = describe(workspace.chain, to_checksum_address(address))
    # Unverified ones, too: what is deposited there must be found again. `contribute` verifies every time.
    remember(workspace, model)
    return model


def use_model(workspace: Workspace, name_or_address: str) -> HostedModel:
    """Mean this model from now on when none is named."""
    model = find_model(workspace, name_or_address)
    workspace.ledger.choose(workspace.chain.key, "model", model.address)
    return model


def snapshot(
    chain: Chain, model: HostedModel, *, progress: Callable[[int, int], None] | None = None
) -> Perceptron:
    """Copy a model's weights from the chain into a replica.

    Args:
        chain: the chain.
        model: the model.
        progress: called with (words read, words in all).
    """
    from dcai_cli.models.perceptron import Perceptron

    total = model.wire.word_count + 1  # the biases stand in the word behind the weights
    words: list[int] = []
    while len(words) < total:
        count = min(WORDS_PER_CALL, total - len(words))
        words += chain.view("Perceptron", model.model, "weights", len(words), count)
        if progress:
            progress(len(words), total)
    return Perceptron.from_words(words, model.wire.n_features, model.margin, model.wire.valued)


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model with what changes about it.

    Args:
        model: the model.
        sealed_at: when it was opened for contributions; 0 if it is not.
        batches: batches contributed so far.
        unit_price_wei: what a batch of one unit costs now; None before it is sealed.
        balance_wei: deposits that its trainer holds.
    """

    model: HostedModel
    sealed_at: int
    batches: int
    unit_price_wei: int | None
    balance_wei: int


def model_status(workspace: Workspace, model: HostedModel) -> ModelStatus:
    """Read what changes about a model."""
    chain = workspace.chain
    sealed_at = chain.view("CollaborativeTrainer", model.address, "sealedAt")
    return ModelStatus(
        model=model,
        sealed_at=sealed_at,
        batches=chain.view("CollaborativeTrainer", model.address, "batchCount"),
        unit_price_wei=chain.view("CollaborativeTrainer", model.address, "quote", 1) if sealed_at else None,
        balance_wei=chain.balance_wei(model.address),
    )


def verify_model(workspace: Workspace, name_or_address: str | None) -> HostedModel:
    """Compare the code of a model and all its parts with what dcai ships.

    Raises:
        WrongChain: there is no code, or another.
    """
    model = find_model(workspace, name_or_address)
    is_ours(workspace.chain, model.address)
    return model
