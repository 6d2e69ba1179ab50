"""dcai model: deploy, look at, choose, measure and verify models."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output
from dcai_cli.domain import CLASSES, Terms, format_duration, format_ether, iso_time, parse_duration
from dcai_cli.errors import BadInput, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.features.spec import FeatureSpec
    from dcai_cli.services.deploy import Deployment
    from dcai_cli.services.models import HostedModel, ModelStatus
    from dcai_cli.services.predict import ClassFigures, Evaluation

app = typer.Typer(help="Deploy, look at, choose and measure models.", no_args_is_help=True)

NameOrAddress = Annotated[str | None, typer.Argument(help="Name or address; the one in use if left out.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of the text.")]
_HINT_LABELS = """Write for instance --labels ham,spam, or --labels '"yes, please",no'."""
LabelColumn = Annotated[str | None, typer.Option(help="Column of the label.")]


@app.command(
    "deploy",
    epilog="Example: dcai model deploy --name sms --labels ham,spam --n-features 4096 --yes. "
    "Exit codes: 0, 2, 10, 11, 12, 13, 14, 15 (bad schema, or the name is taken), 18.",
)
def deploy(
    *,
    name: Annotated[str, typer.Option(help="Its name: a-z, 0-9 and dashes, at most 32.")],
    kind: Annotated[str, typer.Option(help="text or tabular.")] = "text",
    labels: Annotated[
        str | None, typer.Option(help="The two labels, the class 0 first, as in csv: ham,spam.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="TOML file with the columns of a tabular model.", readable=False)
    ] = None,
    n_features: Annotated[
        int, typer.Option(min=256, max=16_777_216, help="Size of the hash space, 256 to 16777216.")
    ] = 16_384,
    max_features: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Features of one sample at most; 1024 if left out.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text; text if left out.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label; label if left out.")] = None,
    ngrams: Annotated[str | None, typer.Option(help="Words in a feature: 1, or 1-2; 1 if left out.")] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="Send counts (int8), not only which features are there.")
    ] = False,
    margin: Annotated[int, typer.Option(min=0, max=65_535, help="Margin per active feature.")] = 2,
    refund_wait: Annotated[str, typer.Option(help="From here contributors take deposits back.")] = "1d",
    report_wait: Annotated[str, typer.Option(help="From here others report rejected samples.")] = "2d",
    owner_wait: Annotated[str, typer.Option(help="From here the owner sweeps what is left.")] = "7d",
    public_wait: Annotated[str, typer.Option(help="From here anybody does.")] = "9d",
    min_gap: Annotated[
        str, typer.Option(help="Least distance between refund, report and owner wait.")
    ] = "1d",
    max_idle: Annotated[str, typer.Option(help="Idle time counts up to here in the price.")] = "1h",
    cost_weight: Annotated[
        int, typer.Option(min=1, help="Price of a sample; in wei, times 3600 a unit.")
    ] = 10**11,
    pretrain: Annotated[
        Path | None,
        typer.Option(help="Weights (.npz), or labelled rows to train on before sealing.", readable=False),
    ] = None,
    no_seal: Annotated[bool, typer.Option("--no-seal", help="Do not open it for contributions yet.")] = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Deploy a model; one that broke off is finished by the same command."""
    from dcai_cli.services.deploy import deploy_model, pretrained_words

    output = Output("model deploy", json=json, quiet=quiet, yes=yes)
    spec = _spec(
        kind,
        labels=labels,
        schema=schema,
        n_features=n_features,
        max_features=max_features,
        text_column=text_column,
        label_column=label_column,
        ngrams=ngrams,
        counts=counts,
    )
    terms = Terms(
        refund_wait_s=parse_duration(refund_wait),
        report_wait_s=parse_duration(report_wait),
        owner_wait_s=parse_duration(owner_wait),
        public_wait_s=parse_duration(public_wait),
        min_gap_s=parse_duration(min_gap),
        max_idle_s=parse_duration(max_idle),
        cost_weight_wei=cost_weight,
    )
    words = [] if pretrain is None else pretrained_words(pretrain, spec, margin)
    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace:
        done = deploy_model(
            workspace,
            name=name,
            spec=spec,
            margin=margin,
            terms=terms,
            password=output.password(workspace.settings),
            account=account,
            pretrained_words=words,
            seal=not no_seal,
            confirm=lambda question: output.ask(f"{question} Go on?"),
            progress=output.note,
        )
    output.result(_deployment(done), lambda console: _show_deployment(console, done))


