"""What is drawn of a model: its accuracy as people published it, contributions over time, and confusion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcai_cli.chain.registry import TRAINER
from dcai_cli.features.payload import split_payload
from dcai_cli.services.evaluate import published_evaluations
from dcai_cli.services.plots import Chart, Matrix, Timeline, added_up

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.services.models import HostedModel


def confusion_chart(model: HostedModel, confusion: Sequence[Sequence[int]]) -> Matrix:
    """How a model's predictions compare with the labels.

    Args:
        model: the model.
        confusion: for each label, how often each label was predicted.
    """
    rows = sum(map(sum, confusion))
    right = sum(counts[at] for at, counts in enumerate(confusion))
    title = f"{model.name}: {right:,} of {rows:,} rows predicted right"
    return Matrix(title, model.spec.labels, confusion)


def model_charts(chain: Chain, model: HostedModel) -> list[Chart]:
    """A model over time: the accuracy that was published for each test set, and what was contributed.

    Args:
        chain: the chain.
        model: the model.
    """
    return [
        Timeline(
            f"accuracy of {model.name}, as it was published",
            "accuracy",
            _accuracy(chain, model),
            is_share=True,
        ),
        Timeline(
            f"samples contributed to {model.name}",
            "samples",
            {"samples": added_up(_contributions(chain, model))},
            is_sum=True,
        ),
    ]


def _accuracy(chain: Chain, model: HostedModel) -> dict[str, list[tuple[int, float]]]:
    """For each publisher and test set the times and accuracies; those with most of them first."""
    series: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for found in published_evaluations(chain, model):
        name = f"set {found.test_set_hash[2:8]}, by {found.publisher[:8]}…"
        series[name].append((found.published_at, found.accuracy))
    return dict(sorted(series.items(), key=lambda item: -len(item[1])))


def _contributions(chain: Chain, model: HostedModel) -> list[tuple[int, int]]:
    """Time and samples of each batch."""
    parts = chain.logs_of(TRAINER, model.address, ["Contributed"], model.from_block)
    return [
        (event.args["addedAt"], len(split_payload(event.args["payload"], model.wire)))
        for _, events in parts
        for event in events
    ]
