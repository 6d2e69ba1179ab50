"""dcai model suggest: settings for a file of labelled texts, tried on a sample; `model deploy` takes them."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import NARROW, Output
from dcai_cli.cli.typed_spec import typed_labels
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from dcai_cli.domain import ModelParams
    from dcai_cli.features.readers import Source
    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.suggest import Suggestion
    from dcai_cli.services.trials import Trial

_ABOUT = """accuracy: on a third of the rows, of a model that learned the others
gas: about, of a sample of a new model; doubling it must add a point of accuracy"""


def register(models: typer.Typer) -> None:
    """Add the command to the group of models."""
    models.command(
        "suggest",
        epilog="Example: dcai model suggest reviews.csv. "
        "Exit codes: 0, 2, 15 (bad file, or no labelled texts).",
    )(suggest)


def suggest(
    file: Annotated[Path, typer.Argument(help=f"Labelled texts: {options.DATA}", readable=False)],
    *,
    labels: Annotated[
        str | None, typer.Option(help="The labels, the class 0 first; all that are found if left out.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text; text if left out.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label; label if left out.")] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Suggest how texts become features: settings are tried on a sample of a file, without a chain."""
    output = Output("model suggest", json=json, quiet=quiet)
    found = find_suggestion(
        options.data_source(file, format, encoding),
        output,
        labels=labels,
        text_column=text_column,
        label_column=label_column,
    )
    output.result(_data(found), lambda console: _show(console, found))
    if not json:
        _warn(found, output)


def suggested_spec(
    source: Source,
    output: Output,
    *,
    labels: str | None,
    text_column: str | None,
    label_column: str | None,
    others: Mapping[str, object],
    make_params: Callable[[FeatureSpec], ModelParams],
) -> FeatureSpec:
    """The spec that is suggested for a file, for `model deploy --suggest`; says which, and why.

    Args:
        source: the rows.
        output: gets the notes.
        labels: as typed, or None.
        text_column: as typed, or None.
        label_column: as typed, or None.
        others: what else was typed about features, by option; None where it was not.
        make_params: makes the shape of the model for a spec.

    Raises:
        UsageError: another option says what is to be suggested.
        BadInput: the file is no file of labelled texts.
    """
    for option, value in others.items():
        if value is not None:
            raise UsageError(
                f"{option} and --suggest both say how features are made.",
                hint=f"Leave out {option} or --suggest.",
            )
    found = find_suggestion(
        source,
        output,
        labels=labels,
        text_column=text_column,
        label_column=label_column,
        make_params=make_params,
    )
    for line in _about(found):
        output.note(line)
    output.note(f"suggested: {' '.join(_cells(found.best))}")
    _warn(found, output)
    return found.spec


def find_suggestion(
    source: Source,
    output: Output,
    *,
    labels: str | None,
    text_column: str | None,
    label_column: str | None,
    make_params: Callable[[FeatureSpec], ModelParams] | None = None,
) -> Suggestion:
    """Ask the service, with what was typed, and show how far it is."""
    from dcai_cli.services.limits import model_params
    from dcai_cli.services.suggest import suggest as try_settings

    with output.progress("trying settings") as progress:
        return try_settings(
            source,
            labels=None if labels is None else typed_labels(labels),
            text_column="text" if text_column is None else text_column,
            label_column="label" if label_column is None else label_column,
            make_params=make_params or model_params,
            note=output.note,
            progress=progress,
        )


def deploy_command(found: Suggestion) -> str:
    """What to type next."""
    spec = found.spec
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(spec.labels)
    words = ["dcai", "model", "deploy", "--name", _model_name(found.name)]
    if _can_type(row.getvalue(), spec.labels):
        least, greatest = spec.ngram_range
        words += ["--labels", row.getvalue(), "--analyzer", spec.analyzer]
        words += ["--ngrams", str(least) if least == greatest else f"{least}-{greatest}"]
        words += ["--n-features", str(spec.n_features)]
    else:  # labels with white space at their ends, for instance
        words += ["--suggest", found.name]
    usual = type(spec).text(labels=spec.labels, n_features=spec.n_features)
    for option, value, default in (
        (
            "--max-features",
            spec.max_features,
            spec.max_features if "--suggest" in words else usual.max_features,
        ),
        ("--text-column", spec.text_column, usual.text_column),
        ("--label-column", spec.label_column, usual.label_column),
    ):
        words += [option, str(value)] if value != default else []
    return shlex.join(words)


