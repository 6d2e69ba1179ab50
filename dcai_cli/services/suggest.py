"""Suggesting how texts become features: a sample of a file, some settings, and a hold-out for each.

How the sample is drawn, what is tried and how one is chosen is described in docs/suggestions.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.featurize import plain_cost
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.features.sampling import LabelledSample, draw_sample
from dcai_cli.features.scripts import Writing, measure_writing
from dcai_cli.features.spec import DEFAULT_SAMPLE_FEATURES, MAX_SAMPLE_FEATURES, FeatureSpec
from dcai_cli.features.text import CHAR, CHAR_WB, WORD
from dcai_cli.services.limits import check_spec, model_params

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcai_cli.features.kernel import SparseRows

Analysis = tuple[str, tuple[int, int]]
"""An analyzer and the range of its n-grams."""

SPACED: tuple[Analysis, ...] = ((WORD, (1, 1)), (WORD, (1, 2)), (CHAR_WB, (3, 3)), (CHAR_WB, (3, 5)))
MARKED: tuple[Analysis, ...] = ((CHAR_WB, (3, 3)), (CHAR_WB, (2, 4)), (CHAR, (1, 2)), (WORD, (1, 1)))
UNSPACED: tuple[Analysis, ...] = ((CHAR, (1, 1)), (CHAR, (2, 2)), (CHAR, (1, 2)), (WORD, (1, 1)))
"""What is tried where words stand between spaces; where marks cut them; and where there are no spaces."""

UNSPACED_FROM = 0.5
MARKED_FROM = 0.1
"""From these shares on words are no choice; see `Writing`."""

SIZES = (2**14, 2**16, 2**18)
"""Sizes of the hash space that are tried; each divides the last."""

FOLDS = 3
"""Each third of the sample is predicted by a model that learned the other two."""

POINT_PER_DOUBLING = 0.01
"""What accuracy must rise by for gas to double."""

GAS_PER_FEATURE, GAS_PER_WORD, GAS_BATCH = 250, 7_000, 100
"""Gas of a contribution and its refund, for a feature and a word of storage that a batch of so many touches.

Fitted to benchmarks/gas.json, which it meets within 15 %.
"""

GAS_PER_FRESH_WORD = 17_100
"""What a word of storage takes beside that when it is first written: 20,000 in place of 2,900."""

_CUT_SHARE = 0.01

Item = TypeVar("Item")
Progress = Callable[[int, int], None]


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

    @property
    def worth(self) -> float:
        """Accuracy less what its gas must earn: a point for each doubling."""
        return self.accuracy - POINT_PER_DOUBLING * math.log2(self.gas)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is suggested for a file of labelled texts, and why.

    Args:
        name: what the data is called.
        sample: what was tried on.
        writing: what its letters are.
        reason: what follows from that, in words.
        trials: all that was tried, analyzer by analyzer.
        best: the one that is suggested.
        spec: its feature spec.
    """

    name: str
    sample: LabelledSample
    writing: Writing
    reason: str
    trials: tuple[Trial, ...]
    best: Trial
    spec: FeatureSpec

    @property
    def error(self) -> float:
        """One standard error of the accuracy of the best, by the size of the sample."""
        return math.sqrt(self.best.accuracy * (1 - self.best.accuracy) / len(self.sample.texts))


