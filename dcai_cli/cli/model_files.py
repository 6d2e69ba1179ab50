"""dcai model snapshot, export, verify: a model's weights and its code, as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options, outputs
from dcai_cli.cli.documents import model_data
from dcai_cli.cli.output import Output
from dcai_cli.domain import counted

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.weights import SavedWeights

WeightsFile = Annotated[Path, typer.Option("--output", "-o", help="The .npz to write.", readable=False)]


def register(models: typer.Typer) -> None:
    """Add the commands to the group of models."""
    models.command(
        "snapshot",
        epilog="Example: dcai model snapshot reviews --output weights.npz. "
        "Exit codes: 0, 1 (the file cannot be written), 2, 13, 15 (the file is there), 17.",
    )(snapshot)
    models.command(
        "export",
        epilog="Example: dcai model export reviews --output reviews.npz. "
        "Exit codes: 0, 1 (the file cannot be written), 2, 13, 15 (the file is there), 17.",
    )(export)
    models.command(
        "verify",
        epilog="Example: dcai model verify reviews --standard-json explorer. "
        "Exit codes: 0, 1 (a file cannot be written), 2, 13, 17 (the code is not ours).",
    )(verify)


def snapshot(
    name: options.NameOrAddress = None,
    *,
    output: WeightsFile,
    force: outputs.Force = False,
    block: Annotated[
        int | None,
        typer.Option(min=0, help="As after this block, if the node still has its state; as now if left out."),
    ] = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the storage words of a model into a file, with its feature spec and type."""
    from dcai_cli.services.weights import save_weights

    outputs.check_file(output, force=force)
    speaks = Output("model snapshot", json=json, quiet=quiet)
    with (
        options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace,
        speaks.progress("reading weights") as progress,
    ):
        saved = save_weights(workspace, output, model=name, block=block, progress=progress)
    speaks.result(_saved(saved), lambda _: speaks.note(_told(saved)))


def export(
    name: options.NameOrAddress = None,
    *,
    output: WeightsFile,
    force: outputs.Force = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a model for scikit-learn (dcai_cli.sklearn) or numpy, or for another model to start with."""
    from dcai_cli.services.weights import save_weights

    outputs.check_file(output, force=force)
    speaks = Output("model export", json=json, quiet=quiet)
    with (
        options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace,
        speaks.progress("reading weights") as progress,
    ):
        saved = save_weights(workspace, output, model=name, with_arrays=True, progress=progress)
    speaks.result(_saved(saved), lambda _: speaks.note(_told(saved)))


def _saved(saved: SavedWeights) -> dict[str, Any]:
    return {
        "model": saved.model.address,
        "output": str(saved.output),
        "block_number": saved.block.number,
        "block_hash": saved.block.hash,
        "words": saved.words,
    }


def _told(saved: SavedWeights) -> str:
    words = counted(saved.words, "word")
    return f"{saved.model.name} after block {saved.block.number}: {words} in {saved.output}"


def verify(
    name: options.NameOrAddress = None,
    *,
    standard_json: Annotated[
        Path | None,
        typer.Option(
            "--standard-json",
            metavar="FOLDER",
            readable=False,
            help="Write the compiler's input of each part into this folder, as explorers take it.",
        ),
    ] = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare the code of a model and all its parts with what dcai ships."""
    from dcai_cli.services.verify import verify_model, write_compiler_inputs

    output = Output("model verify", json=json, quiet=quiet)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        model = verify_model(workspace, name)
        inputs = write_compiler_inputs(workspace, model, standard_json) if standard_json else ()

    def human(console: Console) -> None:
        console.print(f"{model.name} ({model.address}) runs the code that dcai ships.")
        for written in inputs:
            console.print(
                f"{written.path}: {written.contract} at {written.implementation}, solc {written.compiler}"
            )

    files = [
        {
            "path": str(written.path),
            "contract": written.contract,
            "address": written.address,
            "implementation": written.implementation,
            "compiler": written.compiler,
        }
        for written in inputs
    ]
    output.result(model_data(model) | {"verified": True, "standard_json": files}, human)