def _spec(
    kind: str,
    *,
    labels: str | None,
    schema: Path | None,
    n_features: int,
    max_features: int | None,
    text_column: str | None,
    label_column: str | None,
    ngrams: str | None,
    counts: bool,
) -> FeatureSpec:
    from dcai_cli.features.spec import FeatureSpec, tabular_spec_from_schema

    names = None if labels is None else _labels(labels)
    if kind == "tabular":
        if schema is None:
            raise UsageError("A tabular model needs its columns.", hint="Add --schema SCHEMA.toml.")
        for_text = {"--text-column": text_column, "--label-column": label_column, "--ngrams": ngrams}
        for option, value in for_text.items():
            if value is not None:
                raise UsageError(
                    f"{option} is for text models.", hint="Leave it out; the schema names the columns."
                )
        return tabular_spec_from_schema(
            schema, labels=names, n_features=n_features, max_features=max_features, valued=counts
        )
    if kind != "text":
        raise UsageError(f"There is no kind {kind!r}.", hint="Choose --kind text or --kind tabular.")
    if schema is not None:
        raise UsageError("--schema is for tabular models.", hint="Leave it out, or add --kind tabular.")
    if names is None:
        raise UsageError("A text model needs its labels.", hint="Add for instance --labels ham,spam.")
    try:
        return FeatureSpec.text(
            labels=names,
            n_features=n_features,
            max_features=max_features,
            valued=counts,
            text_column=text_column or "text",
            label_column=label_column or "label",
            ngram_range=_ngram_range(ngrams or "1"),
        )
    except BadInput as error:  # all of it was typed
        raise UsageError(error.message, hint=error.hint) from None


def _labels(text: str) -> list[str]:
    """The labels of one row of csv; blanks around them do not count."""
    try:
        names = [
            name.strip() for row in csv.reader([text], skipinitialspace=True, strict=True) for name in row
        ]
    except csv.Error as error:
        raise UsageError(f"--labels {text} is no row of csv: {error}.", hint=_HINT_LABELS) from None
    if len(names) != CLASSES:
        raise UsageError(f"--labels {text} names {len(names)} of {CLASSES} labels.", hint=_HINT_LABELS)
    return names


def _ngram_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdecimal() and (high or low).isdecimal()):
        raise UsageError(f"{text!r} is no range of n-grams.", hint="Write --ngrams 1, or --ngrams 1-2.")
    return int(low), int(high or low)


def _deployment(done: Deployment) -> dict[str, Any]:
    return _model(done.model) | {
        "sealed": done.sealed,
        "gas_used": done.gas_used,
        "fee_wei": str(done.fee_wei),
        "transactions": list(done.transactions),
    }


def _show_deployment(console: Console, done: Deployment) -> None:
    console.print(f"{done.model.name} is at {done.model.address}")
    console.print(f"{done.gas_used:,} gas, fees {format_ether(done.fee_wei)}")
    if done.sealed:
        console.print(f"Contribute to it: dcai contribute FILE --model {done.model.name}")
    else:
        console.print(f"Open it for contributions: dcai model seal {done.model.name}")


def _model(model: HostedModel) -> dict[str, Any]:
    terms = model.terms
    return {
        "name": model.name,
        "address": model.address,
        "owner": model.owner,
        "model": model.model,
        "incentive": model.incentive,
        "data_handler": model.data_handler,
        "kind": model.spec.kind,
        "labels": list(model.spec.labels),
        "n_features": model.spec.n_features,
        "margin": model.margin,
        "refund_wait_s": terms.refund_wait_s,
        "report_wait_s": terms.report_wait_s,
        "owner_wait_s": terms.owner_wait_s,
        "public_wait_s": terms.public_wait_s,
        "min_gap_s": terms.min_gap_s,
        "max_idle_s": terms.max_idle_s,
        "cost_weight_wei": str(terms.cost_weight_wei),
    }


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
        output.ask(f"Seal {model.name} ({model.address}) for ever?")
        sent = seal_model(workspace, model, password=output.password(workspace.settings))
    output.result(
        {
            "address": model.address,
            "transaction": sent.hash,
            "gas_used": sent.gas_used,
            "fee_wei": str(sent.fee_wei),
        },
        lambda console: console.print(f"{model.name} is open for contributions."),
    )