def suggest(
    source: Source,
    *,
    text_column: str = "text",
    label_column: str = "label",
    labels: Sequence[str] | None = None,
    make_params: Callable[[FeatureSpec], ModelParams] = model_params,
    note: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda _done, _all: None,
) -> Suggestion:
    """Try settings on a sample of labelled texts.

    Args:
        source: the rows.
        text_column: the column of the text.
        label_column: the column of the label.
        labels: the labels, the class 0 first; None for all that are found, by code point.
        make_params: makes the shape of the model that will be deployed; a perceptron with the usual margin.
        note: is told of an encoding other than UTF-8.
        progress: gets how many trials are done, and of how many.

    Raises:
        UsageError: the columns are one, or no spec can have the labels.
        BadInput: the data cannot be read, or is not labelled text with 2 to 16 labels and 20 rows or more.
    """
    _check_typed(labels, text_column, label_column)
    with open_rows(source, note=note) as rows:
        _check_columns(rows.name, rows.columns, text_column, label_column)
        sample = draw_sample(
            rows, name=rows.name, text_column=text_column, label_column=label_column, labels=labels
        )
    widest = FeatureSpec.text(
        labels=sample.labels, n_features=SIZES[-1], text_column=text_column, label_column=label_column
    )
    check_spec(widest)
    writing = measure_writing(sample.texts)
    analyses, words_are_choice, reason = _what_to_try(writing)
    trials: list[Trial] = []
    use_kernel = _use_kernel(sample, analyses)
    for analyzer, ngram_range in analyses:
        spec = replace(widest, analyzer=analyzer, ngram_range=ngram_range)
        is_choice = analyzer != WORD or words_are_choice
        for trial in _try(sample, spec, make_params, use_kernel=use_kernel, is_choice=is_choice):
            trials.append(trial)
            progress(len(trials), len(analyses) * len(SIZES))
    trials.sort(key=lambda trial: (analyses.index((trial.analyzer, trial.ngram_range)), trial.n_features))
    best = max((trial for trial in trials if trial.is_choice), key=lambda trial: trial.worth)
    spec = replace(
        widest,
        analyzer=best.analyzer,
        ngram_range=best.ngram_range,
        n_features=best.n_features,
        max_features=best.max_features,
    )
    return Suggestion(rows.name, sample, writing, reason, tuple(trials), best, spec)


def _check_typed(labels: Sequence[str] | None, text_column: str, label_column: str) -> None:
    """Refuse what no spec can have before a file is read."""
    try:
        FeatureSpec.text(
            labels=("no", "yes") if labels is None else labels,
            n_features=SIZES[-1],
            text_column=text_column,
            label_column=label_column,
        )
    except BadInput as error:
        raise UsageError(error.message, hint="Look at --labels, --text-column and --label-column.") from None


def _check_columns(name: str, columns: Sequence[str], text_column: str, label_column: str) -> None:
    for option, column in (("--text-column", text_column), ("--label-column", label_column)):
        if column not in columns:
            raise BadInput(
                f"{name} has no column {column!r}; the columns are: {', '.join(columns)}.",
                hint=f"Name it with {option}. Suggestions are for texts; for a table of other columns: "
                "dcai model deploy --kind tabular --schema SCHEMA.toml",
            )


def _what_to_try(writing: Writing) -> tuple[tuple[Analysis, ...], bool, str]:
    """What is tried for some writing, whether words are a choice, and why."""
    if writing.unspaced_share >= UNSPACED_FROM:
        share = f"{writing.unspaced_share:.0%} of the letters are of scripts without spaces between words"
        return UNSPACED, False, f"{share}: features are made of characters"
    if writing.mark_share >= MARKED_FROM:
        share = f"{writing.mark_share:.0%} of letters and marks are combining marks, at which words are cut"
        return MARKED, False, f"{share}: features are made of characters"
    return (
        SPACED,
        True,
        "most letters are of scripts with spaces between words: features are words or pieces of them",
    )


def _use_kernel(sample: LabelledSample, analyses: Sequence[Analysis]) -> bool:
    """Whether machine code pays for hashing the sample by all analyzers."""
    from dcai_cli.features import kernel

    plain = FeatureSpec.text(labels=sample.labels, n_features=SIZES[-1])
    cost = sum(
        plain_cost(replace(plain, analyzer=analyzer, ngram_range=ngram_range))
        for analyzer, ngram_range in analyses
    )
    # All of the work is known here, so the kernel need not be twice as quick to be the better choice.
    return kernel.pays(2 * cost * sum(map(len, sample.texts))) and kernel.is_available()


def _try(
    sample: LabelledSample,
    spec: FeatureSpec,
    make_params: Callable[[FeatureSpec], ModelParams],
    *,
    use_kernel: bool,
    is_choice: bool,
) -> Iterator[Trial]:
    """Try an analyzer with each size."""
    from dcai_cli.features.text_counts import count_in_sizes

    sizes = SIZES[::-1]  # the largest first: in it, collisions hide no feature
    limit = None
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
