"""dcai data: everything contributed, reusable elsewhere."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output

app = typer.Typer(help="Get at the data that was contributed.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


FromBlock = Annotated[int | None, typer.Option(min=0, help="Leave out what earlier blocks contributed.")]
ToBlock = Annotated[
    int | None, typer.Option(min=0, help="Tell how it was at this block; the newest if left out.")
]


@app.command(
    "export",
    epilog="Example: dcai data export --model reviews --output data.parquet. "
    "Exit codes: 0, 2 (no format, or the folder is not empty), 13, 17.",
)
def export(
    *,
    output_file: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The file to write, .csv or .parquet; or a new folder, for hf.",
            readable=False,
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, parquet or hf (a Hugging Face data set), where the ending does not say it."
        ),
    ] = None,
    from_block: FromBlock = None,
    to_block: ToBlock = None,
    model: options.Model = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one row per sample on-chain: label, features, contributor, time, deposit and its fate."""
    from dcai_cli.services.export import export_data, export_format
    from dcai_cli.services.history import read_history

    output = Output("data export", json=json, quiet=quiet)
    export_format(output_file, format)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace, ExitStack() as stack:
        with output.progress("reading blocks") as progress:
            history = stack.enter_context(
                read_history(workspace, model, from_block=from_block, to_block=to_block, progress=progress)
            )
        with output.progress("writing samples") as progress:
            done = export_data(history, output_file, format=format, progress=progress)
    output.result(
        {
            "model": done.model.address,
            "output": str(done.output),
            "format": done.format,
            "batches": done.batches,
            "samples": done.samples,
            "columns": list(done.columns),
            "to_block": done.to_block,
        },
        lambda _: output.note(f"{done.samples} samples of {done.batches} batches in {done.output}"),
    )
