"""dcai config: the settings in force, where they come from, and changing them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import completion, options
from dcai_cli.cli.output import Output

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Show and change the settings.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        help="One of the names in the settings file, such as rpc_url.", autocompletion=completion.settings
    ),
]


@app.command("show", epilog="Example: dcai config show. Exit codes: 0, 2, 15 (config.toml cannot be read).")
def show(*, json: options.Json = False) -> None:
    """Show the settings in force: flag over environment over file."""
    from dcai_cli.config import describe_settings
    from dcai_cli.services.accounts import account_in_force

    with options.open_workspace() as workspace:
        data: dict[str, Any] = describe_settings(workspace.settings, account_in_force(workspace))

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


@app.command(
    "set",
    epilog="Example: dcai config set replace_after 90s. Exit codes: 0, 1 (cannot be written), 2 (no such "
    "setting, or no value of it), 10 (no such account), 15 (config.toml cannot be read), 18.",
)
def set_(
    name: Name,
    value: Annotated[str, typer.Argument(help="What it shall be.", autocompletion=completion.setting_values)],
    *,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Set a setting in the settings file; its comments and order stay."""
    _change(name, value, Output("config set", json=json, quiet=quiet))


@app.command(
    "unset",
    epilog="Example: dcai config unset replace_after. Exit codes: 0, 1 (cannot be written), 2 (no such "
    "setting), 15 (config.toml cannot be read), 18.",
)
def unset(name: Name, *, json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Take a setting out of the settings file, so that its default holds."""
    _change(name, None, Output("config unset", json=json, quiet=quiet))


def _change(name: str, text: str | None, output: Output) -> None:
    from dcai_cli.config import CONFIG_NAME, ENVIRONMENT, folders
    from dcai_cli.services.settings_file import change_settings

    was_set = change_settings({name: text})[name] is not None
    where = str(folders(os.environ)[0] / CONFIG_NAME)
    for variable, setting in ENVIRONMENT.items():
        if setting == name and os.environ.get(variable):
            output.note(f"{variable} is set in the environment, and goes over the file.")
    # Values may hold passwords and keys of providers: they are not said again.
    done = f"{name} is set in {where}" if text is not None else f"{name} is not set in {where}"
    data = {"name": name, "is_set": text is not None, "was_set": was_set, "path": where}
    output.result(data, lambda console: console.print(done))
