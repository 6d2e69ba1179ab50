"""Everything contributed, as a table: the data stays available for every future use."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import iso_time
from dcai_cli.features.payload import decode_payload
from dcai_cli.files import write_atomically
from dcai_cli.services.models import HostedModel, find_model
from dcai_cli.services.report import contributed_batches

if TYPE_CHECKING:
    from dcai_cli.services.workspace import Workspace

COLUMNS = ("batch", "index", "contributor", "label", "features", "added_at", "state")


@dataclass(frozen=True, slots=True)
class Export:
    """What was exported.

    Args:
        model: the model.
        output: the file.
        batches: batches in it.
        samples: rows in it.
    """

    model: HostedModel
    output: Path
    batches: int
    samples: int


def export_data(workspace: Workspace, output: Path, *, model: str | None = None) -> Export:
    """Write one csv row per sample on-chain.

    Features are `index:value` pairs, separated by spaces; the state is open, refunded, reported or swept.

    Args:
        workspace: the opened parts.
        output: the csv file.
        model: name or address, or None.
    """
    hosted = find_model(workspace, model)
    states = _states(workspace, hosted)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    batches = samples = 0
    for batch, payload in contributed_batches(workspace, hosted):
        batches += 1
        for index, (label, vector) in enumerate(decode_payload(payload, hosted.wire)):
            samples += 1
            pairs = zip(vector.indices, vector.values, strict=True)
            writer.writerow(
                [
                    batch.id,
                    index,
                    batch.contributor,
                    hosted.spec.labels[label],
                    " ".join(f"{position}:{value}" for position, value in pairs),
                    iso_time(batch.added_at),
                    states[batch.id].get(index, states[batch.id].get(-1, "open")),
                ]
            )
    write_atomically(output, text.getvalue().encode(), mode=0o644)
    return Export(hosted, output, batches, samples)


def _states(workspace: Workspace, model: HostedModel) -> dict[int, dict[int, str]]:
    """What became of samples: batch -> index -> state; index -1 stands for all others of a swept batch."""
    states: dict[int, dict[int, str]] = defaultdict(dict)
    # The last one here wins: a refund settles what reports have left of a sample.
    for name, argument in (("Swept", None), ("Reported", "reported"), ("Refunded", "refunded")):
        for event in workspace.chain.logs("CollaborativeTrainer", model.address, name, model.from_block):
            of_batch = states[event.args["batchId"]]
            if argument is None:
                of_batch[-1] = "swept"
                continue
            mask = event.args[argument]
            of_batch.update((index, name.lower()) for index in range(mask.bit_length()) if mask >> index & 1)
    return states
