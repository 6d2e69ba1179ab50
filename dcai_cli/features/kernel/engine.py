"""The kernel as other modules see it: settings and UTF-8 in, sparse rows out, in chunks and on threads."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from dcai_cli.errors import BadInput, DcaiError
from dcai_cli.files import make_folder

if TYPE_CHECKING:
    from dcai_cli.features.kernel.compiled import Output, Scratch, Settings, Tables

ANALYZERS = ("word", "char", "char_wb")
MAX_FEATURES = 2**24
MAX_NGRAM = 8
MAX_DOCUMENT_BYTES = 2**30
"""Positions in a document are 32-bit, and lower-casing can lengthen it by half."""

CHUNK_BYTES = 2**21
"""What one call of the machine code works on: enough to hide the call, little enough to stay small."""
_CHUNK_ROOM = 2**19

PAYS_COMPILED_BYTES = 8 * 2**20
PAYS_BYTES = 96 * 2**20
"""From how many bytes of text on the kernel is worth its start; see `pays`."""


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How texts become hashed features; the names and meanings are those of scikit-learn's HashingVectorizer.

    Args:
        analyzer: "word", "char" or "char_wb".
        ngram_range: least and greatest number of words or characters in a feature, 1 to 8.
        lowercase: whether the text is lower-cased first.
        alternate_sign: whether a feature counts -1 where its hash is negative.
        n_features: size of the hash space, 1 to 2^24.

    Raises:
        ValueError: a setting is unknown or out of range.
    """

    analyzer: str = "word"
    ngram_range: tuple[int, int] = (1, 1)
    lowercase: bool = True
    alternate_sign: bool = False
    n_features: int = 2**18

    def __post_init__(self) -> None:
        least, greatest = self.ngram_range
        if self.analyzer not in ANALYZERS:
            raise ValueError(f"analyzer is {self.analyzer!r}; it must be one of {', '.join(ANALYZERS)}")
        if not 1 <= least <= greatest <= MAX_NGRAM:
            raise ValueError(
                f"ngram_range is {self.ngram_range}; it must rise and be within 1 to {MAX_NGRAM}"
            )
        if not 1 <= self.n_features <= MAX_FEATURES:
            raise ValueError(f"n_features is {self.n_features}; it must be 1 to {MAX_FEATURES}")


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Sparse integer rows, one after the other (compressed sparse rows).

    Args:
        indptr: int64[rows + 1]: row r is the stretch indptr[r] to indptr[r + 1] of the other two.
        indices: int32, strictly rising within a row.
        counts: int32; 0 where features cancelled each other out under alternate_sign.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    counts: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indptr) - 1


def pays(n_bytes: int) -> bool:
    """Whether so much text is done sooner by the kernel than by plain Python, its start included.

    Measured from text to sample, words of 820-byte documents: plain Python does 5 MB/s and the kernel 49,
    after 0.8 s of CPU time for importing numba and loading what was compiled before, or some 9 s if it
    has to be compiled. So it draws level at 5 and at 52 MB. The limits are nearly twice that: whoever asks
    while rows come in does not know how many are left.
    """
    if sys.byteorder != "little" or n_bytes < PAYS_COMPILED_BYTES:
        return False
    return n_bytes >= PAYS_BYTES or _is_compiled()


def is_available() -> bool:
    """Whether the machine code works here: numba is installed and compiles, bytes are little-endian."""
    return sys.byteorder == "little" and _machine_code() is not None


