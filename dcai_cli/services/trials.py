"""Trying a setting for texts: the accuracy of a hold-out, and what a sample takes on the chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from dcai_cli.domain import ModelParams
from dcai_cli.features.sampling import LabelledSample
from dcai_cli.features.spec import DEFAULT_SAMPLE_FEATURES, MAX_SAMPLE_FEATURES, FeatureSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcai_cli.features.kernel import SparseRows

FOLDS = 3
"""Each third of the sample is predicted by a model that learned the other two."""

GAS_PER_FEATURE, GAS_PER_WORD, GAS_BATCH = 250, 7_000, 100
"""Gas of a contribution and its refund, for a feature and a word of storage that a batch of so many touches.

Fitted to benchmarks/gas.json, which it meets within 15 %.
"""

GAS_PER_FRESH_WORD = 17_100
"""What a word of storage takes beside that when it is first written: 20,000 in place of 2,900."""

_CUT_SHARE = 0.01

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting, and what the hold-out says of it.

    Args:
        analyzer: "word", "char" or "char_wb".
        ngram_range: the least and the greatest number of words or characters in a feature.
        n_features: the size of the hash space.
        max_features: features of one sample at most.
        accuracy: the share of the sample that was predicted right by models that had not seen it.
        features: features of a sample, on average.
        units: units that a sample is priced by, on average.
        gas: about what a sample takes to contribute and to refund, in batches of 100, to a new model.
        is_choice: whether it may be suggested; where words are no choice they are tried for comparison.
    """

    analyzer: str
    ngram_range: tuple[int, int]
    n_features: int
    max_features: int
    accuracy: float
    features: float
    units: float
    gas: int
    is_choice: bool


def try_sizes(
    sample: LabelledSample,
    spec: FeatureSpec,
    sizes: Sequence[int],
    make_params: Callable[[FeatureSpec], ModelParams],
    *,
    use_kernel: bool,
    is_choice: bool,
) -> Iterator[Trial]:
    """Try an analyzer with several sizes of the hash space, the largest first.

    Args:
        sample: what is learned and predicted.
        spec: the spec of a text model with the analyzer; its size and limit do not matter.
        sizes: the sizes; each divides the greatest.
        make_params: makes the shape of the model for a spec.
        use_kernel: whether machine code hashes the texts.
        is_choice: what the trials say of that.

    Yields:
        A trial for each size; none if no text has a feature.
    """
    from dcai_cli.features.text_counts import count_in_sizes

    sizes = sorted(sizes, reverse=True)
    limit = None  # of the largest, in which collisions hide fewest features
    for n_features, counts in zip(
        sizes, count_in_sizes(spec, sample.texts, sizes, use_kernel=use_kernel), strict=True
    ):
        limit = limit or _max_features(counts)
        sized = replace(spec, n_features=n_features, max_features=limit)
        encoded = _encode(sample, sized, counts)
        if not encoded.samples:  # such as texts of single letters, where words are tried
            return
        params = make_params(sized)
        touched = measure_touched(encoded.indptr, encoded.indices, params)
        yield Trial(
            analyzer=spec.analyzer,
            ngram_range=spec.ngram_range,
            n_features=n_features,
            max_features=limit,
            accuracy=_hold_out(encoded, params) / len(sample.texts),
            features=touched.features,
            units=encoded.units / len(encoded.samples),
            gas=touched.gas,
            is_choice=is_choice,
        )


def _max_features(counts: SparseRows) -> int:
    """The least of 1024, 2048 and 4096 that cuts at most one sample in a hundred, or the greatest."""
    import numpy as np

    sizes = np.diff(counts.indptr)
    limit = DEFAULT_SAMPLE_FEATURES
    while limit < MAX_SAMPLE_FEATURES and (sizes > limit).sum() > _CUT_SHARE * sizes.size:
        limit *= 2
    return limit


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Those texts of a sample that have features, in order.

    Args:
        samples: each on the wire, with its class.
        indptr: int64[samples + 1]: where the features of each start and end.
        indices: the features of all.
        units: units of all.
    """

    samples: list[tuple[bytes, int]]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    units: int


def _encode(sample: LabelledSample, spec: FeatureSpec, counts: SparseRows) -> _Encoded:
    import numpy as np

    from dcai_cli.features.payload_arrays import encode_samples, units_of_samples
    from dcai_cli.features.text_arrays import select

    rows, _ = select(counts, spec.max_features, valued=False)
    full = np.flatnonzero(np.diff(rows.indptr))
    indptr = np.append(rows.indptr[full], rows.indptr[-1])
    classes = np.asarray(sample.classes)[full]
    data, ends = encode_samples(classes, indptr, rows.indices, rows.counts, spec.wire)
    samples = [data[start:end] for start, end in pairwise(ends.tolist())]
    units = int(units_of_samples(indptr, rows.counts).sum())
    return _Encoded(list(zip(samples, classes.tolist(), strict=True)), indptr, rows.indices, units)


def _hold_out(encoded: _Encoded, params: ModelParams) -> int:
    """How many samples are predicted right by models that learned the others, in one pass each."""
    import numpy as np

    from dcai_cli.models import make_replica

    right = 0
    for fold in range(FOLDS):
        replica = make_replica(params)
        learned = [one for at, (one, _) in enumerate(encoded.samples) if at % FOLDS != fold]
        for batch in _batches(learned):
            replica.train(b"".join(batch))
        for held in _batches(encoded.samples[fold::FOLDS]):
            predicted = replica.predict(b"".join(one for one, _ in held))
            right += int((predicted == np.array([label for _, label in held])).sum())
    return right


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[first : first + GAS_BATCH] for first in range(0, len(items), GAS_BATCH))


@dataclass(frozen=True, slots=True)
class Touched:
    """What samples touch when they are contributed one after the other, on average.

    Args:
        features: features of a sample.
        words: words of storage that a batch of 100 touches, over its samples.
        fresh: words that no earlier sample touched.
    """

    features: float
    words: float
    fresh: float

    @property
    def gas(self) -> int:
        """About what a sample takes to contribute and to refund."""
        return round(
            GAS_PER_FEATURE * self.features + GAS_PER_WORD * self.words + GAS_PER_FRESH_WORD * self.fresh
        )


def measure_touched(indptr: NDArray[np.int64], indices: NDArray[np.int32], params: ModelParams) -> Touched:
    """Count what samples touch in the storage of a new perceptron, in batches of 100.

    Args:
        indptr: int64[samples + 1]: where the features of each sample start and end; one sample at least.
        indices: the features of all.
        params: the shape of the model.
    """
    import numpy as np

    ever = np.zeros(params.body_words, dtype=np.bool_)
    words, count = 0, len(indptr) - 1
    for first in range(0, count, GAS_BATCH):
        batch = indices[indptr[first] : indptr[min(first + GAS_BATCH, count)]].astype(np.int64)
        now = np.zeros_like(ever)
        now[batch * params.row_lanes // params.word_lanes] = True
        words += int(now.sum())
        ever |= now
    return Touched(int(indptr[-1] - indptr[0]) / count, words / count, int(ever.sum()) / count)
