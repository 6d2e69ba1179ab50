"""dcai model: look at, choose, measure, verify and supersede models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import deploy, options, suggest
from dcai_cli.cli.documents import model_data
from dcai_cli.cli.output import Output
from dcai_cli.domain import (
    NAIVE_BAYES,
    NEAREST_CENTROID,
    ModelParams,
    format_duration,
    format_ether,
    iso_time,
)
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.models import ModelStatus
    from dcai_cli.services.predict import ClassFigures, Evaluation

app = typer.Typer(help="Deploy, look at, choose and measure models.", no_args_is_help=True)
suggest.register(app)
deploy.register(app)

NameOrAddress = Annotated[str | None, typer.Argument(help="Name or address; the one in use if left out.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of the text.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column of the label.")]


@app.command(
    "seal",
    epilog="Example: dcai model seal reviews. Exit codes: 0, 2, 10, 11, 12, 13, 14 (sealed already), 18.",
)
def seal(
    name: NameOrAddress = None,
    *,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Open a model of yours for contributions; its start weights are final then."""
    from dcai_cli.services.deploy import seal_model
    from dcai_cli.services.models import find_model

    output = Output("model seal", json=json, yes=yes)
    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace:
        model = find_model(workspace, name)
        network, ceiling_wei = options.asked_network(workspace)
        output.ask(f"Seal {model.name} ({model.address}) for ever{network}?")
        password = output.password(workspace.settings)
        sent = seal_model(workspace, model, password=password, ceiling_wei=ceiling_wei)
    output.result(
        {
            "address": model.address,
            "transaction": sent.hash,
            "gas_used": sent.gas_used,
            "fee_wei": str(sent.fee_wei),
        },
        lambda console: console.print(f"{model.name} is open for contributions."),
    )


Registry = Annotated[
    str | None, typer.Option(help="Address of the registry to list; remembered for this chain.")
]