def hash_texts(
    data: bytes | bytearray | memoryview | NDArray[np.uint8],
    offsets: NDArray[np.int64],
    settings: TextSettings,
    *,
    threads: int = 1,
) -> SparseRows:
    """Hash documents, equal bit for bit to HashingVectorizer(norm=None) under Unicode 14.

    Args:
        data: UTF-8 of all documents, one after the other.
        offsets: int64[documents + 1], rising: document d is data[offsets[d] : offsets[d + 1]].
        settings: how texts become features.
        threads: how many threads work at once.

    Returns:
        A row for each document. Features that cancel each other out stay, with count 0, as scikit-learn keeps
        them. Beside the rows it takes up to 75 MB for each thread.

    Raises:
        BadInput: a document is no valid UTF-8, or longer than 1 GiB.
        ValueError: offsets fall or leave the data.
        RuntimeError: there is no kernel on this machine; see `is_available`.

    >>> rows = hash_texts(b"So, so good!", np.array([0, 12]), TextSettings(n_features=256))
    >>> rows.indices.tolist(), rows.counts.tolist()
    ([65, 121], [1, 2])
    """
    indptr = np.zeros(len(offsets), dtype=np.int64)
    indices = np.empty(0, dtype=np.int32)
    counts = np.empty(0, dtype=np.int32)
    row = 0
    for rows in _hash_ranges(data, offsets, settings, threads):
        start = indptr[row]
        stop = start + len(rows.indices)
        if stop > len(indices):
            # Resizing in place moves pages instead of copying, so there are never two of a large array.
            room = int(stop + stop // 4)
            indices.resize(room, refcheck=False)
            counts.resize(room, refcheck=False)
        indices[start:stop] = rows.indices
        counts[start:stop] = rows.counts
        indptr[row + 1 : row + 1 + len(rows)] = rows.indptr[1:] + start
        row += len(rows)
    indices.resize(int(indptr[row]), refcheck=False)
    counts.resize(int(indptr[row]), refcheck=False)
    return SparseRows(indptr, indices, counts)


def hash_chunks(
    data: bytes | bytearray | memoryview | NDArray[np.uint8],
    offsets: NDArray[np.int64],
    settings: TextSettings,
    *,
    threads: int = 1,
) -> Iterator[SparseRows]:
    """Hash documents in chunks, in order: `hash_texts` for whoever does not need all rows at once.

    Arguments and errors are those of `hash_texts`; a chunk has at least one document.
    """
    for rows in _hash_ranges(data, offsets, settings, threads):
        yield _copy(rows) if threads == 1 else rows


def _hash_ranges(
    data: bytes | bytearray | memoryview | NDArray[np.uint8],
    offsets: NDArray[np.int64],
    settings: TextSettings,
    threads: int,
) -> Iterator[SparseRows]:
    """The chunks of `hash_chunks`; on one thread they are views that the next one overwrites."""
    text = np.frombuffer(data, dtype=np.uint8).view()
    text.flags.writeable = False
    ends = np.ascontiguousarray(offsets, dtype=np.int64)
    _check_offsets(ends, len(text))
    workers = _Workers(text, ends, settings)
    ranges = _ranges(ends)
    if threads == 1:
        for first, last in ranges:
            yield from workers.hash_parts(first, last)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[SparseRows]] = deque()
        for first, last in ranges:
            pending.append(pool.submit(workers.hash_range, first, last))
            # Results that nobody has taken yet are memory: a few chunks ahead keep every thread busy.
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class _Workers:
    """Hashes ranges of documents; each thread takes a scratch that is free, or makes one."""

    def __init__(self, text: NDArray[np.uint8], offsets: NDArray[np.int64], settings: TextSettings) -> None:
        self._text = text
        self._offsets = offsets
        self._settings = settings
        self._longest = int(np.diff(offsets).max(initial=0))
        self._free: SimpleQueue[tuple[Scratch, Output]] = SimpleQueue()
        if _machine_code() is None:
            raise RuntimeError("there is no machine code for hashing here; use dcai_cli.features.hashing")

    def hash_range(self, first: int, last: int) -> SparseRows:
        """Hash documents first to last, exclusive."""
        return _join([_copy(part) for part in self.hash_parts(first, last)])

    def hash_parts(self, first: int, last: int) -> Iterator[SparseRows]:
        """The same in parts, which are views that the next one overwrites."""
        machine = _machine_code()
        assert machine is not None
        try:
            scratch, output = self._free.get_nowait()
        except Empty:
            scratch = machine.make_scratch(self._longest, self._settings)
            output = machine.make_output(_CHUNK_ROOM)
        output = output._replace(ends=np.empty(last - first, dtype=np.int64))
        done = first
        while done < last:
            start = done
            done, needed = machine.hash_documents(
                self._text, self._offsets, done, last, self._settings, scratch, output
            )
            if done > start:
                yield _rows(output, done - start)
            elif needed > 0:
                output = machine.make_output(needed, rows=last - first)
            if needed < 0:
                raise BadInput(
                    f"Document {done + 1} is not valid UTF-8.",
                    hint="Save the file as UTF-8, without halves of surrogate pairs.",
                )
        self._free.put((scratch, output))


