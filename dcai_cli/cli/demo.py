"""dcai demo: the whole story in a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import NARROW, Output
from dcai_cli.domain import format_ether

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.demo import Moment, Story

BAR_CELLS = 40
"""Width of the plot's longest bar."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("demo", epilog="Example: dcai demo. Exit codes: 0, 1.")(demo)


def demo(*, json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Play the whole story on a chain of its own: two models, a good and a bad contributor, real rows."""
    from dcai_cli.services.demo import play

    output = Output("demo", json=json, quiet=quiet)
    stories = play(say=output.note)

    def human(console: Console) -> None:
        for story in stories:
            _show(console, story)

    output.result({"stories": [_story(story) for story in stories]}, human)


def _story(story: Story) -> dict[str, Any]:
    return {
        "title": story.title,
        "rows": story.rows,
        "accuracy_before": story.accuracy_before,
        "accuracy_after": story.accuracy_after,
        "good_wei": str(story.good_wei),
        "bad_wei": str(story.bad_wei),
        "gas_used": story.gas_used,
        "moments": [
            {"what": moment.what, "good_wei": str(moment.good_wei), "bad_wei": str(moment.bad_wei)}
            for moment in story.moments
        ],
    }


def _show(console: Console, story: Story) -> None:
    console.print()
    console.print(story.title, style="bold")
    if console.width < NARROW:
        for moment in story.moments:
            console.print(moment.what)
            console.print(f"  good {_signed(moment.good_wei)}")
            console.print(f"  bad  {_signed(moment.bad_wei)}")
    else:
        _show_table(console, story)
        _plot(console, story.moments)
    console.print(
        f"accuracy {story.accuracy_before:.3f} before, {story.accuracy_after:.3f} after, on rows kept aside"
    )


def _show_table(console: Console, story: Story) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("good contributor", justify="right")
    table.add_column("bad contributor", justify="right")
    for moment in story.moments:
        table.add_row(moment.what, _signed(moment.good_wei), _signed(moment.bad_wei))
    console.print(table)


def _signed(amount_wei: int) -> str:
    return ("+" if amount_wei > 0 else "") + format_ether(amount_wei)


def _plot(console: Console, moments: tuple[Moment, ...]) -> None:
    """Balances over time: a bar to the left of the axis is a loss, one to the right a gain."""
    largest = max(1, *(abs(amount) for moment in moments for amount in (moment.good_wei, moment.bad_wei)))
    half = BAR_CELLS // 2
    for moment in moments:
        for who, colour, amount in (("good", "green", moment.good_wei), ("bad", "red", moment.bad_wei)):
            cells = round(abs(amount) / largest * half)
            left = ("█" * cells if amount < 0 else "").rjust(half)
            right = ("█" * cells if amount > 0 else "").ljust(half)
            what = moment.what if who == "good" else ""
            console.print(f"{what:28}{who:5}[{colour}]{left}[/]│[{colour}]{right}[/]", markup=True)
