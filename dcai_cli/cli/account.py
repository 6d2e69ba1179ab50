"""dcai account: the keys of this user."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import completion, options
from dcai_cli.cli.output import Output, is_asked, read_password, read_secret
from dcai_cli.domain import format_ether
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.accounts import AccountView

app = typer.Typer(help="Make, import and choose accounts.", no_args_is_help=True)

_LONGEST_KEY = 256
"""Characters read of a piped private key, which has 66."""

Name = Annotated[str, typer.Option("--name", "-n", help="What to call the account.")]
NameOrAddress = Annotated[
    str | None,
    typer.Argument(help="Name or address; the one in use if left out.", autocompletion=completion.accounts),
]


def _data(account: AccountView) -> dict[str, Any]:
    data = {"name": account.name, "address": account.address, "in_use": account.in_use}
    if account.balance_wei is not None:
        data["balance_wei"] = str(account.balance_wei)
    return data


def _show(console: Console, account: AccountView) -> None:
    console.print(f"{account.name}  {account.address}{'  (in use)' if account.in_use else ''}")
    if account.balance_wei is not None:
        console.print(f"balance  {format_ether(account.balance_wei)}")


@app.command(
    "new", epilog="Example: dcai account new --name alice. Exit codes: 0, 2, 15 (the name is taken)."
)
def new(
    *,
    name: Name,
    rpc_url: options.RpcUrl = None,
    password_file: options.PasswordFile = None,
    json: options.Json = False,
) -> None:
    """Make a new account: a key, encrypted with a password."""
    from dcai_cli.services.accounts import create_account

    with options.open_workspace(rpc_url=rpc_url, password_file=password_file) as workspace:
        workspace.keystore.check_free(name)
        output = Output("account new", json=json)
        prompt = f"Password for {name}: "
        password = read_password(workspace.settings, prompt, note=output.note, twice=True)
        account = create_account(workspace, name, password)
        output.result(_data(account), lambda console: _show(console, account))


@app.command(
    "import",
    epilog="Example: dcai account import --name alice --file UTC--2026-01-01T00-00-00Z--0xabc. "
    "Exit codes: 0, 2, 11 (wrong password), 15 (no key, or the name is taken).",
)
def import_(
    *,
    name: Name,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", help="A key file of geth, foundry or ape; its password opens it.", readable=False
        ),
    ] = None,
    rpc_url: options.RpcUrl = None,
    password_file: options.PasswordFile = None,
    json: options.Json = False,
) -> None:
    """Take over a key file, or a private key typed at a prompt or piped to stdin."""
    from dcai_cli.services.accounts import import_account

    with options.open_workspace(rpc_url=rpc_url, password_file=password_file) as workspace:
        workspace.keystore.check_free(name)
        private_key = None
        if file is None:
            private_key = _read_private_key()
        output = Output("account import", json=json)
        prompt = f"Password for {name}: " if file is None else f"Password of {file}: "
        password = read_password(workspace.settings, prompt, note=output.note, twice=file is None)
        account = import_account(workspace, name, private_key=private_key, file=file, password=password)
        output.result(_data(account), lambda console: _show(console, account))


def _read_private_key() -> str:
    """A private key, typed at a prompt or piped."""
    if is_asked():
        return read_secret("Private key (hex): ", hint="")
    if sys.stdin is None:
        raise UsageError("Standard input is closed.", hint="Pipe the private key into it, or name a --file.")
    # A device that never ends a line, or bytes that are no text, are no key; what they are is not shown.
    try:
        return sys.stdin.readline(_LONGEST_KEY).strip()
    except UnicodeDecodeError:
        return ""


@app.command("list", epilog="Example: dcai account list --json. Exit codes: 0.")
def list_(*, json: options.Json = False) -> None:
    """List all accounts."""
    from dcai_cli.services.accounts import list_accounts

    with options.open_workspace() as workspace:
        accounts = list_accounts(workspace)

    def human(console: Console) -> None:
        for account in accounts:
            _show(console, account)
        if not accounts:
            console.print("There is no account yet. Make one: dcai account new --name NAME")

    Output("account list", json=json).result({"accounts": [_data(account) for account in accounts]}, human)


@app.command(
    "show", epilog="Example: dcai account show alice. Exit codes: 0, 10 (no such account), 13 (no node)."
)
def show(
    name: NameOrAddress = None,
    *,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """Show an account and its balance."""
    from dcai_cli.services.accounts import show_account

    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        account = show_account(workspace, name)
        Output("account show", json=json).result(_data(account), lambda console: _show(console, account))


@app.command("use", epilog="Example: dcai account use alice. Exit codes: 0, 10 (no such account).")
def use(
    name: Annotated[str, typer.Argument(help="Name or address.", autocompletion=completion.accounts)],
    *,
    json: options.Json = False,
) -> None:
    """Act with this account from now on."""
    from dcai_cli.services.accounts import use_account

    with options.open_workspace() as workspace:
        account = use_account(workspace, name)
        Output("account use", json=json).result(_data(account), lambda console: _show(console, account))


@app.command(
    "export",
    epilog="Example: dcai account export alice. Exit codes: 0, 10 (no such account), 11 (wrong password).",
)
def export(
    name: NameOrAddress = None,
    *,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
) -> None:
    """Print a private key: whoever reads it owns the account."""
    from dcai_cli.services.accounts import export_key

    output = Output("account export", yes=yes)
    with options.open_workspace(password_file=password_file) as workspace:
        output.ask("The private key will stand on the screen; whoever reads it owns the account. Go on?")
        key = export_key(workspace, name, output.password(workspace.settings))
    typer.echo(key)