def _model_name(data: str) -> str:
    """A name for a model of some data, of the characters that names may have.

    >>> _model_name("my data/Film_Reviews.csv.gz"), _model_name("hf:owner/sms:train"), _model_name("评论.csv")
    ('film-reviews', 'sms', 'my-model')
    """
    stem = re.match(r"[^.:]*", data.rpartition("/")[2].lower())
    name = re.sub(r"[^a-z0-9]+", "-", stem[0] if stem else "")[:32].strip("-")
    return name or "my-model"


def _can_type(row: str, labels: Sequence[str]) -> bool:
    """Whether `--labels` gives these labels again."""
    try:
        return typed_labels(row) == list(labels)
    except UsageError:
        return False


def _warn(found: Suggestion, output: Output) -> None:
    for label, rows in zip(found.sample.labels, found.sample.label_rows, strict=True):
        if not rows:
            output.note(f"warning: no row that was tried has the label {label!r}.")
    if found.sample.is_sorted:
        output.note(
            "warning: the rows stand sorted by label. A model learns them in their order, and would say the "
            "last label to almost everything: shuffle them before you contribute."
        )


def _about(found: Suggestion) -> list[str]:
    """What was tried on, in lines."""
    sample = found.sample
    label, share = sample.majority
    read = f"{sample.rows_read:,} rows" if sample.is_whole else f"the first {sample.rows_read:,} rows"
    return [
        f"tried on {len(sample.texts):,} of {read}; to say {label!r} always is right in {share:.1%}",
        found.reason,
    ]


def _cells(trial: Trial) -> tuple[str, ...]:
    least, greatest = trial.ngram_range
    return (
        trial.analyzer,
        str(least) if least == greatest else f"{least}-{greatest}",
        f"{trial.n_features:,}",
        f"{trial.accuracy:.1%}",
        f"{trial.features:,.0f}",
        f"{trial.gas:,}",
    )


def _show(console: Console, found: Suggestion) -> None:
    for line in _about(found):
        console.print(line)
    console.print()
    rows: list[tuple[str, ...]] = [("analyzer", "n-grams", "n_features", "accuracy", "features", "gas")]
    rows += [_cells(trial) for trial in found.trials]
    if console.width < NARROW:
        _show_trials(console, found)
    else:
        _show_table(console, found, rows)
    console.print()
    console.print(f"{_ABOUT}\n* is suggested: {found.best.accuracy:.1%}, give or take {found.error:.1%}")
    console.print(f"Deploy it: {deploy_command(found)}")


def _show_trials(console: Console, found: Suggestion) -> None:
    for trial in found.trials:
        analyzer, ngrams, n_features, accuracy, features, gas = _cells(trial)
        console.print(f"{'*' if trial is found.best else ' '} {analyzer} {ngrams}, {n_features}: {accuracy}")
        console.print(f"    {features} features, {gas} gas")


def _show_table(console: Console, found: Suggestion, rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    marks = [" ", *("*" if trial is found.best else " " for trial in found.trials)]
    for mark, (first, *rest) in zip(marks, rows, strict=True):
        cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        console.print(f"{mark} {'  '.join((first.ljust(widths[0]), *cells))}")


def _data(found: Suggestion) -> dict[str, Any]:
    sample, writing, best = found.sample, found.writing, found.best
    return {
        "rows": sample.rows_read,
        "is_whole": sample.is_whole,
        "tried_rows": len(sample.texts),
        "labels": [
            {"label": label, "rows": rows}
            for label, rows in zip(sample.labels, sample.label_rows, strict=True)
        ],
        "majority": {"label": sample.majority[0], "share": sample.majority[1]},
        "is_sorted": sample.is_sorted,
        "unspaced_share": writing.unspaced_share,
        "mark_share": writing.mark_share,
        "reason": found.reason,
        "trials": [_trial(trial) for trial in found.trials],
        "suggested": _trial(best),
        "accuracy_error": found.error,
        "spec": found.spec.to_json(),
        "command": deploy_command(found),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "analyzer": trial.analyzer,
        "ngram_range": list(trial.ngram_range),
        "n_features": trial.n_features,
        "max_features": trial.max_features,
        "accuracy": trial.accuracy,
        "features": trial.features,
        "units": trial.units,
        "gas": trial.gas,
        "is_choice": trial.is_choice,
    }