@app.command("list", epilog="Example: dcai model list --json. Exit codes: 0, 2, 13, 17.")
def list_(
    *,
    registry: Registry = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """List the models of this chain's registry, and others that are known here."""
    from dcai_cli.services.catalog import listed_models
    from dcai_cli.services.registry import use_registry

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        if registry is not None:
            use_registry(workspace, registry)
        listed = listed_models(workspace)

    def human(console: Console) -> None:
        for item in listed:
            model = item.model
            console.print(f"{model.owner}/{model.name}  {model.address}")
            what = f"{model.params.model_type}, {model.incentive_type}: {', '.join(model.spec.labels)}"
            notes = "" if item.sealed else "; not sealed yet"
            if item.superseded_by is not None:
                notes += f"; its owner recommends {item.superseded_by} instead"
            console.print(f"  {what} from {model.spec.kind}{notes}")
        if not listed:
            console.print("No model is known on this chain. Deploy one: dcai model deploy --help")

    models = [
        model_data(item.model) | {"sealed": item.sealed, "superseded_by": item.superseded_by}
        for item in listed
    ]
    Output("model list", json=json).result({"models": models}, human)


@app.command(
    "supersede",
    epilog="Example: dcai model supersede reviews --by reviews-2. "
    "Exit codes: 0, 2, 10, 11, 12, 13, 14 (not yours, or of another registry), 17, 18.",
)
def supersede(
    name: Annotated[str, typer.Argument(help="Name or address of a model of yours.")],
    *,
    by: Annotated[str | None, typer.Option(help="Name or address of the model to use instead.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the recommendation back.")] = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Recommend another model instead of one of yours; clients show it, and never follow unasked."""
    from dcai_cli.services.catalog import supersede_model
    from dcai_cli.services.models import find_model

    if (by is None) != none:
        raise UsageError("Name the model to use instead, or take it back.", hint="Add --by NAME, or --none.")
    output = Output("model supersede", json=json, yes=yes)
    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace:
        model = find_model(workspace, name)
        network, ceiling_wei = options.asked_network(workspace)
        output.ask(f"Recommend {by or 'nothing'} instead of {model.name} ({model.address}){network}?")
        password = output.password(workspace.settings)
        sent = supersede_model(workspace, model, by, password=password, ceiling_wei=ceiling_wei)
    output.result(
        {
            "address": model.address,
            "transaction": sent.hash,
            "gas_used": sent.gas_used,
            "fee_wei": str(sent.fee_wei),
        },
        lambda console: console.print(
            f"{model.name} is not superseded." if by is None else f"{model.name} is superseded by {by}."
        ),
    )


@app.command("show", epilog="Example: dcai model show reviews. Exit codes: 0, 2, 13, 17.")
def show(
    name: NameOrAddress = None,
    *,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """Show what a model predicts, its price, waits and contributions."""
    from dcai_cli.services.catalog import superseded_by
    from dcai_cli.services.models import find_model, model_status

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        status = model_status(workspace, find_model(workspace, name))
        successor = superseded_by(workspace.chain, status.model)
    data = model_data(status.model) | {
        "sealed_at": iso_time(status.sealed_at) if status.sealed_at else None,
        "batches": status.batches,
        "unit_price_wei": None if status.unit_price_wei is None else str(status.unit_price_wei),
        "balance_wei": str(status.balance_wei),
        "superseded_by": successor,
        "spec": status.model.spec.to_json(),
    }
    Output("model show", json=json).result(data, lambda console: _show_status(console, status, successor))


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
    if model.incentive_type == "points":
        console.print(f"points    {format_duration(terms.refund_wait_s)} after a contribution; no deposits")
    else:
        console.print(
            f"waits     refund {format_duration(terms.refund_wait_s)},"
            f" report {format_duration(terms.report_wait_s)}, owner {format_duration(terms.owner_wait_s)},"
            f" public {format_duration(terms.public_wait_s)}"
        )
    console.print(f"batches   {status.batches}, deposits held {format_ether(status.balance_wei)}")
    if status.unit_price_wei is None:
        console.print(f"not sealed: nobody can contribute yet (dcai model seal {model.name})")
    elif model.incentive_type == "stake":
        console.print(
            f"price     {format_ether(status.unit_price_wei)} for a sample of up to 64 features now"
        )


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


@app.command("use", epilog="Example: dcai model use reviews. Exit codes: 0, 2, 13, 17.")
def use(
    name: Annotated[str, typer.Argument(help="Name or address.")],
    *,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """Mean this model from now on when none is named."""
    from dcai_cli.services.models import use_model

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        model = use_model(workspace, name)
    Output("model use", json=json).result(
        model_data(model), lambda console: console.print(f"{model.name}  {model.address}")
    )


@app.command(
    "verify", epilog="Example: dcai model verify 0x... Exit codes: 0, 2, 13, 17 (the code is not ours)."
)
def verify(
    name: NameOrAddress = None,
    *,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """Compare the code of a model and all its parts with what dcai ships."""
    from dcai_cli.services.models import verify_model

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        model = verify_model(workspace, name)
    Output("model verify", json=json).result(
        model_data(model) | {"verified": True},
        lambda console: console.print(f"{model.name} ({model.address}) runs the code that dcai ships."),
    )


@app.command(
    "evaluate",
    epilog="Example: dcai model evaluate test.csv --model reviews. Exit codes: 0, 2, 13, 15 (bad file), 17.",
)
def evaluate(
    file: Annotated[Path, typer.Argument(help=f"Labelled rows: {options.DATA}", readable=False)],
    *,
    model: options.Model = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    skip: Annotated[int, typer.Option(min=0, help="Leave out so many rows at the start.")] = 0,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """Measure a model on labelled rows."""
    from dcai_cli.services.predict import evaluate_file

    output = Output("model evaluate", json=json)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        done = evaluate_file(
            workspace,
            options.data_source(file, format, encoding),
            model=model,
            text_column=text_column,
            label_column=label_column,
            skip=skip,
            note=output.note,
        )
    data = {
        "model": done.model.address,
        "rows": done.rows,
        "correct": done.correct,
        "accuracy": done.accuracy,
        "classes": [_class(figures) for figures in done.classes],
        "skipped": [{"row": skip.row, "reason": skip.reason} for skip in done.skipped],
    }
    output.result(data, lambda console: _show_evaluation(console, done))


def _class(figures: ClassFigures) -> dict[str, Any]:
    return {
        "label": figures.label,
        "rows": figures.rows,
        "precision": figures.precision,
        "recall": figures.recall,
    }


def _show_evaluation(console: Console, done: Evaluation) -> None:
    console.print(
        f"accuracy {done.accuracy:.4f} ({done.correct} of {done.rows} rows, {len(done.skipped)} skipped)"
    )
    for figures in done.classes:
        precision = "-" if figures.precision is None else f"{figures.precision:.3f}"
        recall = "-" if figures.recall is None else f"{figures.recall:.3f}"
        console.print(f"{figures.label}: {figures.rows} rows, precision {precision}, recall {recall}")
