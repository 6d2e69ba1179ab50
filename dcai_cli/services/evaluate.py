"""Evaluations: how a model does on labelled rows, and what people state of that on the chain.

Whoever publishes an evaluation names its test set by a hash, so that figures over time can be compared, and
anybody with the file can tell whether it is the one:

    test set hash = keccak256( keccak256(spec) || sample 1 || sample 2 || ... )

`spec` is the model's feature spec as it stands on the chain, canonical JSON in UTF-8. The samples are those
of the rows that were predicted, in the order of the file, in the bytes that a contribution has (label
included); rows that give no sample are left out. Models with the same spec share the hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.chain.registry import TRAINER
from dcai_cli.chain.signing import decode_signed
from dcai_cli.domain import counted
from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.features.featurize import Skipped, featurize
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.hashing import keccak256, keccak256_in_parts
from dcai_cli.services.accounts import Password, acting_account, unlock
from dcai_cli.services.cost import cost_of
from dcai_cli.services.models import HostedModel, find_model, snapshot
from dcai_cli.services.predict import classes_of
from dcai_cli.services.transactions import Outbox, finish

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How well a model does on one class.

    Args:
        label: the class's label.
        rows: rows that have it.
        precision: of the rows predicted so, the share that have it; None if none was.
        recall: of the rows that have it, the share predicted so; None if there are none.
    """

    label: str
    rows: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a model does on labelled rows.

    Args:
        model: the model.
        rows: rows that were predicted.
        correct: rows predicted right.
        classes: the figures of each class.
        confusion: by the true class and the predicted one, how many rows.
        test_set_hash: what identifies the rows that were predicted, in hexadecimal.
        skipped: rows that cannot be predicted, with the reason.
    """

    model: HostedModel
    rows: int
    correct: int
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    test_set_hash: str
    skipped: tuple[Skipped, ...]

    @property
    def accuracy(self) -> float:
        """Share of the rows predicted right."""
        return self.correct / self.rows


@dataclass(frozen=True, slots=True)
class Publication:
    """An evaluation as it stands on the chain: what somebody states, which nobody has checked.

    Args:
        publisher: the address that states it.
        test_set_hash: what identifies the test set.
        rows: rows that were tested.
        correct: how many of them were predicted right.
        block_number: its block.
        published_at: that block's time.
        transaction: what it was sent in.
    """

    publisher: str
    test_set_hash: str
    rows: int
    correct: int
    block_number: int
    published_at: int
    transaction: str

    @property
    def accuracy(self) -> float:
        """Share of the rows predicted right."""
        return self.correct / self.rows


@dataclass(frozen=True, slots=True)
class Published:
    """The transaction that an evaluation was published in.

    Args:
        publisher: the account's address.
        transaction: its hash.
        gas_used: by its receipt.
        fee_wei: what it cost.
    """

    publisher: str
    transaction: str
    gas_used: int
    fee_wei: int


class SetDigest:
    """What identifies a test set on the chain; the module says how it is made.

    Args:
        spec: the model's feature spec.

    >>> from dcai_cli.features.spec import FeatureSpec
    >>> digest = SetDigest(FeatureSpec.text(labels=["ham", "spam"], n_features=4096))
    >>> digest.add(bytes.fromhex("0100010a47"))
    >>> digest.hexadecimal()[:17]
    '0xbae18f08401fa31'
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self._digest = keccak256_in_parts()
        self._digest.update(keccak256(spec.to_json().encode()))

    def add(self, sample: bytes) -> None:
        """Take the next sample, as it stands on the wire."""
        self._digest.update(sample)

    def hexadecimal(self) -> str:
        """The hash of what was taken so far."""
        return f"0x{self._digest.digest().hex()}"


