"""Featurizing on a Dask cluster: what `featurize` gives, made chunk by chunk on other machines.

This process reads the rows and takes the results in their order; workers do what lies between. What a row
becomes is consensus, so every result comes with an identity of the program that made it, and one that is not
ours is refused. Dask runs a chunk anew when the worker that had it dies.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from dcai_cli import __version__
from dcai_cli.domain import Row
from dcai_cli.errors import DcaiError, RpcUnreachable, UsageError
from dcai_cli.features.cluster_work import Job, Packed, columns_sent, featurize_chunk, identify, write_rows
from dcai_cli.features.dense import DENSE
from dcai_cli.features.featurize import (
    TEXT_SIZE,
    FeaturizedRow,
    Skipped,
    cut,
    featurize,
    match_columns,
    used_columns,
)
from dcai_cli.features.spec import FeatureSpec

CONNECT_S = 5.0
"""How long a scheduler may take to answer."""

PATIENCE_S = 30.0
"""How long to wait for a cluster that has no workers."""

LEAST_AHEAD, MOST_AHEAD = 4, 64
"""Chunks on their way at once: two for each thread of the cluster, within these."""

_ADDRESS = re.compile(r"(tcp|tls)://[^/\s]+:[0-9]{1,5}")


class Featurize(Protocol):
    """`featurize` here or on a cluster: the same arguments, results and errors."""

    def __call__(
        self,
        rows: Iterable[Row],
        spec: FeatureSpec,
        *,
        text_column: str | None = None,
        label_column: str | None = None,
        with_labels: bool = True,
        note: Callable[[str], None] = lambda _: None,
    ) -> Iterator[FeaturizedRow | Skipped]:
        """Turn rows into samples, in order."""


@contextmanager
def featurizer(scheduler: str | None, *, patience_s: float = PATIENCE_S) -> Iterator[Featurize]:
    """What featurizes rows: this process, or the cluster of a scheduler.

    Whoever can reach a scheduler can run any code on its workers: it is for networks that are trusted.

    Args:
        scheduler: an address such as tcp://127.0.0.1:8786; None for this process.
        patience_s: seconds to wait for a cluster that has no workers.

    Raises:
        UsageError: this is no address, or Dask is not installed.
        RpcUnreachable: the scheduler does not answer; while iterating: it is gone, or has no workers.
        DcaiError: while iterating: a worker is not of this version, or a chunk ends every worker.
    """
    if scheduler is None:
        yield featurize
        return
    with warnings.catch_warnings(), _connected(scheduler) as client:
        yield _Cluster(client, scheduler, patience_s).featurize


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    """A client of a scheduler."""
    if not _ADDRESS.fullmatch(scheduler):
        raise UsageError(
            f"{scheduler!r} is no address of a Dask scheduler.",
            hint="Write for instance tcp://127.0.0.1:8786.",
        )
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            "--scheduler needs Dask, which is not installed.", hint="pip install 'dcai[dask]'"
        ) from error
    if scheduler.startswith("tls:"):
        _check_certificates()
    # What Dask would log or warn of here either does not matter or ends as an error of ours.
    warnings.filterwarnings("ignore", module=r"distributed|dask")
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_S, set_as_default=False, name="dcai")
    except (OSError, ValueError) as error:
        raise RpcUnreachable(
            f"No Dask scheduler answers at {scheduler}.",
            hint="Check the address; `dask scheduler` prints it when it starts.",
        ) from error
    try:
        yield client
    finally:
        client.close()


def _check_certificates() -> None:
    """Refuse an address with certificates where Dask's configuration has none: its client would hang."""
    import distributed

    try:
        found = distributed.Security().get_connection_args("client")["ssl_context"] is not None
    except (OSError, ValueError):  # files that are not there, or hold something else
        found = False
    if not found:
        raise UsageError(
            "Dask's configuration names no certificates that can be read, and tls:// needs them.",
            hint="Set distributed.comm.tls in it, as on the scheduler; or, in a network of your own, use tcp://.",
        )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A chunk on its way.

    Args:
        first: the number of its first row.
        rows: how many it has.
        future: what Dask gave for it.
    """

    first: int
    rows: int
    future: Any

    def __str__(self) -> str:
        return f"rows {self.first} to {self.first + self.rows - 1}"


class _Cluster:
    """Workers that featurize.

    Args:
        client: a client of Dask.
        address: the scheduler's address, for messages.
        patience_s: seconds to wait for a cluster that has no workers.
    """

    def __init__(self, client: Any, address: str, patience_s: float) -> None:  # noqa: ANN401 - it has no types
        self._client = client
        self._address = address
        self._patience_s = patience_s

    def featurize(
        self,
        rows: Iterable[Row],
        spec: FeatureSpec,
        *,
        text_column: str | None = None,
        label_column: str | None = None,
        with_labels: bool = True,
        note: Callable[[str], None] = lambda _: None,
    ) -> Iterator[FeaturizedRow | Skipped]:
        """Turn rows into samples, in order; see `featurize`."""
        checked, spec = match_columns(
            rows, spec, text_column=text_column, label_column=label_column, with_labels=with_labels, note=note
        )
        if spec.kind == DENSE and spec.encoder is None:  # sending vectors takes longer than rounding them
            return featurize(checked, spec, with_labels=with_labels)
        return self._featurize(checked, spec, Job(spec.to_json(), with_labels))

    def _featurize(
        self, rows: Iterator[Row], spec: FeatureSpec, job: Job
    ) -> Iterator[FeaturizedRow | Skipped]:
        threads = self._threads()
        most = min(MOST_AHEAD, max(LEAST_AHEAD, 2 * threads))
        columns, used = columns_sent(spec, job), used_columns(spec)

        def measure(row: Row) -> int:
            if spec.encoder is not None:  # the same texts together as on one machine
                return TEXT_SIZE
            return sum(len(row.cells[name]) for name in used)

        chunks = cut(rows, measure)
        sent: deque[_Sent] = deque()
        characters = 0
        failure: Exception | None = None
        while failure is None or sent:
            if failure is None and len(sent) < most:
                try:
                    chunk = next(chunks)
                except Exception as error:  # noqa: BLE001 -- raised below, behind the rows before it
                    failure = error
                    continue
                # By what a worker may have had so far it decides whether the kernel pays.
                seen = characters // max(1, threads)
                written = write_rows(chunk, columns)
                future = self._client.submit(featurize_chunk, job, written, seen, pure=False)
                sent.append(_Sent(chunk[0].number if chunk else 0, len(chunk), future))
                characters += sum(map(measure, chunk))
            else:
                yield from self._take(sent.popleft(), job)
        if not isinstance(failure, StopIteration):
            raise failure

    def _take(self, chunk: _Sent, job: Job) -> Iterator[FeaturizedRow | Skipped]:
        """The results of a chunk, once they are there and known to be ours."""
        from distributed import CancelledError

        try:
            worker, identity, results = self._wait(chunk)
        except (CancelledError, OSError) as error:
            raise RpcUnreachable(
                f"The Dask scheduler at {self._address} is gone.", hint="Start it again, and try again."
            ) from error
        _check_identity(worker, identity, identify(job))
        if len(results) != chunk.rows:
            raise DcaiError(f"The worker at {worker} gave {len(results)} results for {chunk}.")
        for is_sample, values in results:
            yield FeaturizedRow(*values) if is_sample else Skipped(*values)

    def _wait(self, chunk: _Sent) -> tuple[str, dict[str, str], list[Packed]]:
        """What a worker gave for a chunk."""
        from distributed import KilledWorker

        while not self._is_done(chunk):
            if not self._threads():
                raise RpcUnreachable(
                    f"The Dask scheduler at {self._address} has no workers.",
                    hint=f"Start one: dask worker {self._address}",
                )
        error = chunk.future.exception()
        if isinstance(error, KilledWorker):
            raise DcaiError(
                f"The cluster gave up on {chunk}: {error.allowed_failures + 1} workers ended with them.",
                hint="They may need more memory: see the workers' logs, or leave --scheduler out.",
            )
        if isinstance(error, DcaiError):
            raise type(error)(f"On the cluster, {chunk}: {error.message}", hint=error.hint)
        if error is not None:
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            raise DcaiError(
                f"The cluster failed at {chunk}: {problem}",
                hint=f"Install dcai {__version__} where the scheduler and the workers run.",
            )
        done: tuple[str, dict[str, str], list[Packed]] = chunk.future.result()
        return done

    def _is_done(self, chunk: _Sent) -> bool:
        """Whether a chunk is done before patience ends."""
        try:
            chunk.future.exception(timeout=self._patience_s)
        except TimeoutError:
            return False
        return True

    def _threads(self) -> int:
        """Threads of all workers."""
        return sum(self._client.nthreads().values())


def _check_identity(worker: str, theirs: dict[str, str], ours: dict[str, str]) -> None:
    if theirs == ours:
        return
    version = theirs.get("version")
    problem = (
        f"is dcai {version}, this is {__version__}" if version != __version__ else "featurizes otherwise"
    )
    raise DcaiError(
        f"The worker at {worker} {problem}; nothing that it made is used.",
        hint=f"Install the same dcai {__version__} there, and start the worker again.",
    )
