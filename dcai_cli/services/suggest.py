"""Suggesting how texts become features: a sample of a file, some settings, and a hold-out for each.

How the sample is drawn, what is tried and how one is chosen is described in docs/suggestions.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.featurize import plain_cost
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.features.sampling import LabelledSample, draw_sample
from dcai_cli.features.scripts import Writing, measure_writing
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.text import CHAR, CHAR_WB, WORD
from dcai_cli.services.limits import check_spec, model_params
from dcai_cli.services.trials import Trial, try_sizes

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

POINT_PER_DOUBLING = 0.01
"""What accuracy must rise by for gas to double."""

Progress = Callable[[int, int], None]


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
        for trial in try_sizes(sample, spec, SIZES, make_params, use_kernel=use_kernel, is_choice=is_choice):
            trials.append(trial)
            progress(len(trials), len(analyses) * len(SIZES))
    trials.sort(key=lambda trial: (analyses.index((trial.analyzer, trial.ngram_range)), trial.n_features))
    choices = [trial for trial in trials if trial.is_choice]
    if not choices:
        raise BadInput(
            f"{rows.name}: no text has a feature; the texts are read from column {text_column!r}.",
            hint="Name the column of the texts with --text-column.",
        )
    best = max(choices, key=worth)
    spec = replace(
        widest,
        analyzer=best.analyzer,
        ngram_range=best.ngram_range,
        n_features=best.n_features,
        max_features=best.max_features,
    )
    return Suggestion(rows.name, sample, writing, reason, tuple(trials), best, spec)


def worth(trial: Trial) -> float:
    """The accuracy of a trial, less what its gas must earn: a point for each doubling."""
    return trial.accuracy - POINT_PER_DOUBLING * math.log2(trial.gas)


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
                "dcai model deploy --kind tabular --schema FILE --name NAME",
            )


def _what_to_try(writing: Writing) -> tuple[tuple[Analysis, ...], bool, str]:
    """What is tried for some writing, whether words are a choice, and why."""
    if writing.unspaced_share >= UNSPACED_FROM:
        share = f"{writing.unspaced_share:.0%} of the letters are of scripts without spaces between words"
        return UNSPACED, False, f"{share}: features are made of characters"
    if writing.mark_share >= MARKED_FROM:
        share = f"{writing.mark_share:.0%} of letters and marks are combining marks, at which words are cut"
        return MARKED, False, f"{share}: features are made of characters"
    return SPACED, True, "most letters are of scripts with spaces: features are words or pieces of them"


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