def evaluate_file(
    workspace: Workspace,
    file: Source | Path,
    *,
    model: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    skip: int = 0,
    note: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Measure a model on labelled rows.

    Args:
        workspace: the opened parts.
        file: the rows.
        model: name or address, or None.
        text_column: column of the text, over the spec's.
        label_column: column of the label, over the spec's.
        skip: leave out so many rows at the start: those that the model was trained on.
        note: is told of an encoding other than UTF-8, and of columns that a tabular model does not use.

    Raises:
        BadInput: no row can be predicted.
    """
    hosted = find_model(workspace, model)
    pairs: Counter[tuple[int | None, int]] = Counter()
    digest = SetDigest(hosted.spec)
    skipped: list[Skipped] = []
    with open_rows(file, note=note, vector_column=hosted.spec.vector_column) as rows:
        featurized = featurize(
            rows.part(skip=skip),
            hosted.spec,
            text_column=text_column,
            label_column=label_column,
            note=note,
        )
        for row, predicted in classes_of(snapshot(workspace.chain, hosted), featurized):
            if isinstance(row, Skipped):
                skipped.append(row)
            else:
                pairs[row.label, predicted] += 1
                digest.add(row.sample)
    if not pairs:
        if not skipped:
            raise BadInput(
                f"{file} has no rows behind the first {skip}.", hint="Leave out --skip, or lower it."
            )
        first = f"; row {skipped[0].row}: {skipped[0].reason}"
        raise BadInput(f"No row of {file} can be predicted{first}.", hint="Check the columns and the labels.")
    return Evaluation(
        model=hosted,
        rows=pairs.total(),
        correct=sum(count for (label, found), count in pairs.items() if label == found),
        classes=tuple(_figures(pairs, number, label) for number, label in enumerate(hosted.spec.labels)),
        confusion=tuple(
            tuple(pairs[label, found] for found in range(len(hosted.spec.labels)))
            for label in range(len(hosted.spec.labels))
        ),
        test_set_hash=digest.hexadecimal(),
        skipped=tuple(skipped),
    )


def _figures(pairs: Counter[tuple[int | None, int]], number: int, label: str) -> ClassFigures:
    right = pairs[number, number]
    predicted = sum(count for (_, found), count in pairs.items() if found == number)
    actual = sum(count for (true, _), count in pairs.items() if true == number)
    return ClassFigures(
        label=label,
        rows=actual,
        precision=right / predicted if predicted else None,
        recall=right / actual if actual else None,
    )


def publish_evaluation(
    workspace: Workspace,
    evaluation: Evaluation,
    *,
    password: Password,
    account: str | None = None,
    confirm: Callable[[str], None] = lambda _: None,
) -> Published:
    """State on the chain how a model did, with the account's name on it; it stays there for ever.

    Args:
        workspace: the opened parts.
        evaluation: what was measured.
        password: asked once for the account's password.
        account: who states it; the acting account if None.
        confirm: gets what will be done and its cost before anything is signed; raises to stop it.

    Raises:
        InsufficientFunds: the balance does not cover it; nothing was sent.
        Reverted: the contract refused.
    """
    chain, model = workspace.chain, evaluation.model
    stored = acting_account(workspace, account)
    data = chain.encode(
        TRAINER,
        "publishEvaluation",
        bytes.fromhex(evaluation.test_set_hash.removeprefix("0x")),
        evaluation.rows,
        evaluation.correct,
    )
    with workspace.sending(stored.address) as turn:
        cost = cost_of(workspace, stored.address, model.address, data)
        with turn.aside():
            confirm(
                f"State on {chain.url_label} for ever, from {stored.name} ({stored.address}): {model.name} "
                f"predicts {evaluation.correct} of {counted(evaluation.rows, 'row')} right, test set "
                f"{evaluation.test_set_hash}. {cost.in_words}"
            )
        key = unlock(workspace, stored, password)
        ceiling_wei = None if chain.is_embedded else cost.ceiling_wei
        for done in finish(workspace, key.address, key, ceiling_wei=ceiling_wei):
            # An earlier run of the same command may have died before it saw that this was mined.
            if done.kind == "evaluation" and done.state == "mined" and decode_signed(done.raw).data == data:
                return Published(key.address, done.hash, done.gas_used or 0, done.fee_wei or 0)
        outbox = Outbox(workspace, key.address, key, ceiling_wei=ceiling_wei)
        sent = outbox.carry_out(kind="evaluation", to=model.address, data=data, model=model.address)
    return Published(key.address, sent.hash, sent.gas_used, sent.fee_wei)


def published_evaluations(chain: Chain, model: HostedModel) -> list[Publication]:
    """What was stated of a model so far, oldest first."""
    times: dict[int, int] = {}
    found = []
    for event in chain.logs(TRAINER, model.address, "EvaluationPublished", model.from_block):
        number, args = event.block_number, event.args
        if not 0 <= args["correct"] <= args["rows"] or not args["rows"]:
            raise DcaiError(
                f"{chain.url_label} shows an evaluation of {args['correct']} in {args['rows']} rows.",
                hint="The contract refuses such; ask another node: --rpc-url URL",
            )
        if number not in times:
            times[number] = chain.block_time(number)
        found.append(
            Publication(
                publisher=args["publisher"],
                test_set_hash=f"0x{args['testSetHash'].hex()}",
                rows=args["rows"],
                correct=args["correct"],
                block_number=number,
                published_at=times[number],
                transaction=event.transaction_hash,
            )
        )
    return found
