"""How much memory an export takes, and what a node's lies come to."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dcai_cli.chain import Event, RpcError
from dcai_cli.domain import MAX_BATCH_SAMPLES, PERCEPTRON, ModelParams, Terms, Vector
from dcai_cli.features.payload import encode_sample
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.services import export
from dcai_cli.services.export import export_data
from dcai_cli.services.history import History
from dcai_cli.services.models import HostedModel

SPEC = FeatureSpec.text(labels=["a", "b"], n_features=4096)
WHO, OTHER = "0x" + "3" * 40, "0x" + "4" * 40
MODEL = HostedModel(
    address="0x" + "1" * 40,
    name="m",
    owner="0x" + "2" * 40,
    model="",
    incentive="",
    data_handler="",
    spec=SPEC,
    params=ModelParams(PERCEPTRON, SPEC.n_features, SPEC.max_features),
    incentive_type="stake",
    terms=Terms(1, 2, 3, 4, 1, 1, 1),
    from_block=0,
)
PAYLOAD = b"".join(
    encode_sample(at % 2, Vector(tuple(range(at, at + 40)), (1,) * 40), SPEC.wire)
    for at in range(MAX_BATCH_SAMPLES)
)


def event(name: str, batch: int, **args: Any) -> Event:
    """An event of the trainer."""
    return Event(
        address=MODEL.address,
        name=name,
        args={"batchId": batch, **args},
        block_number=batch,
        block_hash="0x" + "5" * 64,
        transaction_hash=f"0x{batch:064x}",
        log_index=0,
    )


def contributed(batch: int) -> Event:
    """A batch of 256 samples with a deposit of 100 wei each."""
    args = {"addedAt": batch, "depositPerUnit": 100, "informative": 1, "payload": PAYLOAD}
    return event("Contributed", batch, contributor=WHO, **args)


def most_memory(folder: Path, batches: int, ending: str) -> int:
    """Bytes that an export allocates at most, beside what the history holds before."""
    with tempfile.TemporaryFile(dir=folder) as spool:
        history = History(MODEL, 1, spool, from_block=0, to_block=batches, to_time=1)
        for number in range(batches):
            history.take(contributed(number))
        tracemalloc.start()
        try:
            done = export_data(history, folder / f"data.{ending}")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert done.samples == batches * MAX_BATCH_SAMPLES
    return peak


@pytest.mark.parametrize(("ending", "batches"), [("csv", 10), ("parquet", 100)])
def test_memory_does_not_grow_with_the_samples(tmp_path: Path, ending: str, batches: int) -> None:
    """Twice as many samples take no more memory to write, from some groups of rows on."""
    most_memory(tmp_path, 2, ending)  # what is imported and cached once
    assert most_memory(tmp_path, 2 * batches, ending) < 1.1 * most_memory(tmp_path, batches, ending)


def test_a_large_data_set_goes_on_in_more_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is full but the last, and together they have every sample once, in order."""
    monkeypatch.setattr(export, "FILE_SAMPLES", 300)
    with tempfile.TemporaryFile(dir=tmp_path) as spool:
        history = History(MODEL, 1, spool, from_block=0, to_block=9, to_time=1)
        for number in range(3):
            history.take(contributed(number))
        export_data(history, tmp_path / "set", format="hf")
    files = sorted((tmp_path / "set" / "data").iterdir())
    tables = [pq.read_table(path) for path in files]
    assert [table.num_rows for table in tables] == [300, 300, 168]
    places = [(row["batch"], row["index"]) for table in tables for row in table.to_pylist()]
    assert places == [(batch, index) for batch in range(3) for index in range(MAX_BATCH_SAMPLES)]


@pytest.mark.parametrize(("name", "form"), [("d.csv", "csv"), ("d.parquet", "parquet"), ("set", "hf")])
def test_an_export_that_is_interrupted_leaves_what_was_there(tmp_path: Path, name: str, form: str) -> None:
    """Ctrl-C after half of the samples: the old file stays, and neither a new folder nor a part is there."""
    if form != "hf":
        (tmp_path / name).write_text("the old one")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupt(done: int, total: int) -> None:
        if 2 * done >= total:
            raise KeyboardInterrupt

    with tempfile.TemporaryFile() as spool:
        history = History(MODEL, 1, spool, from_block=0, to_block=9, to_time=1)
        for number in range(4):
            history.take(contributed(number))
        with pytest.raises(KeyboardInterrupt):
            export_data(history, tmp_path / name, format=form, progress=interrupt)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


LIES = {
    "a batch twice": contributed(0),
    "a payout of no batch": event("Swept", 7, sweeper=OTHER, amountWei=1),
    "too much refunded": event("Refunded", 0, contributor=WHO, refunded=3, amountWei=201),
    "a sample that is not there": event("Refunded", 0, contributor=WHO, refunded=1 << 256, amountWei=100),
    "nothing refunded": event("Refunded", 0, contributor=WHO, refunded=1, amountWei=0),
    "a report without a right": event("Reported", 0, reporter=OTHER, reported=2, amountWei=0),
    "less swept than was left": event("Swept", 0, sweeper=OTHER, amountWei=25_599),
}


@pytest.mark.parametrize("lie", LIES)
def test_events_that_do_not_follow_from_each_other_are_refused(tmp_path: Path, lie: str) -> None:
    """No export is made of events that no contract of dcai can have emitted."""
    with tempfile.TemporaryFile(dir=tmp_path) as spool:
        history = History(MODEL, 1, spool, from_block=0, to_block=9, to_time=1)
        history.take(contributed(0))
        with pytest.raises(RpcError, match="do not fit together at batch"):
            history.take(LIES[lie])


def test_a_sample_is_refunded_once(tmp_path: Path) -> None:
    """The same refund again does not fit, since nothing of the sample is left."""
    with tempfile.TemporaryFile(dir=tmp_path) as spool:
        history = History(MODEL, 1, spool, from_block=0, to_block=9, to_time=1)
        refund = event("Refunded", 0, contributor=WHO, refunded=1, amountWei=100)
        history.take(contributed(0))
        history.take(refund)
        with pytest.raises(RpcError, match="at batch 0"):
            history.take(refund)
