"""Assembles the commands; the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.exceptions import TyperException

from dcai_cli.cli import options
from dcai_cli.cli.output import (
    ClosedStream,
    Talk,
    describe_error,
    print_document,
    print_error,
    stderr,
)
from dcai_cli.errors import DcaiError, Interrupted, UsageError

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO})
"""What a stream says that takes no more; of a file that we write it never comes here."""

COMPLETING = "_DCAI_COMPLETE"
"""The variable by which a shell asks for completions."""


class _Program(options.Group):
    """The commands in the order of their panels."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - typer's own
        """Its own options, and those of every command."""
        *own, last = super().get_params(ctx)
        return [*own, *options.everywhere(), last]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's own
        return sorted(super().list_commands(ctx), key=lambda name: _PLACES[name][0])


GOES_ON = {
    "contribute",
    "refunds",
    "reports",
    "validate",
    "model deploy",
    "market create",
    "market join",
    "market reveal",
    "market step",
    "market collect",
    "daemon run",
}
"""Commands of many steps, which finish what an interrupted one left."""

SHOWN_BY = {
    "init": "dcai",
    "account new": "dcai account list",
    "account import": "dcai account list",
    "account use": "dcai account list",
    "model evaluate": "dcai model show",
    "model seal": "dcai model show",
    "model supersede": "dcai model list",
    "model use": "dcai",
    "ledger rebuild": "dcai ledger check",
    "ledger restore": "dcai ledger check",
    "tx speed-up": "dcai tx list",
    "tx cancel": "dcai tx list",
    "devnet advance": "dcai devnet status",
    "devnet reset": "dcai devnet status",
    "config set": "dcai config show",
    "config unset": "dcai config show",
    "daemon install": "dcai daemon status",
    "daemon uninstall": "dcai daemon status",
}
"""Commands that change something at one stroke, and what shows whether they did."""

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
        "market": "Offer bounties for data, and earn them.",
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
        "network": "Name networks, choose one, see which there are.",
        "config": "Show and change the settings.",
    },
    "Tools": {
        "demo": "Play the whole story in a minute.",
        "simulate": "See which strategies gain, and what a model learns.",
        "devnet": "The embedded chain: its state, its clock, its end.",
        "ledger": "Check, back up, restore or rebuild your ledger.",
    },
}
"""What `dcai --help` lists, by panels in this order: one line for each, which fits 80 columns."""

_PLACES = {
    name: (place, panel, summary)
    for place, (panel, name, summary) in enumerate(
        (panel, name, summary) for panel, names in SUMMARIES.items() for name, summary in names.items()
    )
}

_FILES = {
    "refunds": "claims",
    "reports": "claims",
    "validate": "points",
    "leaderboard": "points",
    "config": "settings",
}
"""Where the commands stand that have no file of their own name."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from dcai_cli.versions import versions

        found = versions()
        typer.echo(
            f"dcai {found.version}\nbuild {found.build}\ncontracts {found.contracts} ({found.compiler})"
        )
        raise typer.Exit


def _main(
    context: typer.Context,
    *,
    network: options.Network = None,
    json: options.Json = False,
    version: bool = typer.Option(  # noqa: ARG001 - its callback has printed it
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    if context.invoked_subcommand is None:
        from dcai_cli.cli.standing import show_standing

        raise typer.Exit(show_standing(network=network, json=json))


@cache
def program(names: tuple[str, ...] = tuple(_PLACES)) -> Any:  # noqa: ANN401 - typer's own class
    """The commands as typer runs them.

    Args:
        names: which of them; importing all, and making them of their signatures, takes a while.
    """
    app = _bare()
    for name in names:
        _, panel, summary = _PLACES[name]
        file = import_module(f"dcai_cli.cli.{_FILES.get(name, name)}")
        if hasattr(file, "register"):
            part = typer.Typer()
            file.register(part)
            (added,) = (command for command in part.registered_commands if command.name == name)
            added.rich_help_panel, added.short_help = panel, summary
            app.registered_commands.append(added)
        else:
            part = file.app
            app.add_typer(part, name=name, cls=options.Group, rich_help_panel=panel, short_help=summary)
        for command in part.registered_commands:
            command.cls = options.Command
    return typer.main.get_command(app)


@cache
def _contents() -> Any:  # noqa: ANN401 - likewise
    """What `dcai --help` lists: the commands' names and summaries, and nothing behind them."""
    app = _bare()
    for name, (_, panel, summary) in _PLACES.items():
        app.command(name, rich_help_panel=panel, short_help=summary)(lambda: None)
    return typer.main.get_command(app)


