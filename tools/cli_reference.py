"""Write docs/cli.md from the commands themselves.

`python tools/cli_reference.py [--check]`: with --check nothing is written, and the exit status is 1 if the
page differs from what the commands say.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dcai_cli.cli import options
from dcai_cli.cli.app import program
from dcai_cli.errors import DcaiError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

HEAD = """\
# The command line

<!-- Made by tools/cli_reference.py: `python tools/cli_reference.py` writes it anew. -->

This page is made from the commands themselves, so it says what `dcai COMMAND --help` says. What `--json`
prints is described in [json.md](json.md), settings and key files in [settings.md](settings.md).

- Results go to stdout, everything else to stderr.
- Durations are written 90s, 15m, 25h, 2d or 1w; a bare number is seconds. Amounts are written 0.5ether,
  20gwei or 1500000 (wei).
- `dcai` alone says where you stand and what to type next (exit codes: 0, or that of what keeps the chain
  from being asked); `dcai init` sets up account, network and model. `dcai --install-completion` sets shell
  completion up.
- Where nobody can answer a question, because stdin is no terminal, the command stops and names the option
  that answers it.
"""

VALUES = {"str": "TEXT", "list": "TEXT", "int": "N", "float": "X", "Path": "FILE"}
"""What stands for a value of each type; lists are of texts."""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its words, as in ("model deploy", ...)."""

    def walk(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, (*words, name))
            else:
                yield " ".join((*words, name)), command

    return walk(program(), ())


def reference() -> str:
    """The whole page."""
    shared = _shared_options()
    parts = [HEAD, _exit_codes(), _shared_table(shared)]
    parts += [_command(words, command, shared) for words, command in commands()]
    return "\n".join(parts)


def _exit_codes() -> str:
    rows = ["| 0 | | It worked. Skipped rows and samples that the model rejects are results, not failures. |"]
    errors: list[type[DcaiError]] = [DcaiError, *DcaiError.__subclasses__()]
    rows += [
        f"| {error.exit_code} | `{error.code}` | {(error.__doc__ or '').splitlines()[0]} |"
        for error in errors
        if error.__module__ == DcaiError.__module__  # those of the packages share the codes of these
    ]
    return "## Exit codes\n\n| code | name in JSON | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _shared_options() -> dict[str, Any]:
    """Options of the help panels that several commands have: they mean the same wherever they are.

    Raises:
        ValueError: they do not.
    """
    shared: dict[str, Any] = {}
    for words, command in commands():
        for option in command.params:
            if getattr(option, "rich_help_panel", None) not in options.SHARED_PANELS:
                continue
            if shared.setdefault(option.opts[0], option).help != option.help:
                raise ValueError(f"{option.opts[0]} of {words} has a help text of its own")
    return shared


def _shared_table(shared: dict[str, Any]) -> str:
    rows = "\n".join(_row(option) for option in shared.values())
    return (
        "## Options that many commands have\n\nEach command below names those that it takes.\n\n"
        f"| option | meaning | default |\n|---|---|---|\n{rows}\n"
    )


def _command(words: str, command: Any, shared: dict[str, Any]) -> str:  # noqa: ANN401 - typer's own
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    own = [option for option in options if option.opts[0] not in shared]
    usage = " ".join(
        [f"dcai {words}", *(_argument(argument) for argument in arguments), *_required(own), "[OPTIONS]"]
    )
    lines = [f"## dcai {words}", "", command.help.strip(), "", f"    {usage}", ""]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| `{argument.name.upper()}` | {argument.help} |" for argument in arguments]
        lines.append("")
    if own:
        lines += ["| option | meaning | default |", "|---|---|---|"]
        lines += [_row(option) for option in own]
        lines.append("")
    also = [f"`{option.opts[0]}`" for option in options if option.opts[0] in shared]
    if also:
        lines += [f"{'Also' if own else 'Options'}: {', '.join(also)}.", ""]
    example, _, exit_codes = command.epilog.removeprefix("Example: ").partition(" Exit codes: ")
    lines += ["Example:", "", f"    {example.removesuffix('.')}", "", f"Exit codes: {exit_codes}", ""]
    return "\n".join(lines)


def _argument(argument: Any) -> str:  # noqa: ANN401 - typer's own
    name: str = argument.name.upper() + ("..." if argument.nargs < 0 else "")
    return name if argument.required else f"[{name}]"


def _required(options: list[Any]) -> list[str]:
    return [f"{option.opts[0]} {_value(option)}" for option in options if option.required]


def _value(option: Any) -> str:  # noqa: ANN401 - typer's own
    return VALUES[option.type_descriptor.annotation.__name__]


def _row(option: Any) -> str:  # noqa: ANN401 - typer's own
    names = ", ".join([*option.opts, *option.secondary_opts]) + (
        "" if option.is_flag else f" {_value(option)}"
    )
    if option.required:
        default = "required"
    elif option.is_flag or option.default is None:
        default = "-"
    else:
        default = f"`{option.default}`"
    return f"| `{names}` | {option.help} | {default} |"


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    text = reference()
    if not parser.parse_args().check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is stale; run: python tools/cli_reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
