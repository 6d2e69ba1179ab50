"""dcai featurize: what a file's rows become, without sending anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options, outputs
from dcai_cli.cli.output import Output, kept, print_long_document, stdout
from dcai_cli.domain import counted
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from dcai_cli.features.featurize import Skipped
    from dcai_cli.services.featurize import FeaturizedSample

HEX_SHOWN = 32
"""Hexadecimal digits of a payload shown to people; --json and --output have all."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        "featurize",
        epilog="Example: dcai featurize reviews.csv --spec spec.json --limit 3. Exit codes: 0, 1, 2, 13, 15 "
        "(bad file or spec, or the output is there), 17.",
    )(featurize)


def featurize(
    file: Annotated[Path, typer.Argument(help=f"Rows: {options.DATA}", readable=False)],
    *,
    spec: Annotated[
        str,
        typer.Option("--spec", "-s", help="A feature spec (a file of JSON), or a model, by name or address."),
    ],
    output_file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write one JSON object a row into this file; - is standard output.",
            readable=False,
        ),
    ] = None,
    force: outputs.Force = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Read so many rows at most.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    no_labels: Annotated[bool, typer.Option("--no-labels", help="Read no labels; each is 0.")] = False,
    format: options.Format = None,
    encoding: options.Encoding = None,
    scheduler: options.Scheduler = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what each row of a file becomes: its features, the bytes sent, and what is read back from them."""
    from dcai_cli.files import write_output
    from dcai_cli.services.featurize import featurized_samples, find_spec

    if no_labels and label_column is not None:
        raise UsageError(
            f"--no-labels reads no labels, and --label-column {label_column} names their column.",
            hint="Leave out one of them.",
        )
    outputs.check_file(output_file, source=file, force=force, streams=True, json=json)
    output = Output("featurize", json=json, quiet=quiet)
    found = find_spec(spec, lambda: options.open_workspace(rpc_url=rpc_url, chain_id=chain_id))
    with featurized_samples(
        options.data_source(file, format, encoding),
        found,
        limit=limit,
        text_column=text_column,
        label_column=label_column,
        with_labels=not no_labels,
        scheduler=scheduler,
        note=output.note,
    ) as rows:
        tally = _Tally()
        items = (_item(row) for row in tally.count(rows))
        if output_file is not None:
            with kept(items) as lines:
                write_output(output_file, lines)
            output.result(
                {"output": str(output_file), **tally.data()},
                lambda _: output.note(f"{tally.text()} in {outputs.name_of(output_file)}"),
            )
        elif json:
            print_long_document("featurize", data=tally.data, name="samples", items=items)
        else:
            console = stdout()
            for row in tally.count(rows):
                console.print(_line(row))
            output.note(tally.text())


@dataclass(slots=True)
class _Tally:
    """How many rows went by.

    Args:
        samples: rows that gave a sample.
        skipped: rows that gave none.
        cut: rows that lost features.
        payload_bytes: bytes of all samples.
    """

    samples: int = 0
    skipped: int = 0
    cut: int = 0
    payload_bytes: int = 0

    def count(self, rows: Iterable[FeaturizedSample | Skipped]) -> Iterator[FeaturizedSample | Skipped]:
        from dcai_cli.features.featurize import Skipped

        for row in rows:
            if isinstance(row, Skipped):
                self.skipped += 1
            else:
                self.samples += 1
                self.cut += row.cut
                self.payload_bytes += len(row.payload)
            yield row

    def data(self) -> dict[str, Any]:
        return {
            "rows": self.samples + self.skipped,
            "skipped": self.skipped,
            "cut": self.cut,
            "payload_bytes": self.payload_bytes,
        }

    def text(self) -> str:
        samples, skipped = counted(self.samples, "sample"), counted(self.skipped, "row")
        return f"{samples} of {counted(self.payload_bytes, 'byte')}, {skipped} skipped"


def _item(row: FeaturizedSample | Skipped) -> dict[str, Any]:
    from dcai_cli.features.featurize import Skipped

    if isinstance(row, Skipped):
        return {"row": row.row, "skipped": row.reason}
    return {
        "row": row.row,
        "label": row.label,
        "indices": row.vector.indices,
        "values": row.vector.values,
        "cut": row.cut,
        "payload": row.payload.hex(),
    }


def _line(row: FeaturizedSample | Skipped) -> str:
    from dcai_cli.features.featurize import Skipped

    if isinstance(row, Skipped):
        return f"{row.row}  skipped: {row.reason}"
    payload = row.payload.hex()
    shown = payload if len(payload) <= HEX_SHOWN else f"{payload[:HEX_SHOWN]}..."
    label = "" if row.label is None else f"{row.label}  "
    return f"{row.row}  {label}{counted(len(row.vector.indices), 'feature')}  {shown}"
