"""dcai data: everything contributed, reusable elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options, outputs, plots
from dcai_cli.cli.charts import show_bars, show_timeline
from dcai_cli.cli.output import WIDE, Output, shortened
from dcai_cli.domain import counted, format_ether, iso_time
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.data_stats import ContributorPart, DataStats, Part
    from dcai_cli.services.plots import Timeline

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
    "Exit codes: 0, 2 (format and name do not fit, or the folder is not empty), 13, 15 "
    "(the file is there), 17.",
)
def export(
    *,
    output_file: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The file to write, .csv or .parquet; - for csv on standard output; a new folder for hf.",
            readable=False,
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, parquet or hf (a Hugging Face data set); what the ending says, or csv, if left out.",
        ),
    ] = None,
    force: outputs.Force = False,
    from_block: FromBlock = None,
    to_block: ToBlock = None,
    model: options.Model = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one row per sample on-chain: label, features, contributor, time, deposit and its fate."""
    from dcai_cli.services.export import CSV, HUGGING_FACE, export_data, export_format
    from dcai_cli.services.history import read_history

    output = Output("data export", json=json, quiet=quiet)
    if (chosen := export_format(output_file, format)) != HUGGING_FACE:
        outputs.check_file(output_file, force=force, streams=chosen == CSV, json=json)
    elif force:
        raise UsageError("--force is for files, and hf writes a new folder.", hint="Name another folder.")
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
        lambda _: output.note(
            f"{counted(done.samples, 'sample')} of {counted(done.batches, 'batch')} "
            f"in {outputs.name_of(done.output)}"
        ),
    )


@app.command(
    "stats",
    epilog="Example: dcai data stats --model reviews --plot contributions.svg. "
    "Exit codes: 0, 2 (the plot's ending, or matplotlib is not installed), 13, 17.",
)
def stats(
    *,
    top: Annotated[int, typer.Option(min=1, help="Show so many contributors, the most samples first.")] = 10,
    all_: Annotated[bool, typer.Option("--all", help="Show all contributors.")] = False,
    from_block: FromBlock = None,
    to_block: ToBlock = None,
    plot: options.Plot = None,
    model: options.Model = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Count what was contributed: by label, by what became of it, by contributor; repeats and deposits."""
    from dcai_cli.services.data_stats import data_stats
    from dcai_cli.services.history import read_history

    plots.check(plot)
    output = Output("data stats", json=json, quiet=quiet)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace, ExitStack() as stack:
        with output.progress("reading blocks") as progress:
            history = stack.enter_context(
                read_history(workspace, model, from_block=from_block, to_block=to_block, progress=progress)
            )
        with output.progress("counting batches") as progress:
            done = data_stats(workspace, history, progress=progress)
    if plot is not None:
        plots.draw(output, plot, [_chart(done)])
    shown = done.contributors if all_ else done.contributors[:top]
    output.result(_stats(done, shown), lambda console: _show_stats(console, done, shown))


def _chart(done: DataStats) -> Timeline:
    from dcai_cli.services.plots import Timeline, added_up

    title, points = f"samples contributed to {done.model.name}", added_up(done.timeline)
    return Timeline(title, "samples", {"samples": points}, is_sum=True)


def _part(part: Part) -> dict[str, Any]:
    return {
        "samples": part.samples,
        "deposit_wei": str(part.deposit_wei),
        "refunded_wei": str(part.refunded_wei),
        "lost_wei": str(part.lost_wei),
        "open_wei": str(part.open_wei),
    }


def _stats(done: DataStats, shown: Sequence[ContributorPart]) -> dict[str, Any]:
    features = done.features
    return {
        "model": done.model.address,
        "to_block": done.to_block,
        **_part(done.total),
        "batches": done.batches,
        "informative": done.informative,
        "contributors": len(done.contributors),
        "first_at": None if done.first_at is None else iso_time(done.first_at),
        "last_at": None if done.last_at is None else iso_time(done.last_at),
        "duplicates": done.duplicates,
        "contradictions": done.contradictions,
        "features": {
            "least": features.least,
            "median": features.median,
            "mean": features.mean,
            "most": features.most,
        },
        "labels": [{"label": label, **_part(part)} for label, part in done.labels],
        "states": [{"state": state, **_part(part)} for state, part in done.states],
        "by_contributor": [
            {
                "contributor": who.contributor,
                "account": who.account,
                "batches": who.batches,
                "first_at": iso_time(who.first_at),
                "last_at": iso_time(who.last_at),
                **_part(who),
            }
            for who in shown
        ],
    }


def _show_stats(console: Console, done: DataStats, shown: Sequence[ContributorPart]) -> None:
    if done.first_at is None or done.last_at is None:
        console.print(f"Nothing was contributed to {done.model.name} yet.")
        return
    total, features = done.total, done.features
    console.print(
        f"{counted(total.samples, 'sample')} in {counted(done.batches, 'batch')} "
        f"by {counted(len(done.contributors), 'contributor')}"
    )
    console.print(f"from      {iso_time(done.first_at)}")
    console.print(f"to        {iso_time(done.last_at)}")
    console.print(f"deposits  {format_ether(total.deposit_wei)}")
    console.print(
        f"          {format_ether(total.refunded_wei)} came back, {format_ether(total.lost_wei)} lost,"
    )
    console.print(f"          {format_ether(total.open_wei)} open")
    console.print(f"features  {features.least} to {features.most} a sample, median {features.median}")
    repeats = counted(done.duplicates, "sample that repeats another", "samples that repeat others")
    console.print(f"repeats   {repeats}, label included")
    console.print(f"          {done.contradictions:,} whose features also come with another label")
    console.print(f"surprise  {done.informative:,} that the model predicted otherwise when they came")
    for name, part in (*done.labels, *done.states):
        console.print(f"{name}: {counted(part.samples, 'sample')}, deposits {format_ether(part.deposit_wei)}")
    for parts in (done.labels, done.states):
        show_bars(console, [(name, part.samples) for name, part in parts])
    show_timeline(console, "over time", done.timeline)
    _show_contributors(console, shown)
    if len(done.contributors) > len(shown):
        console.print(f"{len(done.contributors) - len(shown):,} more; show them with --all")


def _show_contributors(console: Console, shown: Sequence[ContributorPart]) -> None:
    from rich.measure import Measurement
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("contributor", no_wrap=True)
    for header in ("samples", "batches", "deposits", "came back", "lost"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("account", no_wrap=True)
    for who in shown:
        amounts = (who.deposit_wei, who.refunded_wei, who.lost_wei)
        cells = (f"{who.samples:,}", f"{who.batches:,}", *map(format_ether, amounts))
        table.add_row(who.contributor, *cells, who.account or "")
    unbounded = console.options.update(max_width=WIDE)
    if Measurement.get(console, unbounded, table).maximum <= console.width:
        console.print(table)
        return
    # An address and figures cut short would say nothing.
    for who in shown:
        console.print(f"{shortened(who.contributor)}  {who.account or ''}".rstrip())
        console.print(f"  {who.samples:,} samples, {who.batches:,} batches")
        console.print(f"  deposits  {format_ether(who.deposit_wei)}")
        console.print(f"  came back {format_ether(who.refunded_wei)}")
        console.print(f"  lost      {format_ether(who.lost_wei)}")
