"""dcai model evaluate, audit: how good a model is, and whether its weights are what contributions made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options, plots
from dcai_cli.cli.charts import show_bars
from dcai_cli.cli.output import Output, printable
from dcai_cli.domain import counted
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.audit import Audit
    from dcai_cli.services.evaluate import ClassFigures, Evaluation

TextColumn = Annotated[str | None, typer.Option(help="Column of the text.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column of the label.")]

WIDEST_LABEL = 24
"""Columns of a label in a matrix; a longer one is cut, and its number tells it from others."""


def register(models: typer.Typer) -> None:
    """Add the commands to the group of models."""
    models.command(
        "evaluate",
        epilog="Example: dcai model evaluate test.csv --model reviews --plot confusion.png. "
        "Exit codes: 0, 2, 13, 15 (bad file), 17, 10, 11, 12, 14, 18 (these five with --publish).",
    )(evaluate)
    models.command(
        "audit",
        epilog="Example: dcai model audit reviews. Exit codes: 0, 1 (the weights are not the result, or "
        "events are missing), 2, 13, 17, 130.",
    )(audit)


def evaluate(
    file: Annotated[Path, typer.Argument(help=f"Labelled rows: {options.DATA}", readable=False)],
    *,
    model: options.Model = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    skip: Annotated[int, typer.Option(min=0, help="Leave out so many rows at the start.")] = 0,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="State rows, correct ones and the test set's hash on the chain."),
    ] = False,
    plot: options.Plot = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a model on labelled rows, and say which labels it confuses."""
    from dcai_cli.services.evaluate import evaluate_file, publish_evaluation

    if account is not None and not publish:
        raise UsageError(f"--account {account} is for publishing.", hint="Add --publish, or leave it out.")
    plots.check(plot)
    output = Output("model evaluate", json=json, quiet=quiet, yes=yes)
    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace:
        done = evaluate_file(
            workspace,
            options.data_source(file, format, encoding),
            model=model,
            text_column=text_column,
            label_column=label_column,
            skip=skip,
            note=output.note,
        )
        if plot is not None:
            plots.draw_confusion(output, plot, done.model, done.confusion)
        published = None
        if publish:
            published = publish_evaluation(
                workspace,
                done,
                password=output.password(workspace.settings),
                account=account,
                confirm=output.ask,
            )
    data: dict[str, Any] = {
        "model": done.model.address,
        "rows": done.rows,
        "correct": done.correct,
        "accuracy": done.accuracy,
        "classes": [_class(figures) for figures in done.classes],
        "confusion": {
            "labels": list(done.model.spec.labels),
            "matrix": [list(row) for row in done.confusion],
        },
        "test_set_hash": done.test_set_hash,
        "skipped": [{"row": skip.row, "reason": skip.reason} for skip in done.skipped],
        "published": None
        if published is None
        else {
            "publisher": published.publisher,
            "transaction": published.transaction,
            "gas_used": published.gas_used,
            "fee_wei": str(published.fee_wei),
        },
    }

    def human(console: Console) -> None:
        _show_evaluation(console, done)
        if published is not None:
            console.print(f"published by {published.publisher} in {published.transaction}")

    output.result(data, human)


def _class(figures: ClassFigures) -> dict[str, Any]:
    return {
        "label": figures.label,
        "rows": figures.rows,
        "precision": figures.precision,
        "recall": figures.recall,
    }


def _show_evaluation(console: Console, done: Evaluation) -> None:
    right = f"{done.correct:,} of {counted(done.rows, 'row')}"
    console.print(f"accuracy {done.accuracy:.4f} ({right}, {len(done.skipped):,} skipped)")
    for figures in done.classes:
        precision = "-" if figures.precision is None else f"{figures.precision:.3f}"
        recall = "-" if figures.recall is None else f"{figures.recall:.3f}"
        rows = counted(figures.rows, "row")
        console.print(f"{figures.label}: {rows}, precision {precision}, recall {recall}")
    recalls = [(figures.label, round(100 * (figures.recall or 0))) for figures in done.classes]
    show_bars(console, recalls, "recall in percent")
    for line in confusion_lines(done.model.spec.labels, done.confusion, console.width):
        console.print(line)
    console.print(f"test set {done.test_set_hash}")


def confusion_lines(labels: Sequence[str], matrix: Sequence[Sequence[int]], width: int) -> list[str]:
    r"""A confusion matrix for people: a row for each true label, a column for each predicted one.

    Columns are headed by the numbers that stand before the labels. Where they do not fit side by side, they
    go on below.

    Args:
        labels: the labels, class 0 first.
        matrix: by the true class and the predicted one, how many rows.
        width: columns that a line may have; 40 fit any matrix.

    >>> print("\n".join(confusion_lines(["ham", "spam"], [[40, 2], [3, 55]], 40)))
    true \ predicted
                       1   2
    1 ham             40   2
    2 spam             3  55
    """
    from rich.cells import cell_len, set_cell_size

    numbered = [f"{number} {printable(label)}" for number, label in enumerate(labels, start=1)]
    cell = max(len(str(count)) for row in matrix for count in row) + 2
    cell = max(cell, len(str(len(labels))) + 2)
    # At least one column of numbers must stand beside the labels.
    widest = max(min(WIDEST_LABEL, width - cell), 1)
    name = min(max(map(cell_len, (*numbered, "true \\ predicted"))), widest)
    cut = [set_cell_size(one if cell_len(one) <= name else f"{set_cell_size(one, name - 1)}…", name)
           for one in numbered]  # fmt: skip
    block = max((width - name) // cell, 1)
    lines = ["true \\ predicted"]
    for first in range(0, len(labels), block):
        columns = range(first, min(first + block, len(labels)))
        lines.append(" " * name + "".join(f"{column + 1:>{cell}}" for column in columns))
        lines += [
            label + "".join(f"{row[column]:>{cell}}" for column in columns)
            for label, row in zip(cut, matrix, strict=True)
        ]
    return lines


def audit(
    name: options.NameOrAddress = None,
    *,
    to_block: Annotated[
        int | None, typer.Option(min=0, help="The weights after this block; the newest if left out.")
    ] = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Replay all contributions, and say whether the weights on the chain are their result, bit for bit."""
    from dcai_cli.services.audit import audit_model

    output = Output("model audit", json=json, quiet=quiet)
    with (
        options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace,
        output.progress("replaying samples") as progress,
    ):
        done = audit_model(workspace, name, to_block=to_block, progress=progress)
    data = {
        "model": done.model.address,
        "block_number": done.block.number,
        "block_hash": done.block.hash,
        "written_words": done.written_words,
        "batches": done.batches,
        "samples": done.samples,
        "informative": done.informative,
        "is_result": True,
        "seconds": round(done.seconds, 3),
    }
    output.result(data, lambda console: _show_audit(console, done))


def _show_audit(console: Console, done: Audit) -> None:
    console.print(
        f"{done.model.name} ({done.model.address}): the weights after block {done.block.number} are the "
        "result of what was contributed, bit for bit."
    )
    words = counted(done.written_words, "word")
    start = f"{words} that its owner wrote" if done.written_words else "empty weights"
    console.print(
        f"Replayed from {start}: {counted(done.samples, 'sample')} "
        f"in {counted(done.batches, 'batch')}, {done.informative:,} informative."
    )
