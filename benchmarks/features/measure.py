"""What is measured: CPU seconds, alternating with scikit-learn in the same process, medians."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from benchmarks.features import corpora
from dcai_cli.domain import Wire
from dcai_cli.features.kernel import TextSettings, hash_chunks, hash_texts
from dcai_cli.features.payload_arrays import encode_samples

N_FEATURES = 2**18
RUNS = 5

FIRST_ROWS = """
import time
from benchmarks.features.corpora import english
from dcai_cli.domain import Row
from dcai_cli.features.featurize import featurize
from dcai_cli.features.spec import FeatureSpec
spec = FeatureSpec.text(labels=["neg", "pos"], n_features=2**18)
rows = [Row(number, {"text": text}) for number, text in enumerate(english(1000)[1])]
start = time.process_time()
samples = list(featurize(rows, spec, with_labels=False))
print(time.process_time() - start)
"""

MEMORY = """
import re
from pathlib import Path
import numpy as np
from benchmarks.features.corpora import english
from dcai_cli.features.kernel import TextSettings, hash_texts
def memory(kind):
    # Not ru_maxrss: a child starts with that of its parent.
    return int(re.search(kind + ":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
settings = TextSettings(n_features=2**18)
texts = [text[:200].encode() for text in english(5000)[1]]
# Repeated as a whole, so that memory never held more than this.
data = b"".join(texts) * 200
offsets = np.concatenate(([0], np.cumsum(np.tile(np.array(list(map(len, texts))), 200))))
hash_texts(data, offsets[:2], settings)  # numba and the machine code are not measured
before = memory("VmRSS")
rows = hash_texts(data, offsets, settings, threads={threads})
used = memory("VmHWM") - before
print((used - rows.indptr.nbytes - rows.indices.nbytes - rows.counts.nbytes) / 1e6)
"""


@dataclass(frozen=True)
class Figure:
    """One row of the results.

    Args:
        name: what was measured.
        value: the figure.
        unit: its unit.
        goal: what it is meant to be.
        at_most: whether the goal is an upper limit.
        details: what the figure was made from.
    """

    name: str
    value: float
    unit: str
    goal: float
    at_most: bool
    details: dict[str, float | str]

    @property
    def is_met(self) -> bool:
        """Whether the goal is met."""
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def measure_texts(
    name: str, corpus: tuple[str, list[str]], analyzer: str, ngram_range: tuple[int, int], goal: float
) -> Figure:
    """How many times as fast as HashingVectorizer; the rows must be equal.

    scikit-learn gets a list of strings, the kernel UTF-8 as Arrow has it; the ratio with strings that have to
    be encoded first is among the details.
    """
    source, texts = corpus
    settings = TextSettings(analyzer, ngram_range, n_features=N_FEATURES)
    vectorizer = HashingVectorizer(
        analyzer=analyzer, ngram_range=ngram_range, n_features=N_FEATURES, alternate_sign=False, norm=None
    )
    data, offsets = corpora.in_utf8(texts)
    expected, rows = vectorizer.transform(texts), hash_texts(data, offsets, settings)
    if not (
        np.array_equal(rows.indptr, expected.indptr)
        and np.array_equal(rows.indices, expected.indices)
        and np.array_equal(rows.counts, expected.data)
    ):
        raise AssertionError(f"{name}: the rows are not those of scikit-learn")
    theirs, ours, with_encoding = medians(
        lambda: vectorizer.transform(texts),
        lambda: hash_texts(data, offsets, settings),
        lambda: hash_texts(*corpora.in_utf8(texts), settings),
    )
    details: dict[str, float | str] = {
        "corpus": source,
        "documents": len(texts),
        "bytes": len(data),
        "scikit_learn_mb_s": round(len(data) / theirs / 1e6, 1),
        "kernel_mb_s": round(len(data) / ours / 1e6, 1),
        "ratio_with_encoding": round(theirs / with_encoding, 1),
    }
    return Figure(name, round(theirs / ours, 1), "times scikit-learn", goal, at_most=False, details=details)


def measure_threads() -> Figure:
    """How much sooner two threads are done than one: wall time, so both cores must be idle."""
    texts = corpora.english(10_000)[1]
    data, offsets = corpora.in_utf8(texts * 8)
    settings = TextSettings(n_features=N_FEATURES)

    def run(threads: int) -> None:
        for _ in hash_chunks(data, offsets, settings, threads=threads):
            pass

    one, two = medians(lambda: run(1), lambda: run(2), clock=time.perf_counter)
    cpu_one, cpu_two = medians(lambda: run(1), lambda: run(2))
    details: dict[str, float | str] = {"cpu_two_over_one": round(cpu_two / cpu_one, 2)}
    return Figure("two threads", round(one / two, 2), "times one thread", 1.7, at_most=False, details=details)


def measure_first_rows() -> Figure:
    """CPU seconds for the first 1,000 texts in a process of its own, after imports."""
    seconds = statistics.median(_run(FIRST_ROWS) for _ in range(RUNS))
    return Figure("first 1,000 rows", round(seconds, 3), "CPU s", 0.3, at_most=True, details={})


def measure_memory() -> Figure:
    """Memory beside the rows for a million documents of 200 bytes, on one thread or two; Linux only."""
    one, two = _run(MEMORY.format(threads=1)), _run(MEMORY.format(threads=2))
    details: dict[str, float | str] = {"one_thread_mb": round(one), "two_threads_mb": round(two)}
    return Figure(
        "memory, a million documents", round(max(one, two)), "MB", 200, at_most=True, details=details
    )


def measure_encoding(*, valued: bool) -> Figure:
    """Payload bytes a second, of the vectors of English texts."""
    data, offsets = corpora.in_utf8(corpora.english(10_000)[1])
    rows = hash_texts(data, offsets, TextSettings(n_features=2**16))
    wire = Wire(n_features=2**16, max_features=4096, valued=valued)
    values = np.minimum(rows.counts, 127) if valued else np.ones_like(rows.counts)
    labels = np.arange(len(rows)) & 1
    (seconds,) = medians(lambda: encode_samples(labels, rows.indptr, rows.indices, values, wire))
    size = len(encode_samples(labels, rows.indptr, rows.indices, values, wire)[0])
    name = f"payload bytes, {'counts' if valued else 'presence'}"
    return Figure(name, round(size / seconds / 1e6), "MB/s", 100, at_most=False, details={"bytes": size})


def medians(
    *actions: Callable[[], object], clock: Callable[[], float] = time.process_time, runs: int = RUNS
) -> tuple[float, ...]:
    """Median seconds of each, alternating, so that what else the machine does hits all alike."""
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(runs):
        for times, action in zip(seconds, actions, strict=True):
            start = clock()
            action()
            times.append(clock() - start)
    return tuple(statistics.median(times) for times in seconds)


def _run(program: str) -> float:
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=corpora.PROJECT, capture_output=True, text=True, check=True
    )
    return float(finished.stdout)
