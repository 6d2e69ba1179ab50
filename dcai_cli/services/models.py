"""Models on a chain: finding the one that is meant, reading what it is, copying its weights."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.registry import ANY_INCENTIVE, ANY_MODEL, INCENTIVE_CONTRACTS, MODEL_CONTRACTS
from dcai_cli.chain.verification import is_ours
from dcai_cli.domain import PERCEPTRON, ModelParams, Terms, Wire
from dcai_cli.errors import BadInput, DcaiError, UsageError
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.ledger import ModelRecord
from dcai_cli.services.accounts import acting_account
from dcai_cli.services.registry import registered

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.models.replica import Replica
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
        params: its type and shape.
        incentive_type: "stake" or "points".
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
    params: ModelParams
    incentive_type: str
    terms: Terms
    from_block: int

    @property
    def wire(self) -> Wire:
        """How it reads samples."""
        return self.spec.wire

    @property
    def typed(self) -> str:
        """What names it in a command: its name, or its address where that is no plain word."""
        return self.name if re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name) else self.address

    @property
    def has_points(self) -> bool:
        """Whether contributions earn points, instead of costing a deposit."""
        return self.incentive_type == "points"


@contextmanager
def hints_naming(model: HostedModel) -> Iterator[None]:
    """Let the hints of errors name the model: pasted as they are, they mean no other one that is in use."""
    try:
        yield
    except DcaiError as error:
        for command, named in _OF_A_MODEL.items():
            if f"{command} --model" not in error.hint:
                error.hint = error.hint.replace(command, named.format(model=model.typed))
        raise


_OF_A_MODEL = {
    "dcai contribute FILE": "dcai contribute FILE --model {model}",
    "dcai leaderboard": "dcai leaderboard --model {model}",
    "dcai refunds": "dcai refunds --model {model}",
    "dcai reports": "dcai reports --model {model}",
    "dcai model seal NAME": "dcai model seal {model}",
    "dcai model verify": "dcai model verify {model}",
}
"""Commands of hints that mean the model in use unless they name one."""


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
    model, incentive = str(read("model")), str(read("incentive"))
    params = ModelParams(_known_type(chain, address, ANY_MODEL, model, "modelType"), *read("params"))
    incentive_type = _known_type(chain, address, ANY_INCENTIVE, incentive, "incentiveType")
    if spec.wire != params.wire:
        raise BadInput(
            f"The feature spec of {address} asks for {spec.wire}, its contract for {params.wire}.",
            hint="Do not use this model: rows would become other samples than its publisher says.",
        )
    refund, report, owner, public, gap, idle, cost = read("terms")
    return HostedModel(
        address=address,
        name=name or address,
        owner=str(read("owner")),
        model=model,
        incentive=incentive,
        data_handler=str(read("dataHandler")),
        spec=spec,
        params=params,
        incentive_type=incentive_type,
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


def _known_type(chain: Chain, trainer: str, contract_name: str, address: str, getter: str) -> str:
    """What a part says that it is; every part of its kind answers to the same functions."""
    known = MODEL_CONTRACTS if contract_name == ANY_MODEL else INCENTIVE_CONTRACTS
    found = str(chain.view(contract_name, address, getter))
    if found not in known:
        raise BadInput(
            f"{trainer} is made of a part of the type {found!r}; this version knows {', '.join(known)}.",
            hint="Install a newer dcai, or use another model.",
        )
    return found


def remember(workspace: Workspace, model: HostedModel) -> None:
    """Put a model into the ledger, so that its name works from now on."""
    description = {
        "model": model.model,
        "incentive": model.incentive,
        "data_handler": model.data_handler,
        "params": asdict(model.params),
        "incentive_type": model.incentive_type,
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
    spec = FeatureSpec.from_json(record.spec)
    # Ledgers of the first version knew perceptrons with stakes only.
    params = description.get("params") or {
        "model_type": PERCEPTRON,
        "n_features": spec.n_features,
        "max_features": spec.max_features,
        "valued": spec.valued,
        "margin": description["margin"],
    }
    return HostedModel(
        address=record.address,
        name=record.name,
        owner=record.owner,
        model=description["model"],
        incentive=description["incentive"],
        data_handler=description["data_handler"],
        spec=spec,
        params=ModelParams(**params),
        incentive_type=description.get("incentive_type", "stake"),
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
            hint="Name one by its address (--model 0x...), or find settings for one of your own: "
            "dcai model suggest FILE",
        )
    for model in known:
        if wanted.lower() in {model.name, model.address.lower(), f"{model.owner.lower()}/{model.name}"}:
            return model
    owner, slash, name = wanted.rpartition("/")
    if slash:
        wanted = _registered(workspace, owner, name)
    elif _ADDRESS.fullmatch(wanted) is None:
        names = ", ".join(model.name for model in known) or "none"
        raise UsageError(
            f"No model is called {wanted!r} on this chain (known: {names}).",
            hint="Name one that is known, an address, or OWNER/NAME as `dcai model list` shows them.",
        )
    return _adopt(workspace, wanted, unverified=unverified)


def _registered(workspace: Workspace, owner: str, name: str) -> str:
    """The address of a model of the registry, by its owner (an address, or an account here) and its name."""
    if _ADDRESS.fullmatch(owner) is None:
        owner = acting_account(workspace, owner).address
    address = registered(workspace, owner, name)
    if address is None:
        raise UsageError(
            f"The registry of this chain has no model {name!r} of {owner}.",
            hint="See what there is: dcai model list, with --registry 0x... if no registry is known yet",
        )
    return address


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


def read_words(
    chain: Chain,
    model: HostedModel,
    *,
    block: int | str = "latest",
    progress: Callable[[int, int], None] | None = None,
) -> list[int]:
    """Read all storage words of a model from the chain.

    Args:
        chain: the chain.
        model: the model.
        block: as they are after this block; nodes that are no archive know the newest ones only.
        progress: called with (words read, words in all).
    """
    total = model.params.total_words
    words: list[int] = []
    while len(words) < total:
        count = min(WORDS_PER_CALL, total - len(words))
        words += chain.view(ANY_MODEL, model.model, "weights", len(words), count, block=block)
        if progress:
            progress(len(words), total)
    return words


def snapshot(
    chain: Chain,
    model: HostedModel,
    *,
    block: int | str = "latest",
    progress: Callable[[int, int], None] | None = None,
) -> Replica:
    """Copy a model's weights from the chain into a replica; the arguments are those of `read_words`."""
    from dcai_cli.models import make_replica

    return make_replica(model.params, read_words(chain, model, block=block, progress=progress))
