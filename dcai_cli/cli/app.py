"""Assembles the commands; the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from dcai_cli.cli import (
    account,
    claims,
    contribute,
    daemon,
    data,
    demo,
    devnet,
    featurize,
    init,
    ledger,
    model,
    options,
    points,
    predict,
    settings,
    tx,
)
from dcai_cli.cli.output import Talk, describe_error, print_document, print_error, stderr
from dcai_cli.cli.standing import show_standing
from dcai_cli.errors import DcaiError, Interrupted, UsageError, and_goes_on

COMPLETING = "_DCAI_COMPLETE"
"""The variable by which a shell asks for completions."""


class _Program(TyperGroup):
    """The commands in the order of their panels."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's own
        return sorted(super().list_commands(ctx), key=lambda name: _PLACES[name][0])


app = typer.Typer(
    name="dcai",
    cls=_Program,
    help="Contribute data to machine-learning models that live in Ethereum smart contracts.",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 10 no account, 11 wrong password, "
    "12 insufficient funds, 13 RPC unreachable, 14 reverted, 15 bad input, 16 limit, 17 wrong chain or "
    "contract, 18 locked, 130 interrupted.",
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

GOES_ON = {"contribute", "refunds", "reports", "validate", "model deploy", "daemon run"}
"""Commands of many steps, which finish what an interrupted one left."""

SUMMARIES = {
    "Contribute": {
        "contribute": "Contribute a file's rows to a model.",
        "featurize": "Show what each row of a file becomes, without a chain.",
        "validate": "Give contributors a validation point.",
        "leaderboard": "Rank the contributors of a model by their points.",
    },
    "Models": {
        "predict": "Predict labels; free, and nothing changes.",
        "model": "Deploy, look at, choose and measure models.",
        "data": "Get at the data that was contributed.",
    },
    "Money": {
        "refunds": "Your deposits and points that are out; claim them.",
        "reports": "Others' samples that the model rejects; claim them.",
        "daemon": "Take deposits back unattended, before others may.",
        "tx": "Your transactions; speed up or cancel what is stuck.",
    },
    "Accounts and settings": {
        "init": "Set up account, network and model.",
        "account": "Make, import and choose accounts.",
        "config": "Show and change the settings.",
    },
    "Tools": {
        "demo": "Play the whole story in a minute.",
        "devnet": "The embedded chain: its state, its clock, its end.",
        "ledger": "Check, back up, restore or rebuild your ledger.",
    },
}
"""What `dcai --help` lists, by panels in this order: one line for each, which fits 80 columns."""

for _part in (contribute, predict, featurize, claims, points, demo, init):
    _part.register(app)
for _name, _group in {
    "daemon": daemon,
    "account": account,
    "model": model,
    "data": data,
    "ledger": ledger,
    "tx": tx,
    "devnet": devnet,
    "config": settings,
}.items():
    app.add_typer(_group.app, name=_name)

_PLACES = {
    name: (place, panel, summary)
    for place, (panel, name, summary) in enumerate(
        (panel, name, summary) for panel, names in SUMMARIES.items() for name, summary in names.items()
    )
}
for _command in app.registered_commands:
    _, _command.rich_help_panel, _command.short_help = _PLACES[str(_command.name)]
    _command.cls = options.Command
for _added in app.registered_groups:
    _, _added.rich_help_panel, _added.short_help = _PLACES[str(_added.name)]
    for _command in _added.typer_instance.registered_commands if _added.typer_instance else ():
        _command.cls = options.Command


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
    context: typer.Context,
    *,
    json: options.Json = False,
    version: bool = typer.Option(  # noqa: ARG001 - its callback has printed it
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    if context.invoked_subcommand is None:
        raise typer.Exit(show_standing(json=json))
    if json:
        command = context.invoked_subcommand
        raise UsageError("--json stands behind the command.", hint=f"dcai {command} ... --json")


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: what was typed after `dcai`.

    Returns:
        The exit code.
    """
    began = time.monotonic()
    Talk.reset()
    code = 1
    try:
        code = _run(arguments)
    finally:
        if Talk.verbose:
            stderr().print(f"ended with {code} after {time.monotonic() - began:.2f} s")
        Talk.reset()
    return code


def _run(arguments: Sequence[str]) -> int:
    as_json = "--json" in arguments
    name = " ".join(_typed(arguments)[0])
    try:
        code = _program(_first(arguments)).main(list(arguments), prog_name="dcai", standalone_mode=False)
    except DcaiError as error:
        error.hint = error.hint or f"See what it takes: {_help(name)}"
        print_error(error, command=name, as_json=as_json)
        return error.exit_code
    except TyperException as error:
        wrong = UsageError(error.format_message(), hint=_meant(arguments, error))
        if wrong.message or as_json:  # what is empty belongs to a help text that was printed
            print_error(wrong, command=name, as_json=as_json)
        return UsageError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = Interrupted.exit_code
    except BrokenPipeError:
        return 1
    except Exception as error:
        # A fault of ours keeps its traceback, but whoever asked for JSON gets the document, too.
        if as_json:
            hint = "This is a fault of dcai: report it, with the traceback on standard error."
            fault = DcaiError(f"{type(error).__name__}: {error}", hint=hint)
            print_document(name, error=describe_error(fault))
        raise
    if code == Interrupted.exit_code:
        hint = and_goes_on("") if name in GOES_ON else "Run the same command again."
        print_error(Interrupted("Interrupted.", hint=hint), command=name, as_json=as_json)
    return code if isinstance(code, int) else 0


def _meant(arguments: Sequence[str], error: TyperException) -> str:
    """What to type instead of what was typed wrong: the command or option that is nearly it, or for help.

    Dots stand for what else was typed, which may be secret, and for what is missing.
    """
    words, command = _typed(arguments)
    rest = arguments[len(words) :]
    dots = {True: ["..."], False: []}
    if options := getattr(error, "possibilities", None):
        takes_value = any(options[0] in param.opts and not param.is_flag for param in command.params)
        return " ".join(["dcai", *words, *dots[len(rest) > 1], options[0], *dots[takes_value]])
    if rest and (commands := get_close_matches(rest[0], getattr(command, "commands", ()), n=1)):
        is_more = len(rest) > 1 or any(param.required for param in command.commands[commands[0]].params)
        return " ".join(["dcai", *words, *commands, *dots[is_more]])
    return _help(" ".join(words))


def _help(name: str) -> str:
    return f"dcai {name} --help" if name else "dcai --help"


def _first(arguments: Sequence[str]) -> str | None:
    """The command or group that was typed; None if all are needed: for help, and for completion."""
    if COMPLETING in os.environ:
        return None
    word = next((argument for argument in arguments if not argument.startswith("-")), None)
    if word is None:
        return None if {"-h", "--help"} & set(arguments) else ""
    return word if word in _PLACES else None


@cache
def _program(first: str | None) -> Any:  # noqa: ANN401 - typer's own class
    """The commands as typer runs them: the one that was typed, or all.

    Making them of their signatures takes a while.
    """
    if first is None:
        return typer.main.get_command(app)
    part = typer.Typer(pretty_exceptions_enable=app.pretty_exceptions_enable, rich_markup_mode="rich")
    part.info, part.registered_callback = app.info, app.registered_callback
    part.registered_commands = [info for info in app.registered_commands if info.name == first]
    part.registered_groups = [info for info in app.registered_groups if info.name == first]
    return typer.main.get_command(part)


def _typed(arguments: Sequence[str]) -> tuple[list[str], Any]:
    """The command that was typed: its words (`model deploy` of `model deploy --name x`), and typer's own."""
    command = _program(_first(arguments))
    words: list[str] = []
    for word in arguments:
        commands = getattr(command, "commands", {})
        if word not in commands:
            break
        words.append(word)
        command = commands[word]
    return words, command