def _bare() -> typer.Typer:
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
    app.callback()(_main)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: what was typed after `dcai`.

    Returns:
        The exit code.
    """
    try:
        return _run_and_time(arguments)
    except KeyboardInterrupt:  # pressed again, while the first time was told
        return Interrupted.exit_code


def _run_and_time(arguments: Sequence[str]) -> int:
    began = time.monotonic()
    Talk.reset()
    code = 1
    try:
        code = _run(arguments)
        if code == 0 and isinstance(sys.stdout, ClosedStream) and sys.stdout.has_lost:
            lost = _lost_output("it is closed")
            print_error(lost, command="", as_json=False)
            code = lost.exit_code
    finally:
        if Talk.verbose:
            stderr().print(f"ended with {code} after {time.monotonic() - began:.2f} s")
        Talk.reset()
    return code


def _run(arguments: Sequence[str]) -> int:
    as_json = "--json" in arguments
    name = ""
    try:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        arguments = _in_order(arguments)
        name = " ".join(_typed(arguments)[0])
        code = _meant(arguments).main(list(arguments), prog_name="dcai", standalone_mode=False)
    except DcaiError as error:
        error.hint = error.hint or f"See what it takes: {_help(name)}"
        print_error(error, command=name, as_json=as_json)
        return error.exit_code
    except TyperException as error:
        wrong = UsageError(error.format_message(), hint=_correction(arguments, error))
        if wrong.message or as_json:  # what is empty belongs to a help text that was printed
            print_error(wrong, command=name, as_json=as_json)
        return UsageError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = Interrupted.exit_code
    except OSError as error:
        return _end_without_streams(error, name)
    except Exception as error:
        # A fault of ours keeps its traceback, but whoever asked for JSON gets the document, too.
        if as_json and not Talk.answered:
            hint = "This is a fault of dcai: report it, with the traceback on standard error."
            fault = DcaiError(f"{type(error).__name__}: {error}", hint=hint)
            print_document(name, error=describe_error(fault))
        raise
    if code == Interrupted.exit_code:
        print_error(Interrupted("Interrupted.", hint=_what_next(name)), command=name, as_json=as_json)
    return code if isinstance(code, int) else 0


def _what_next(command: str) -> str:
    """What to type after an interruption of a command."""
    if command in GOES_ON:
        return "The same command again goes on where this one stopped."
    if command in SHOWN_BY:
        return f"Whether it was done says: {SHOWN_BY[command]}"
    return "The same command again starts anew."


def _lost_output(why: str) -> DcaiError:
    return DcaiError(
        f"Standard output cannot be written: {why}.",
        hint="What the command did is done; only what it says of it is lost.",
    )


def _end_without_streams(error: OSError, command: str) -> int:
    """The exit code where standard output takes no more; any other fault is raised on."""
    if isinstance(error, BrokenPipeError):
        return 1
    if error.filename is not None or error.errno not in _FULL:
        raise error
    lost = _lost_output(str(error.strerror))
    print_error(lost, command=command, as_json=False)
    # When Python ends it would try once more, and exit with a code of its own.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return lost.exit_code


def _correction(arguments: Sequence[str], error: TyperException) -> str:
    """What to type instead of what was typed wrong: the command or option that is nearly it, or for help.

    Dots stand for what else was typed, which may be secret, and for what is missing.
    """
    words, command = _typed(arguments)
    rest = arguments[len(words) :]
    dots = {True: ["..."], False: []}
    if options := getattr(error, "possibilities", None):
        takes_value = any(options[0] in param.opts and not param.is_flag for param in command.params)
        return " ".join(["dcai", *words, *dots[len(rest) > 1], options[0], *dots[takes_value]])
    if (
        rest
        and not rest[0].startswith("-")
        and (commands := get_close_matches(rest[0], getattr(command, "commands", ()), n=1))
    ):
        is_more = len(rest) > 1 or any(param.required for param in command.commands[commands[0]].params)
        return " ".join(["dcai", *words, *commands, *dots[is_more]])
    return _help(" ".join(words))


def _help(name: str) -> str:
    return f"dcai {name} --help" if name else "dcai --help"


def _meant(arguments: Sequence[str]) -> Any:  # noqa: ANN401 - typer's own class
    """As many of the commands as it takes to do what was typed."""
    if COMPLETING in os.environ:
        return program()
    place = _place_of_command(arguments)
    if {"-h", "--help"} & set(arguments[:place]):
        return _contents()
    if place >= len(arguments):
        return program(())
    name = arguments[place]
    return program((name,)) if name in _PLACES else _contents()


def _place_of_command(arguments: Sequence[str]) -> int:
    """How many words stand before the command: options, and what belongs to them."""
    place = 0
    while place < len(arguments) and arguments[place].startswith("-"):
        place += 2 if arguments[place] in options.VALUED else 1
    return place


def _in_order(arguments: Sequence[str]) -> Sequence[str]:
    """The same with the options of every command behind it, where they stood before it."""
    place = _place_of_command(arguments)
    before, behind = arguments[:place], arguments[place:]
    names = {word.partition("=")[0] for word in before if word.startswith("-")}
    if not behind or not names <= options.VALUED | options.FLAGS:
        return arguments
    count = len(_typed(behind)[0])
    return [*behind[:count], *before, *behind[count:]]


def _typed(arguments: Sequence[str]) -> tuple[list[str], Any]:
    """The command that was typed: its words (`model deploy` of `model deploy --name x`), and typer's own."""
    command = _meant(arguments)
    words: list[str] = []
    for word in arguments:
        commands = getattr(command, "commands", {})
        if word not in commands:
            break
        words.append(word)
        command = commands[word]
    return words, command
