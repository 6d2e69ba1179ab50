"""dcai data: everything contributed, reusable elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output

app = typer.Typer(help="Get at the data that was contributed.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command(
    "export", epilog="Example: dcai data export --model reviews --output data.csv. Exit codes: 0, 2, 13, 17."
)
def export(
    *,
    output_file: Annotated[
        Path, typer.Option("--output", "-o", help="The csv file to write.", readable=False)
    ],
    model: options.Model = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one csv row per sample on-chain: batch, index, contributor, label, features, added_at, state."""
    from dcai_cli.services.export import export_data

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        done = export_data(workspace, output_file, model=model)
    output = Output("data export", json=json, quiet=quiet)
    output.result(
        {
            "model": done.model.address,
            "output": str(done.output),
            "batches": done.batches,
            "samples": done.samples,
        },
        lambda _: output.note(f"{done.samples} samples of {done.batches} batches in {done.output}"),
    )
