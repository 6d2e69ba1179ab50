"""dcai model deploy: a new model, its shape, its terms, and perhaps weights to start with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.documents import model_data
from dcai_cli.cli.output import Output
from dcai_cli.cli.suggest import suggested_spec
from dcai_cli.cli.typed_dense import Vectors
from dcai_cli.cli.typed_spec import Reading, typed_spec
from dcai_cli.domain import PERCEPTRON, Terms, format_ether, parse_duration
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.deploy import Deployment

_TEXTS, _TABLES, _VECTORS = "Texts", "Tables", "Vectors"
_LEARNING, _TERMS = "Learning", "Money, points and time"
"""Groups of options in the help text."""


def register(models: typer.Typer) -> None:
    """Add the command to the group of models."""
    models.command(
        "deploy",
        epilog="Example: dcai model deploy --name sms --labels ham,spam --n-features 4096 --yes. "
        "Exit codes: 0, 2, 10, 11, 12, 13, 14, 15 (bad schema, or the name is taken), 17, 18.",
    )(deploy)


def deploy(
    *,
    name: Annotated[str, typer.Option(help="Its name: a-z, 0-9 and dashes, at most 32.")],
    kind: Annotated[str, typer.Option(help="text, tabular, or dense (vectors).")] = "text",
    labels: Annotated[
        str | None, typer.Option(help="The labels, 2 to 16, the class 0 first, as in csv: ham,spam.")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with the columns of a tabular model.", readable=False, rich_help_panel=_TABLES
        ),
    ] = None,
    quantiles_from: Annotated[
        Path | None,
        typer.Option(
            help="Rows that quantiles of the schema are learned from.",
            readable=False,
            rich_help_panel=_TABLES,
        ),
    ] = None,
    n_features: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=16_777_216,
            help="Size of the hash space, 256 to 16777216; 16384 if left out. Of vectors, their length.",
        ),
    ] = None,
    max_features: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=4096,
            help="Features of one sample at most, up to 4096; 1024, or all of a vector, if left out.",
        ),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column of the text; text if left out.", rich_help_panel=_TEXTS)
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label; label if left out.")] = None,
    analyzer: Annotated[
        str | None,
        typer.Option(
            help="What features are made of: word, char, or char_wb (within words); word if left out.",
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    ngrams: Annotated[
        str | None,
        typer.Option(
            help="Words or characters in a feature, up to 8: 1, or 1-2; 1 if left out.",
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    lowercase: Annotated[
        bool | None,
        typer.Option(
            "--lowercase/--no-lowercase",
            help="Lower-case texts first; so if left out.",
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    alternate_sign: Annotated[
        bool,
        typer.Option(
            "--alternate-sign",
            help="Half of the features, by their hash, count downwards.",
            rich_help_panel=_TEXTS,
        ),
    ] = False,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="File of the features that count, one a line; nothing is hashed.",
            readable=False,
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    vocabulary_from: Annotated[
        Path | None,
        typer.Option(
            help="Labelled rows whose most frequent features count.", readable=False, rich_help_panel=_TEXTS
        ),
    ] = None,
    vocabulary_size: Annotated[
        int | None,
        typer.Option(
            min=2, help="How many of them, with --vocabulary-from; 1000 if left out.", rich_help_panel=_TEXTS
        ),
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="Send counts (int8), not only which features are there.")
    ] = False,
    vector_column: Annotated[
        str | None, typer.Option(help="Column of the vectors; vector if left out.", rich_help_panel=_VECTORS)
    ] = None,
    vectors_from: Annotated[
        Path | None,
        typer.Option(
            help="Vectors, or texts for the encoder, to learn the scale from.",
            readable=False,
            rich_help_panel=_VECTORS,
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="What vectors are multiplied by before they are rounded to int8.", rich_help_panel=_VECTORS
        ),
    ] = None,
    constant: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=127,
            help="Value of one more feature of each vector; if left out, 127 for a perceptron, else none.",
            rich_help_panel=_VECTORS,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Plug-in that makes vectors of texts, such as sentences.", rich_help_panel=_VECTORS
        ),
    ] = None,
    model_type: Annotated[
        str, typer.Option(help="perceptron, naive-bayes or nearest-centroid.", rich_help_panel=_LEARNING)
    ] = "perceptron",
    margin: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Perceptron: margin per active feature; 2 if left out.",
            rich_help_panel=_LEARNING,
        ),
    ] = None,
    weight_bits: Annotated[
        int | None,
        typer.Option(
            help="Perceptron of two labels: 16, or 8 for half the storage; 16 if left out.",
            rich_help_panel=_LEARNING,
        ),
    ] = None,
    smoothing: Annotated[
        float | None,
        typer.Option(
            help="Naive Bayes: added to every count, in steps of 1/256; 1 if left out.",
            rich_help_panel=_LEARNING,
        ),
    ] = None,
    bernoulli: Annotated[
        bool,
        typer.Option(
            "--bernoulli",
            help="Naive Bayes: presence and absence of features, not counts.",
            rich_help_panel=_LEARNING,
        ),
    ] = False,
    incentive: Annotated[
        str, typer.Option(help="stake (deposits), or points (no money).", rich_help_panel=_TERMS)
    ] = "stake",
    refund_wait: Annotated[
        str,
        typer.Option(
            help="From here contributors take deposits back, or earn points.", rich_help_panel=_TERMS
        ),
    ] = "1d",
    report_wait: Annotated[
        str | None,
        typer.Option(
            help="From here others report rejected samples; 2d if left out.", rich_help_panel=_TERMS
        ),
    ] = None,
    owner_wait: Annotated[
        str | None,
        typer.Option(help="From here the owner sweeps what is left; 7d if left out.", rich_help_panel=_TERMS),
    ] = None,
    public_wait: Annotated[
        str | None, typer.Option(help="From here anybody does; 9d if left out.", rich_help_panel=_TERMS)
    ] = None,
    min_gap: Annotated[
        str | None,
        typer.Option(
            help="Least distance between refund, report and owner wait; 1d if left out.",
            rich_help_panel=_TERMS,
        ),
    ] = None,
    max_idle: Annotated[
        str | None,
        typer.Option(
            help="Idle time counts up to here in the price; 1h if left out.", rich_help_panel=_TERMS
        ),
    ] = None,
    cost_weight: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Price of a sample; in wei, times 3600 a unit; 100 gwei if left out.",
            rich_help_panel=_TERMS,
        ),
    ] = None,
    pretrain: Annotated[
        Path | None,
        typer.Option(
            help="Weights (.npz), or labelled rows to train on before sealing.",
            readable=False,
            rich_help_panel=_LEARNING,
        ),
    ] = None,
    suggest: Annotated[
        Path | None,
        typer.Option(
            help="Labelled texts to try settings on, as dcai model suggest does.",
            readable=False,
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    no_seal: Annotated[bool, typer.Option("--no-seal", help="Do not open it for contributions yet.")] = False,
    registry: Annotated[
        str | None, typer.Option(help="Address of the registry to list it in; remembered for this chain.")
    ] = None,
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
    from dcai_cli.services.limits import model_params
    from dcai_cli.services.registry import use_registry

    output = Output("model deploy", json=json, quiet=quiet, yes=yes)
    named = {
        "--suggest": suggest,
        "--vocabulary-from": vocabulary_from,
        "--quantiles-from": quantiles_from,
        "--vectors-from": vectors_from,
        "--pretrain": pretrain,
    }
    sources = options.row_sources(named, format, encoding)
    params_of = partial(
        model_params,
        model_type=model_type,
        margin=margin,
        weight_bits=weight_bits,
        smoothing=None if smoothing is None else _smoothing(smoothing),
        bernoulli=bernoulli,
    )
    reading = Reading(
        analyzer=analyzer,
        ngrams=ngrams,
        lowercase=lowercase,
        alternate_sign=alternate_sign,
        vocabulary=vocabulary,
        vocabulary_from=sources.get("--vocabulary-from"),
        vocabulary_size=vocabulary_size,
    )
    vectors = Vectors(
        model_type=model_type,
        vector_column=vector_column,
        vectors_from=sources.get("--vectors-from"),
        scale=scale,
        constant=constant,
        encoder=encoder,
    )
    columns = {"text_column": text_column, "label_column": label_column}
    if suggest is not None:
        others = {
            f"--kind {kind}": kind if kind != "text" else None,
            "--schema": schema,
            "--quantiles-from": quantiles_from,
            "--model-type": model_type if model_type != PERCEPTRON else None,
            "--n-features": n_features,
            "--max-features": max_features,
            "--counts": counts or None,
            **reading.options(),
            **vectors.options(),
        }
        spec = suggested_spec(
            sources["--suggest"], output, labels=labels, others=others, make_params=params_of, **columns
        )
    else:
        spec = typed_spec(
            kind,
            labels=labels,
            schema=schema,
            n_features=n_features,
            max_features=max_features,
            counts=counts,
            reading=reading,
            quantiles_from=sources.get("--quantiles-from"),
            vectors=vectors,
            note=output.note,
            **columns,
        )
    params = params_of(spec)
    terms = _terms(
        incentive,
        refund_wait,
        {
            "--report-wait": report_wait,
            "--owner-wait": owner_wait,
            "--public-wait": public_wait,
            "--min-gap": min_gap,
            "--max-idle": max_idle,
        },
        cost_weight,
    )
    words = []
    if pretrain is not None:
        words = pretrained_words(sources["--pretrain"], spec, params, note=output.note)

    def confirm(question: str) -> None:
        where = "" if workspace.chain.is_embedded else f" This is {options.network(workspace)}."
        output.ask(f"{question}{where} Go on?")

    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace:
        if registry is not None:
            use_registry(workspace, registry)
        done = deploy_model(
            workspace,
            name=name,
            spec=spec,
            params=params,
            incentive_type=incentive,
            terms=terms,
            password=output.password(workspace.settings),
            account=account,
            pretrained_words=words,
            seal=not no_seal,
            confirm=confirm,
            progress=output.note,
        )
    output.result(_deployment(done), lambda console: _show_deployment(console, done))


_WAITS = {
    "--report-wait": "2d",
    "--owner-wait": "7d",
    "--public-wait": "9d",
    "--min-gap": "1d",
    "--max-idle": "1h",
}
_COST_WEIGHT_WEI = 10**11


def _terms(
    incentive: str, refund_wait: str, typed: Mapping[str, str | None], cost_weight_wei: int | None
) -> Terms:
    """The terms that were typed, and for the rest the usual ones."""
    from dcai_cli.services.limits import points_terms

    if incentive == "points":
        money = [*(name for name, value in typed.items() if value is not None)]
        money += ["--cost-weight"] if cost_weight_wei is not None else []
        if money:
            raise UsageError(f"{money[0]} is for models with stakes.", hint="Leave it out: points are free.")
        return points_terms(parse_duration(refund_wait))
    if incentive != "stake":
        raise UsageError(
            f"There is no incentive {incentive!r}.", hint="Choose --incentive stake or --incentive points."
        )
    report, owner, public, gap, idle = (
        parse_duration(typed[name] or usual) for name, usual in _WAITS.items()
    )
    return Terms(
        refund_wait_s=parse_duration(refund_wait),
        report_wait_s=report,
        owner_wait_s=owner,
        public_wait_s=public,
        min_gap_s=gap,
        max_idle_s=idle,
        cost_weight_wei=_COST_WEIGHT_WEI if cost_weight_wei is None else cost_weight_wei,
    )


def _smoothing(smoothing: float) -> int:
    """Smoothing in 1/256, as the contract takes it."""
    steps = smoothing * 256
    if not steps.is_integer() or not 1 <= steps <= 65_535:
        raise UsageError(
            f"--smoothing {smoothing} is not possible: it is 1/256 to 255, in steps of 1/256.",
            hint="Write for instance --smoothing 1, or --smoothing 0.5.",
        )
    return int(steps)


def _deployment(done: Deployment) -> dict[str, Any]:
    return model_data(done.model) | {
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
