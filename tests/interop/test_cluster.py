"""Featurizing on a real Dask cluster: schedulers and workers are processes, and some of them die."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcai_cli import __version__
from dcai_cli.domain import Row
from dcai_cli.errors import BadInput, DcaiError, RpcUnreachable
from dcai_cli.features.cluster import LEAST_AHEAD, featurizer
from dcai_cli.features.columns import Column
from dcai_cli.features.dense import NamedEncoder
from dcai_cli.features.featurize import CHUNK_ROWS, FeaturizedRow, featurize
from dcai_cli.features.spec import FeatureSpec
from tests import plugins
from tests.conftest import PROJECT

pytestmark = pytest.mark.xdist_group("cluster")

SPEC = FeatureSpec.text(labels=["ham", "spam"], n_features=4096, valued=True, max_features=4)
SIGNED = FeatureSpec.text(labels=["ham", "spam"], n_features=2**18, analyzer="char_wb", alternate_sign=True)
TABLE = FeatureSpec.tabular(
    labels=["ham", "spam"],
    columns=[Column("text", "categorical"), Column("size", "numeric", ("2", "4.5"))],
    n_features=4096,
)

CELLS = [
    ("free prize, a prize for you", "spam", "1"),
    ("", "ham", "2"),
    ("?", "ham", "x"),
    ("nobody knows", "eggs", ""),
    ("one two three four five six", "ham", "4.5"),
    ("Übergröße \u4e2d\u6587 \U0001f600", "ham", "1e5"),
    ("half of a pair: \ud83d", "ham", "3"),
    ("two halves: \ud83d\ude00", "ham", "3"),
]
"""Cells of each kind: samples, cut samples, and each reason why there is none."""

BLOCKS = """
import threading
from dcai_cli.features import cluster_work
from dcai_cli.features.featurize import featurize

def stop_in_the_middle(rows, spec, **options):
    results = featurize(rows, spec, **options)
    yield next(results)
    with open({pipe!r}, "w") as pipe:
        pipe.write("begun")
    threading.Event().wait()

cluster_work.featurize = stop_in_the_middle
"""
"""A worker with this begins a chunk, says so into a pipe, and waits to be killed."""

ENDS = """
import os, signal
from dcai_cli.features import cluster_work

