"""dcai model show: what a model is, what contributing to it costs, and how it did over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from dcai_cli.cli import options, plots
from dcai_cli.cli.documents import model_data
from dcai_cli.cli.output import Output
from dcai_cli.domain import (
    NAIVE_BAYES,
    NEAREST_CENTROID,
    ModelParams,
    counted,
    format_duration,
    format_ether,
    iso_time,
)

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.evaluate import Publication
    from dcai_cli.services.status import ModelStatus

SHOWN_EVALUATIONS = 10
"""People see so many of the newest; a document has all."""


def register(models: typer.Typer) -> None:
    """Add the command to the group of models."""
    models.command(
        "show", epilog="Example: dcai model show reviews --plot reviews.svg. Exit codes: 0, 2, 13, 17."
    )(show)


def show(
    name: options.NameOrAddress = None,
    *,
    plot: options.Plot = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what a model predicts, its price, waits, contributions, and its accuracy over time."""
    from dcai_cli.services.catalog import superseded_by
    from dcai_cli.services.models import find_model
    from dcai_cli.services.status import model_status

    plots.check(plot)
    output = Output("model show", json=json, quiet=quiet)
    with (
        options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace,
        output.progress("reading blocks") as progress,
    ):
        status = model_status(workspace, find_model(workspace, name), note=output.note, progress=progress)
        successor = superseded_by(workspace.chain, status.model)
        if plot is not None:
            plots.draw_model(output, plot, workspace.chain, status.model)
    contributions = status.contributions
    data = model_data(status.model) | {
        "sealed_at": iso_time(status.sealed_at) if status.sealed_at else None,
        "batches": status.batches,
        "samples": None if contributions is None else contributions.samples,
        "informative": None if contributions is None else contributions.informative,
        "contributors": None if contributions is None else contributions.contributors,
        "last_contributed_at": iso_time(status.last_contributed_at) if status.last_contributed_at else None,
        "unit_price_wei": None if status.unit_price_wei is None else str(status.unit_price_wei),
        "balance_wei": str(status.balance_wei),
        "superseded_by": successor,
        "evaluations": None
        if status.evaluations is None
        else [_evaluation(found) for found in status.evaluations],
        "spec": status.model.spec.to_json(),
    }
    output.result(data, lambda console: _show_status(console, status, successor))


def _evaluation(found: Publication) -> dict[str, Any]:
    return {
        "published_at": iso_time(found.published_at),
        "block_number": found.block_number,
        "publisher": found.publisher,
        "test_set_hash": found.test_set_hash,
        "rows": found.rows,
        "correct": found.correct,
        "accuracy": found.accuracy,
        "transaction": found.transaction,
    }


def _show_status(console: Console, status: ModelStatus, successor: str | None) -> None:
    model, terms = status.model, status.model.terms
    labels = " or ".join(model.spec.labels)
    console.print(f"{model.name}  {model.address}")
    console.print(f"owner     {model.owner}")
    if successor is not None:
        console.print(f"          recommends {successor} instead")
    console.print(f"predicts  {labels} from {model.spec.kind}, {model.spec.n_features:,} features")
    console.print(f"model     {_shape(model.params)}")
    console.print(f"columns   {_columns(model.spec)}")
    console.print(f"features  {_features(model.spec)}")
    if model.incentive_type == "points":
        console.print(f"points    {format_duration(terms.refund_wait_s)} after a contribution; no deposits")
    else:
        console.print(
            f"waits     refund {format_duration(terms.refund_wait_s)},"
            f" report {format_duration(terms.report_wait_s)}, owner {format_duration(terms.owner_wait_s)},"
            f" public {format_duration(terms.public_wait_s)}"
        )
    console.print(f"batches   {status.batches}, deposits held {format_ether(status.balance_wei)}")
    if status.contributions is not None and status.contributions.samples:
        done = status.contributions
        by = counted(done.contributors, "contributor")
        console.print(
            f"samples   {done.samples:,} from {by}, {done.informative:,} informative;"
            f" the last {iso_time(status.last_contributed_at)}"
        )
    if status.unit_price_wei is None:
        console.print(f"not sealed: nobody can contribute yet (dcai model seal {model.name})")
    elif model.incentive_type == "stake":
        console.print(
            f"price     {format_ether(status.unit_price_wei)} for a sample of up to 64 features now"
        )
    _show_evaluations(console, status)


def _show_evaluations(console: Console, status: ModelStatus) -> None:
    """The newest of what was stated, a line each."""
    if not status.evaluations:
        return
    console.print("accuracy  as published; nobody has checked it")
    for found in status.evaluations[-SHOWN_EVALUATIONS:]:
        whose = "the owner" if found.publisher == status.model.owner else found.publisher
        console.print(
            f"          {iso_time(found.published_at)}  {found.accuracy:.4f}"
            f" ({found.correct:,} of {found.rows:,}, set {found.test_set_hash[:10]}) by {whose}"
        )
    more = len(status.evaluations) - SHOWN_EVALUATIONS
    if more > 0:
        console.print(f"          {more} older: --json")


def _features(spec: FeatureSpec) -> str:
    """How a row becomes features, in words."""
    if spec.kind == "text":
        least, most = spec.ngram_range
        unit = {"word": "words", "char": "characters", "char_wb": "characters within words"}[spec.analyzer]
        length = f"{unit}, one by one" if least == most == 1 else f"{least} to {most} {unit} in a row"
        if least == most != 1:
            length = f"{least} {unit} in a row"
        where = f"of a vocabulary of {len(spec.vocabulary):,}" if spec.vocabulary else "hashed"
        how = [length, where, "lower-cased" if spec.lowercase else "upper and lower case told apart"]
        if spec.alternate_sign:
            how.append("half of them count downwards")
        what = "how often each occurs" if spec.valued else "whether each occurs"
    elif spec.kind == "dense":
        how = [f"each number times {spec.scale}, rounded, -127 to 127"]
        if spec.constant:
            how.append(f"and the constant {spec.constant}")
        what = ""
    else:
        how, what = [f"{counted(len(spec.columns), 'column')}, each cell hashed with its column's name"], ""
    values = f"; {what}" if what else ""
    return f"{', '.join(how)}{values}; a sample has {spec.max_features:,} at most"


def _shape(params: ModelParams) -> str:
    """Type and rule of a model, in words."""
    if params.model_type == NAIVE_BAYES:
        kind = "Bernoulli" if params.bernoulli else "multinomial"
        return f"{params.model_type}, {kind}, smoothing {params.smoothing / 256:g}"
    if params.model_type == NEAREST_CENTROID:
        return params.model_type
    return f"{params.model_type}, margin {params.margin} per feature, {params.weight_bits}-bit weights"


def _columns(spec: FeatureSpec) -> str:
    """What a row must have."""
    if spec.kind == "text":
        return f"{spec.text_column}, and the label in {spec.label_column}"
    if spec.kind == "dense":
        columns = f"{spec.vector_column} ({spec.length} numbers)"
        if spec.encoder is not None:
            columns += f" or {spec.encoder.text_column} (text for encoder {spec.encoder.name})"
        return f"{columns}, and the label in {spec.label_column}"
    columns = ", ".join(f"{column.name} ({column.type})" for column in spec.columns)
    return f"{columns}, and the label in {spec.label_column}"
