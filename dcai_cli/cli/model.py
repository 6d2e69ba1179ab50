"""dcai model: list, choose, seal and supersede models; the other commands stand in files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dcai_cli.cli import completion, deploy, model_files, model_measure, model_show, options, suggest
from dcai_cli.cli.documents import model_data
from dcai_cli.cli.output import Output
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

app = typer.Typer(help="Deploy, look at, choose and measure models.", no_args_is_help=True)
suggest.register(app)
deploy.register(app)
model_show.register(app)
model_measure.register(app)
model_files.register(app)


@app.command(
    "seal",
    epilog="Example: dcai model seal news. Exit codes: 0, 2, 10, 11, 12, 13, 14 (sealed already), 18.",
)
def seal(
    name: options.NameOrAddress = None,
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
        password = output.password(workspace.settings)
        sent = seal_model(workspace, model, password=password, confirm=_go_on(output))
    output.result(
        {
            "address": model.address,
            "transaction": sent.hash,
            "gas_used": sent.gas_used,
            "fee_wei": str(sent.fee_wei),
        },
        lambda console: console.print(f"{model.name} is open for contributions."),
    )


def _go_on(output: Output) -> Callable[[str], None]:
    return lambda said: output.ask(f"{said} Go on?")


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
    name: Annotated[
        str, typer.Argument(help="Name or address of a model of yours.", autocompletion=completion.models)
    ],
    *,
    by: Annotated[
        str | None,
        typer.Option(help="Name or address of the model to use instead.", autocompletion=completion.models),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the recommendation back.")] = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Recommend another model instead of one of yours; clients show it, and never follow unasked."""
    from dcai_cli.services.models import find_model
    from dcai_cli.services.supersede import supersede_model

    if (by is None) != none:
        raise UsageError("Name the model to use instead, or take it back.", hint="Add --by NAME, or --none.")
    output = Output("model supersede", json=json, yes=yes)
    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace:
        model = find_model(workspace, name)
        password = output.password(workspace.settings)
        sent = supersede_model(workspace, model, by, password=password, confirm=_go_on(output))
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


@app.command("use", epilog="Example: dcai model use reviews. Exit codes: 0, 2, 13, 17.")
def use(
    name: Annotated[str, typer.Argument(help="Name or address.", autocompletion=completion.models)],
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