cluster_work.featurize = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
"""
"""A worker with this ends with every chunk."""


class Process:
    """A scheduler or worker, started and ready.

    Args:
        program: the module that is run.
        arguments: its arguments.
        ready: what it logs when it is ready; the address stands behind it.
        package: the folder in which it finds dcai.
        environment: more of its environment.
    """

    def __init__(self, program: str, *arguments: str, ready: str, package: Path, **environment: str) -> None:
        words = [sys.executable, "-m", f"distributed.cli.{program}", *arguments, "--no-dashboard"]
        self._process = subprocess.Popen(
            [*words, "--host", "127.0.0.1"],
            cwd=package,
            env={**os.environ, "PYTHONPATH": str(package), **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        assert self._process.stderr is not None
        logged = ""
        for line in self._process.stderr:
            logged += line
            if ready in line:
                self.address = line.rpartition(ready)[2].strip()
                return
        pytest.fail(f"{program} does not start:\n{logged}")

    def kill(self) -> int:
        """End it at once, if it still runs; returns how it ended."""
        with self._process:
            self._process.kill()
        return self._process.returncode


class Cluster:
    """A scheduler, and the workers that are started for it.

    Args:
        stack: ends them all.
        folder: for files of workers.
        environment: of the scheduler.
    """

    def __init__(self, stack: ExitStack, folder: Path, **environment: str) -> None:
        self._stack = stack
        self._folder = folder
        self.scheduler = Process(
            "dask_scheduler", "--port", "0", ready="Scheduler at:", package=PROJECT, **environment
        )
        stack.callback(self.scheduler.kill)
        self.address = self.scheduler.address

    def start_worker(self, preload: str = "", package: Path = PROJECT) -> Process:
        """Start a worker of one thread, which nobody starts again when it ends."""
        arguments = [self.address, "--no-nanny", "--nthreads", "1", "--local-directory", str(self._folder)]
        if preload:
            script = self._folder / "preload.py"
            script.write_text(preload)
            arguments += ["--preload", str(script)]
        worker = Process("dask_worker", *arguments, ready="Registered to:", package=package)
        self._stack.callback(worker.kill)
        return worker


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with one good worker."""
    with ExitStack() as stack:
        made = Cluster(stack, tmp_path_factory.mktemp("cluster"))
        made.start_worker()
        yield made


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler without workers, which gives up on a task when one worker has died of it."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("idle")
        yield Cluster(stack, folder, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")


def rows_of(count: int) -> Iterator[Row]:
    """Rows with the cells above in turn, no two texts alike."""
    for number in range(1, count + 1):
        text, label, size = CELLS[number % len(CELLS)]
        yield Row(number, {"text": f"{text} {number}" if text else "", "label": label, "size": size})


def write_csv(path: Path, count: int) -> Path:
    """The rows that UTF-8 can carry, as a file."""
    lines = (
        f'"{row.cells["text"]}",{row.cells["label"]}'.encode("utf-8", "replace") for row in rows_of(count)
    )
    path.write_bytes(b"text,label\n" + b"\n".join(lines) + b"\n")
    return path


def start_featurize(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start `dcai featurize` on a file, with a spec beside it."""
    (folder / "spec.json").write_text(SPEC.to_json())
    return subprocess.Popen(
        [sys.executable, "-m", "dcai_cli", "featurize", "rows.csv", "-s", "spec.json", "--json", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(pipe: int) -> bytes:
    """What comes first through a pipe; fails after half a minute without anything."""
    readable, _, _ = select.select([pipe], [], [], 30)
    assert readable, "no worker has begun"
    return os.read(pipe, 64)


def test_a_worker_that_is_killed_at_work_changes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """Of two workers one is killed in the middle of a chunk; the command prints the bytes of one machine."""
    write_csv(tmp_path / "rows.csv", 6 * CHUNK_ROWS)
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    doomed = cluster.start_worker(BLOCKS.format(pipe=str(tmp_path / "pipe")))
    there = start_featurize(tmp_path, "--scheduler", cluster.address)
    assert wait_for(pipe) == b"begun"
    assert there.poll() is None
    assert doomed.kill() == -signal.SIGKILL
    os.close(pipe)
    printed, talk = there.communicate()
    assert (there.returncode, talk) == (0, "")
    here, _ = start_featurize(tmp_path).communicate()
    assert printed == here
    assert printed.count('"payload"') > CHUNK_ROWS


def test_workers_encode_texts_and_get_no_vectors(tmp_path: Path) -> None:
    """Texts for an encoder are encoded where workers have it; vectors are rounded here, by no worker."""
    rows = [Row(at, {"text": "abcd"[: at % 5], "label": "ham"}) for at in range(1, 2 * CHUNK_ROWS)]
    vectors = [Row(1, {"label": "spam"}, np.array([0.1, 0.2])), Row(2, {"label": "ham"}, np.zeros(2))]
    encoder = NamedEncoder("letters", "1", "text")
    encoded = FeatureSpec.dense(labels=["ham", "spam"], length=4, scale="10", encoder=encoder)
    dense = FeatureSpec.dense(labels=["ham", "spam"], length=2, scale="100", constant=9)
    with (
        plugins.installed(tmp_path, "lettersmith", {"letters": "Letters"}, plugins.LETTERS),
        ExitStack() as stack,
    ):
        own = Cluster(stack, tmp_path)
        with featurizer(own.address) as there:
            assert list(there(vectors, dense)) == list(featurize(vectors, dense))
            own.start_worker(f"import sys; sys.path.insert(0, {str(tmp_path / 'lettersmith')!r})")
            assert list(there(rows, encoded)) == list(featurize(rows, encoded))
    assert isinstance(next(featurize(vectors, dense)), FeaturizedRow)


@pytest.mark.parametrize("spec", [SPEC, SIGNED, TABLE], ids=["words", "characters", "table"])
@pytest.mark.parametrize("with_labels", [True, False])
def test_a_cluster_gives_what_one_machine_gives(
    cluster: Cluster, spec: FeatureSpec, with_labels: bool
) -> None:
    """Samples, keys, numbers and reasons of texts and tables, with labels and without."""
    rows = list(rows_of(CHUNK_ROWS + 100))
    with featurizer(cluster.address) as there:
        assert list(there(rows, spec, with_labels=with_labels)) == list(
            featurize(rows, spec, with_labels=with_labels)
        )


def test_columns_of_other_names_are_sent(cluster: Cluster) -> None:
    """Names given by options are those of the file here and there."""
    rows = [Row(1, {"body": "good film", "verdict": "ham"})]
    names: dict[str, Any] = {"text_column": "body", "label_column": "verdict"}
    with featurizer(cluster.address) as there:
        assert list(there(rows, SPEC, **names)) == list(featurize(rows, SPEC, **names))
        with pytest.raises(BadInput, match="no column 'text'"):
            there(rows, SPEC)
        assert list(there([], SPEC)) == []


def test_rows_are_read_no_further_ahead_than_the_cluster_needs(cluster: Cluster) -> None:
    """However long the data, a few chunks are in memory."""
    read = 0

    def endless() -> Iterator[Row]:
        nonlocal read
        while True:
            read += 1
            yield Row(read, {"text": f"word{read}", "label": "ham"})

    with featurizer(cluster.address) as there:
        taken = list(islice(there(endless(), SPEC), 3 * CHUNK_ROWS + 1))
    assert [row.number for row in taken] == list(range(1, 3 * CHUNK_ROWS + 2))  # type: ignore[union-attr]
    assert read == (3 + LEAST_AHEAD) * CHUNK_ROWS


def test_a_fault_in_a_row_comes_behind_the_rows_before_it(cluster: Cluster) -> None:
    """A row that cannot be read ends the results where it stands, as on one machine."""

    def broken() -> Iterator[Row]:
        yield from rows_of(10)
        raise BadInput("row 11 is ragged")

    with featurizer(cluster.address) as there:
        results = there(broken(), SPEC)
        assert len(list(islice(results, 10))) == 10
        with pytest.raises(BadInput, match="row 11"):
            next(results)


def test_a_cluster_without_workers_is_said(idle: Cluster) -> None:
    """Nobody waits for ever."""
    with (
        featurizer(idle.address, patience_s=0.1) as there,
        pytest.raises(RpcUnreachable, match=f"{idle.address} has no workers"),
    ):
        list(there(rows_of(3), SPEC))


def bump_version(package: Path) -> None:
    """Make it another version."""
    (package / "__init__.py").write_text('__version__ = "0.0.9"\n')


def change_hashing(package: Path) -> None:
    """Make it hash otherwise under the same version."""
    file = package / "features" / "hashing.py"
    changed = file.read_text(encoding="utf-8").replace("0xCC9E2D51", "0xCC9E2D53")
    assert changed != file.read_text(encoding="utf-8")
    file.write_text(changed, encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (bump_version, f"is dcai 0.0.9, this is {__version__}; nothing that it made is used"),
        (change_hashing, "featurizes otherwise; nothing that it made is used"),
    ],
)
def test_another_program_is_refused(
    idle: Cluster, tmp_path: Path, change: Callable[[Path], None], problem: str
) -> None:
    """A worker of another version, or with other answers under the same version, gives no sample."""
    shutil.copytree(PROJECT / "dcai_cli", tmp_path / "dcai_cli", ignore=shutil.ignore_patterns("*.pyc"))
    change(tmp_path / "dcai_cli")
    worker = idle.start_worker(package=tmp_path)
    taken: list[Any] = []
    with featurizer(idle.address) as there, pytest.raises(DcaiError, match=problem):
        taken.extend(there(rows_of(3), SPEC))
    assert taken == []
    worker.kill()


def test_a_chunk_that_ends_its_workers_is_given_up(idle: Cluster) -> None:
    """After as many workers as Dask allows, the error names the rows."""
    idle.start_worker(ENDS)
    with (
        featurizer(idle.address) as there,
        pytest.raises(DcaiError, match="gave up on rows 1 to 3: 1 workers ended") as caught,
    ):
        list(there(rows_of(3), SPEC))
    assert caught.value.exit_code == 1


def test_a_scheduler_that_goes_away_is_said(tmp_path: Path) -> None:
    """An error names its address; nothing hangs."""
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path)

        def rows() -> Iterator[Row]:
            yield from rows_of(3)
            cluster.scheduler.kill()

        with (
            featurizer(cluster.address) as there,
            pytest.raises(RpcUnreachable, match=f"{cluster.address} is gone"),
        ):
            list(there(rows(), SPEC))
