"""Assembles the commands; the one place where an error becomes a message and an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import typer
from typer.exceptions import TyperException
from typer.models import CommandInfo

from dcai_cli.cli import (
    account,
    claims,
    contribute,
    daemon,
    data,
    demo,
    devnet,
    featurize,
    ledger,
    model,
    points,
    predict,
    settings,
    tx,
)
from dcai_cli.cli.output import describe_error, print_document, print_error, stderr
from dcai_cli.errors import DcaiError, Interrupted, UsageError

app = typer.Typer(
    name="dcai",
    help="Contribute data to machine-learning models that live in Ethereum smart contracts.",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 10 no account, 11 wrong password, "
    "12 insufficient funds, 13 RPC unreachable, 14 reverted, 15 bad input, 16 limit, 17 wrong chain or "
    "contract, 18 locked, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

GOES_ON = {"contribute", "refunds", "reports", "validate", "model deploy", "daemon run"}
"""Commands of many steps, which finish what an interrupted one left."""

contribute.register(app)
predict.register(app)
featurize.register(app)
claims.register(app)
points.register(app)
demo.register(app)
app.add_typer(daemon.app, name="daemon")
app.add_typer(account.app, name="account")
app.add_typer(model.app, name="model")
app.add_typer(data.app, name="data")
app.add_typer(ledger.app, name="ledger")
app.add_typer(tx.app, name="tx")
app.add_typer(devnet.app, name="devnet")
app.add_typer(settings.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        from dcai_cli.versions import versions

        found = versions()
        typer.echo(
            f"dcai {found.version}\nbuild {found.build}\ncontracts {found.contracts} ({found.compiler})"
        )
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: what was typed after `dcai`.

    Returns:
        The exit code.
    """
    as_json = "--json" in arguments
    name = _command_name(arguments)
    try:
        code = _program(_first(arguments)).main(list(arguments), prog_name="dcai", standalone_mode=False)
    except DcaiError as error:
        print_error(error, command=name, as_json=as_json)
        return error.exit_code
    except TyperException as error:
        if as_json:
            print_error(
                UsageError(error.format_message(), hint=f"dcai {name} --help".replace("  ", " ")),
                command=name,
                as_json=True,
            )
        else:
            _print_usage(error)
        return UsageError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = Interrupted.exit_code
    except BrokenPipeError:
        return 1
    except Exception as error:
        # A fault of ours keeps its traceback, but whoever asked for JSON gets the document, too.
        if as_json:
            print_document(name, error=describe_error(DcaiError(f"{type(error).__name__}: {error}")))
        raise
    if code == Interrupted.exit_code:
        hint = "The same command again goes on where this one stopped." if name in GOES_ON else ""
        print_error(Interrupted("Interrupted.", hint=hint), command=name, as_json=as_json)
    return code if isinstance(code, int) else 0


def _print_usage(error: TyperException) -> None:
    from typer import rich_utils

    if error.format_message():
        rich_utils.rich_format_error(error)  # type: ignore[arg-type]
    else:
        stderr().print("Type dcai --help.")


def _first(arguments: Sequence[str]) -> str:
    return arguments[0] if arguments else ""


@cache
def _program(first: str) -> Any:  # noqa: ANN401 - typer's own class
    """The commands as typer runs them: the one that was typed, or all if it is none.

    Making them of their signatures takes a while.
    """
    commands = [found for found in app.registered_commands if _name(found) == first]
    groups = [found for found in app.registered_groups if found.name == first]
    if not commands and not groups:
        return typer.main.get_command(app)
    part = typer.Typer(pretty_exceptions_enable=app.pretty_exceptions_enable, rich_markup_mode="rich")
    part.info, part.registered_callback = app.info, app.registered_callback
    part.registered_commands, part.registered_groups = commands, groups
    return typer.main.get_command(part)


def _name(command: CommandInfo) -> str:
    return command.name or typer.main.get_command_name(command.callback.__name__)  # type: ignore[union-attr]


def _command_name(arguments: Sequence[str]) -> str:
    """The command's words, for error documents: `model deploy` of `model deploy --name x`."""
    command = _program(_first(arguments))
    words = []
    for word in arguments:
        commands = getattr(command, "commands", {})
        if word not in commands:
            break
        words.append(word)
        command = commands[word]
    return " ".join(words)