class _MachineCode:
    """The compiled function with its tables."""

    def __init__(self) -> None:
        from dcai_cli.features.kernel import compiled
        from dcai_cli.features.kernel.tables import unicode_tables

        self._compiled = compiled
        self._tables: Tables = compiled.Tables(*unicode_tables())
        self._function = compiled.hash_documents
        _keep_compiled(self._function)

    def compile_afresh(self) -> None:
        """Compile without a cache."""
        from numba import njit

        self._function = njit(nogil=True)(self._function.py_func)

    def hash_known_texts(self, settings: TextSettings) -> SparseRows:
        """The rows of the known texts."""
        documents = [text.encode() for text in KNOWN_TEXTS]
        text = np.frombuffer(b"".join(documents), dtype=np.uint8)  # read-only, as the kernel wants it
        offsets = np.cumsum([0] + [len(document) for document in documents], dtype=np.int64)
        output = self.make_output(2**18, rows=len(documents))
        scratch = self.make_scratch(len(text), settings)
        self.hash_documents(text, offsets, 0, len(documents), settings, scratch, output)
        return _rows(output, len(documents))

    def make_scratch(self, longest: int, settings: TextSettings) -> Scratch:
        room = longest + longest // 2 + self._compiled.PADDING
        words = [-(-settings.n_features // 64**level) for level in (1, 2, 3)]
        return self._compiled.Scratch(
            text=np.zeros(room, dtype=np.uint8),
            laid=np.zeros(room, dtype=np.uint8),
            mask=np.zeros(room // 64 + 2, dtype=np.uint64),
            edges=np.zeros(room, dtype=np.int32),
            bounds=np.zeros(room if settings.analyzer == "char_wb" else 0, dtype=np.int32),
            hashes=np.zeros(self._compiled.LIST_ROOM, dtype=np.int32),
            keys=np.zeros(self._compiled.SHORT_LIST, dtype=np.int32),
            ranked=np.zeros(self._compiled.SHORT_LIST, dtype=np.int32),
            counts=np.zeros(settings.n_features, dtype=np.int32),
            bitmap=np.zeros(words[0], dtype=np.uint64),
            summary=np.zeros(words[1], dtype=np.uint64),
            top=np.zeros(words[2], dtype=np.uint64),
        )

    def make_output(self, room: int, rows: int = 0) -> Output:
        return self._compiled.Output(
            ends=np.empty(rows, dtype=np.int64),
            indices=np.empty(room, dtype=np.int32),
            counts=np.empty(room, dtype=np.int32),
        )

    def hash_documents(
        self,
        text: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        first: int,
        last: int,
        settings: TextSettings,
        scratch: Scratch,
        output: Output,
    ) -> tuple[int, int]:
        numbers: Settings = self._compiled.Settings(
            ANALYZERS.index(settings.analyzer),
            *settings.ngram_range,
            settings.lowercase,
            settings.alternate_sign,
            settings.n_features,
        )
        done, needed = self._function(text, offsets, first, last, numbers, self._tables, scratch, output)
        return int(done), int(needed)


@lru_cache(maxsize=1)
def _machine_code() -> _MachineCode | None:
    """The machine code, if it gives here what it must; None where it cannot be had.

    What it computes is consensus, so it is tried on some texts, by every path through it, before it is
    trusted: a cache can be damaged, and a compiler wrong. numba may raise anything, so every exception counts
    as "cannot be had".
    """
    try:
        machine = _MachineCode()
    except Exception:  # noqa: BLE001 -- no numba, or one that does not load
        return None
    # A damaged cache that cannot be loaded is emptied and filled anew; one that was loaded and is wrong is
    # emptied, and left aside by this process.
    remedies: tuple[Callable[[], None] | None, ...] = (None, _forget_compiled, machine.compile_afresh)
    for remedy in remedies:
        try:
            if remedy:
                remedy()
            if known_answer(machine.hash_known_texts) == KNOWN_ANSWER:
                return machine
        except Exception:  # noqa: BLE001, S112
            continue
    return None


KNOWN_TEXT = (
    "Caf\u00e9 \u039f\u03a3 \u039f\u03a3\u0391 \u0130x It's a_1\u3000 \u4e2d\u6587 \U0001f600 \u212aA "
)
KNOWN_TEXTS = (KNOWN_TEXT, "", KNOWN_TEXT * 8, " ".join(f"w{number}" for number in range(6000)))
"""Short, empty, longer, and with more features than are sorted as a list."""

KNOWN_ANSWER = "dd968d727bf2180ec2275fdfd7ccb1e33b755d485eb6f0c8740ffcd632cd0c64"


def known_answer(hash_with: Callable[[TextSettings], SparseRows]) -> str:
    """SHA-256 of the rows of the known texts: each analyzer, alone and in a row, in lower case or not.

    Args:
        hash_with: hashes the known texts.
    """
    digest = hashlib.sha256()
    for analyzer, ngram_range, lowercase in product(ANALYZERS, ((1, 1), (1, 3)), (True, False)):
        for n_features in (1000, 2**16):
            rows = hash_with(
                TextSettings(
                    analyzer, ngram_range, lowercase, alternate_sign=n_features == 1000, n_features=n_features
                )
            )
            for array, kind in ((rows.indptr, "<i8"), (rows.indices, "<i4"), (rows.counts, "<i4")):
                digest.update(array.astype(kind).tobytes())
    return digest.hexdigest()


def _is_compiled() -> bool:
    """Whether numba's cache seems to hold the machine code, told without importing numba.

    A stale file costs a few seconds of compiling, nothing else.
    """
    try:
        changed = (Path(__file__).parent / "compiled.py").stat().st_mtime
        return any(file.stat().st_mtime >= changed for file in _cache_indexes())
    except OSError:  # another process has just emptied it
        return False


def _forget_compiled() -> None:
    """Remove what numba's cache says that it holds; the next call compiles and fills it again."""
    for file in _cache_indexes():
        file.unlink(missing_ok=True)


def _keep_compiled(function: Any) -> None:  # noqa: ANN401 - numba has no types
    """Let numba keep machine code in a folder that nobody else can write to, or not at all.

    numba reads such files by pickle, and so runs whatever stands in them.
    """
    from numba import config

    folder = cache_folder()
    try:
        make_folder(folder)
    except DcaiError:
        return
    if not _is_private(folder):
        return
    before = config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES
    config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES = str(folder), "UserProvidedCacheLocator"
    try:
        function.enable_caching()
    except RuntimeError:  # it cannot be written to
        return
    finally:
        config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES = before


def cache_folder() -> Path:
    """Where machine code is kept, in the user's folder of caches."""
    return platformdirs.user_cache_path("dcai", appauthor=False) / "kernel"


def _is_private(folder: Path) -> bool:
    """Whether a folder is this user's, and nobody else can enter it."""
    if sys.platform == "win32":  # it stands in the user's profile
        return True
    state = folder.stat()
    return state.st_uid == os.getuid() and not state.st_mode & 0o077


def _cache_indexes() -> list[Path]:
    """The files in which numba's cache lists the machine code of this Python version."""
    folder = cache_folder()
    if not folder.is_dir() or not _is_private(folder):
        return []
    name = f"compiled.hash_documents-*.py{sys.version_info.major}{sys.version_info.minor}*.nbi"
    return list(folder.glob(f"kernel_*/{name}"))


def _check_offsets(offsets: NDArray[np.int64], size: int) -> None:
    sizes = np.diff(offsets)
    if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > size or (sizes < 0).any():
        raise ValueError(f"offsets must rise from 0 or more to at most {size}, the bytes of the data")
    if (sizes > MAX_DOCUMENT_BYTES).any():
        document = int(np.argmax(sizes > MAX_DOCUMENT_BYTES))
        raise BadInput(
            f"Document {document + 1} has {sizes[document]} bytes, at most {MAX_DOCUMENT_BYTES} are read.",
            hint="Split it.",
        )


def _ranges(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut documents into ranges of about CHUNK_BYTES."""
    if len(offsets) < 2:
        return
    chunks = np.arange(offsets[0] + CHUNK_BYTES, offsets[-1], CHUNK_BYTES)
    cuts = np.unique(np.concatenate(([0], np.searchsorted(offsets, chunks), [len(offsets) - 1])))
    yield from pairwise(cuts.tolist())


def _rows(output: Output, rows: int) -> SparseRows:
    indptr = np.concatenate((np.zeros(1, dtype=np.int64), output.ends[:rows]))
    return SparseRows(indptr, output.indices[: indptr[-1]], output.counts[: indptr[-1]])


def _copy(rows: SparseRows) -> SparseRows:
    return SparseRows(rows.indptr, rows.indices.copy(), rows.counts.copy())


def _join(parts: list[SparseRows]) -> SparseRows:
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0] + [len(part.indices) for part in parts])
    indptr = [part.indptr[1:] + start for part, start in zip(parts, starts.tolist(), strict=False)]
    return SparseRows(
        np.concatenate((np.zeros(1, dtype=np.int64), *indptr)),
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )
