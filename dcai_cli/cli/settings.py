"""dcai config: the settings in force, and where they come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.output import Output

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Show the settings.", no_args_is_help=True)


@app.command("show", epilog="Example: dcai config show. Exit codes: 0, 2, 15 (config.toml cannot be read).")
def show(*, json: options.Json = False) -> None:
    """Show the settings in force: flag over environment over file."""
    from dcai_cli.config import describe_settings, load_settings

    data: dict[str, Any] = describe_settings(load_settings())

    def human(console: Console) -> None:
        for name, value in data.items():
            console.print(f"{name:17}{'-' if value is None else value}")

    Output("config show", json=json).result(data, human)


@app.command("path", epilog="Example: dcai config path. Exit codes: 0.")
def path(*, json: options.Json = False) -> None:
    """Print where the settings file stands."""
    from dcai_cli.config import CONFIG_NAME, folders

    # Not by way of the settings: whoever has to mend a broken file must find it.
    where = folders(os.environ)[0] / CONFIG_NAME
    Output("config path", json=json).result({"path": str(where)}, lambda console: console.print(str(where)))
