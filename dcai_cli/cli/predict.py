"""dcai predict: ask a model, free."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options, outputs
from dcai_cli.cli.output import Output
from dcai_cli.domain import counted
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.predict import Prediction


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        "predict",
        epilog='Example: dcai predict "what a film" --model reviews. Exit codes: 0, 2, 13, 15 (bad file, '
        "or the output is there), 17.",
    )(predict)


def predict(
    text: Annotated[
        str | None,
        typer.Argument(
            help="Text; for a tabular model a JSON object of column to cell, for one of vectors a JSON array."
        ),
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Predict every row of a file.", readable=False)
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the rows with their predictions as csv; - is standard output.",
            readable=False,
        ),
    ] = None,
    force: outputs.Force = False,
    model: options.Model = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict a text's label, or those of a file's rows."""
    from dcai_cli.services.predict import predict_file, predict_text, write_predictions

    if (text is None) == (file is None):
        raise UsageError(
            "Predict a text or a file.", hint='dcai predict "some text", or dcai predict --file F'
        )
    of_files = {
        "--output": output_file,
        "--force": force or None,
        "--text-column": text_column,
        "--format": format,
        "--encoding": encoding,
    }
    for option, value in of_files.items():
        if value is not None and file is None:
            raise UsageError(f"{option} goes with --file.", hint="Leave it out, or add --file F.")
    outputs.check_file(output_file, source=file, force=force, streams=True, json=json)
    output = Output("predict", json=json, quiet=quiet)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        if text is not None:
            hosted, prediction = predict_text(workspace, text, model=model, note=output.note)
            predictions = [prediction]
        else:
            assert file is not None
            source = options.data_source(file, format, encoding)
            hosted, predicted = predict_file(
                workspace, source, model=model, text_column=text_column, note=output.note
            )
            if output_file is not None:
                count = write_predictions(output_file, predicted)
                output.result(
                    {"model": hosted.address, "output": str(output_file), "rows": count},
                    lambda _: output.note(f"{counted(count, 'row')} in {outputs.name_of(output_file)}"),
                )
                return
            predictions = [prediction for _, prediction in predicted]
    data: dict[str, Any] = {"model": hosted.address}
    data["predictions"] = [_item(prediction) for prediction in predictions]

    def human(console: Console) -> None:
        for item in predictions:
            console.print(item.label or f"- ({item.reason})")

    output.result(data, human)


def _item(prediction: Prediction) -> dict[str, Any]:
    item: dict[str, Any] = {"row": prediction.row, "label": prediction.label}
    return item | {"reason": prediction.reason} if prediction.reason else item