@app.command("list", epilog="Example: dcai model list --json. Exit codes: 0, 13, 17.")
def list_(
    *, rpc_url: options.RpcUrl = None, chain_id: options.ChainId = None, json: options.Json = False
) -> None:
    """List the models that are known on this chain."""
    from dcai_cli.services.models import known_models

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        models = known_models(workspace)

    def human(console: Console) -> None:
        for model in models:
            labels = ", ".join(model.spec.labels)
            console.print(f"{model.name}  {model.address}  {model.spec.kind}, {labels}")
        if not models:
            console.print("No model is known on this chain. Deploy one: dcai model deploy --help")

    Output("model list", json=json).result({"models": [_model(model) for model in models]}, human)


@app.command("show", epilog="Example: dcai model show reviews. Exit codes: 0, 2, 13, 17.")
def show(
    name: NameOrAddress = None,
    *,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """Show what a model predicts, its price, waits and contributions."""
    from dcai_cli.services.models import find_model, model_status

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        status = model_status(workspace, find_model(workspace, name))
    data = _model(status.model) | {
        "sealed_at": iso_time(status.sealed_at) if status.sealed_at else None,
        "batches": status.batches,
        "unit_price_wei": None if status.unit_price_wei is None else str(status.unit_price_wei),
        "balance_wei": str(status.balance_wei),
        "spec": status.model.spec.to_json(),
    }
    Output("model show", json=json).result(data, lambda console: _show_status(console, status))


def _show_status(console: Console, status: ModelStatus) -> None:
    model, terms = status.model, status.model.terms
    labels = " or ".join(model.spec.labels)
    console.print(f"{model.name}  {model.address}")
    console.print(f"owner     {model.owner}")
    console.print(f"predicts  {labels} from {model.spec.kind}, {model.spec.n_features:,} features")
    console.print(f"columns   {_columns(model.spec)}")
    console.print(
        f"waits     refund {format_duration(terms.refund_wait_s)},"
        f" report {format_duration(terms.report_wait_s)}, owner {format_duration(terms.owner_wait_s)},"
        f" public {format_duration(terms.public_wait_s)}"
    )
    console.print(f"batches   {status.batches}, deposits held {format_ether(status.balance_wei)}")
    if status.unit_price_wei is None:
        console.print(f"not sealed: nobody can contribute yet (dcai model seal {model.name})")
    else:
        console.print(
            f"price     {format_ether(status.unit_price_wei)} for a sample of up to 64 features now"
        )


def _columns(spec: FeatureSpec) -> str:
    """What a row must have."""
    if spec.kind == "text":
        return f"{spec.text_column}, and the label in {spec.label_column}"
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
        _model(model), lambda console: console.print(f"{model.name}  {model.address}")
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
        _model(model) | {"verified": True},
        lambda console: console.print(f"{model.name} ({model.address}) runs the code that dcai ships."),
    )


@app.command(
    "evaluate",
    epilog="Example: dcai model evaluate test.csv --model reviews. Exit codes: 0, 2, 13, 15 (bad file), 17.",
)
def evaluate(
    file: Annotated[Path, typer.Argument(help="Labelled rows: csv, tsv, jsonl or parquet.", readable=False)],
    *,
    model: options.Model = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    skip: Annotated[int, typer.Option(min=0, help="Leave out so many rows at the start.")] = 0,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """Measure a model on labelled rows."""
    from dcai_cli.services.predict import evaluate_file

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        done = evaluate_file(
            workspace, file, model=model, text_column=text_column, label_column=label_column, skip=skip
        )
    data = {
        "model": done.model.address,
        "rows": done.rows,
        "correct": done.correct,
        "accuracy": done.accuracy,
        "classes": [_class(figures) for figures in done.classes],
        "skipped": [{"row": skip.row, "reason": skip.reason} for skip in done.skipped],
    }
    Output("model evaluate", json=json).result(data, lambda console: _show_evaluation(console, done))


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
