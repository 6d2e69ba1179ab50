"""Options that several commands share, and the step from them to an opened workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from dcai_cli.cli import completion
from dcai_cli.cli.output import NARROW, Talk
from dcai_cli.domain import format_gwei
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from dcai_cli.features.readers import Source
    from dcai_cli.services.workspace import Workspace

_NETWORK = "Network and account"
_OUTPUT = "Output"
SHARED_PANELS = (_NETWORK, _OUTPUT)
"""Groups of options that mean the same wherever they are."""

MAX_LOCK = "60d"
"""So long a market may bind a stake, if nobody says otherwise."""

RpcUrl = Annotated[
    str | None,
    typer.Option(
        "--rpc-url",
        help="Node to talk to, or several in order, separated by commas; 'embedded' is the chain in this "
        "process. (env: ETH_RPC_URL)",
        rich_help_panel=_NETWORK,
        autocompletion=completion.nodes,
    ),
]
Network = Annotated[
    str | None,
    typer.Option(
        "--network",
        help="Network to work on, by its name: dcai network list. (env: DCAI_NETWORK)",
        rich_help_panel=_NETWORK,
        autocompletion=completion.networks,
    ),
]
ChainId = Annotated[
    int | None,
    typer.Option(
        "--chain-id",
        help="Refuse a node with another chain id. (env: DCAI_CHAIN_ID)",
        rich_help_panel=_NETWORK,
    ),
]
Account = Annotated[
    str | None,
    typer.Option(
        "--account",
        help="Account to act with, name or address. (env: ETH_FROM)",
        rich_help_panel=_NETWORK,
        autocompletion=completion.accounts,
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help="File that holds the account's password. (env: ETH_PASSWORD)",
        rich_help_panel=_NETWORK,
        readable=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Model, name or address; the one in use, or the only one, if left out.",
        autocompletion=completion.models,
    ),
]
NameOrAddress = Annotated[
    str | None,
    typer.Argument(help="Name or address; the one in use if left out.", autocompletion=completion.models),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="csv, tsv, jsonl, txt, parquet, arrow, npz or npy, where the name does not say it; one of the "
        "first four for standard input.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Of a text; if left out, it is found: UTF-8, UTF-16 or Windows-1252."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Featurize on a Dask cluster that is trusted, by its scheduler: tcp://127.0.0.1:8786.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=_OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no talk.", rich_help_panel=_OUTPUT)]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        help="Draw it, too: a file .png, .svg or .html. (pip install 'dcai[plots]')",
        readable=False,
        rich_help_panel=_OUTPUT,
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Answer every question with yes.", rich_help_panel=_OUTPUT)
]


VALUED = frozenset({"--network", "--rpc-url", "--chain-id", "--account", "--password-file"})
"""Options that many commands take, with a value; they may stand before the command, too."""

FLAGS = frozenset({"--json", "--quiet", "-q", "--verbose", "-v", "--yes", "-y"})
"""Likewise, without one."""


def _hush(wanted: bool) -> None:
    if wanted:
        Talk.set_quiet()


def _chatter(wanted: bool) -> None:
    if wanted:
        Talk.set_verbose()


def _everywhere(
    *,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print no talk.",
            rich_help_panel=_OUTPUT,
            callback=_hush,
            expose_value=False,
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Say on stderr what is read and asked, and how long it takes.",
            rich_help_panel=_OUTPUT,
            callback=_chatter,
            expose_value=False,
        ),
    ] = False,
) -> None:
    """What every command takes, whether its own signature names it or not."""


def _beside_rpc_url(*, network: Network = None) -> None:
    """What every command takes that takes --rpc-url."""


@cache
def _made(function: Callable[..., None]) -> list[Any]:
    """The options of a function's signature, as typer makes them."""
    program = typer.Typer(add_completion=False)
    program.command()(function)
    return list(typer.main.get_command(program).params)


def everywhere() -> list[Any]:
    """The options that every command takes."""
    return _made(_everywhere)


_network: ContextVar[str | None] = ContextVar("network", default=None)
"""What `--network` says to the command that runs, whose own signature need not name it."""


def _unhurried(param: Any) -> Any:  # noqa: ANN401 - typer's own
    """An option or argument that is converted only where there is something to convert.

    typer has pydantic do it, even to what nobody typed, and importing that takes longer than typer itself.
    """
    convert = param.process_value

    def process_value(ctx: Any, value: Any) -> Any:  # noqa: ANN401
        is_default = value is param.default and not param.required  # which has its type already
        is_text = param.type_descriptor.annotation is str and isinstance(value, str) and value.isascii()
        if param.nargs != 1 or param.multiple or not (is_default or is_text):
            return convert(ctx, value)
        return value if param.callback is None else param.callback(ctx, param, value)

    if "process_value" not in vars(param):
        param.process_value = process_value
    return param


class _Narrow:
    """Help whose words stay whole on a narrow screen: an option has a line, and its help those below."""

    rich_markup_mode: Any

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's own
        """Write the help as typer does, in panels, or in plain lines where these would cut names."""
        columns = get_terminal_size().columns
        if columns >= NARROW:
            super().format_help(ctx, formatter)  # type: ignore[misc]
            return
        formatter.width = columns - 1
        formatter.write_dl = partial(formatter.write_dl, col_max=4, col_spacing=2)
        markup, self.rich_markup_mode = self.rich_markup_mode, None
        try:
            super().format_help(ctx, formatter)  # type: ignore[misc]
        finally:
            self.rich_markup_mode = markup


class Group(_Narrow, TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - typer's own
        """The options of the group itself."""
        return [_unhurried(param) for param in super().get_params(ctx)]


class Command(_Narrow, TyperCommand):
    """A command with the options that every command takes."""

    def __init__(self, name: str | None, *, params: list[Any] | None = None, **attributes: Any) -> None:  # noqa: ANN401 - typer's own
        own = list(params or ())
        names = {param.name: place for place, param in enumerate(own)}
        if "rpc_url" in names and "network" not in names:
            own[names["rpc_url"] : names["rpc_url"]] = _made(_beside_rpc_url)
        taken = {option for param in own for option in param.opts}
        super().__init__(
            name,
            params=[*own, *(param for param in everywhere() if param.opts[0] not in taken)],
            **attributes,
        )
        self._names_network = "network" in names

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - likewise
        """Run it on the network that was named."""
        if self._names_network:
            return super().invoke(ctx)
        token = _network.set(ctx.params.pop("network", None))
        try:
            return super().invoke(ctx)
        finally:
            _network.reset(token)

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - likewise
        """Its options and arguments."""
        return [_unhurried(param) for param in super().get_params(ctx)]


DATA = (
    "csv, tsv, jsonl, txt, parquet, arrow, npz or npy, also .gz, .bz2, .xz or .zst; a folder; - or "
    "hf:owner/name:split."
)
"""What data can be, for help texts."""


def data_source(place: Path, format: str | None, encoding: str | None) -> Source:
    """What the user named as data."""
    from dcai_cli.features.readers import Source

    return Source(place.as_posix(), format, encoding)


def row_sources(
    named: Mapping[str, Path | None], format: str | None, encoding: str | None
) -> dict[str, Source]:
    """The files that were typed, by their options, as data; weights are no rows.

    Raises:
        UsageError: format or encoding is for none of them, or two are standard input.
    """
    from dcai_cli.services.deploy import holds_weights

    sources = {
        option: data_source(path, format, encoding) for option, path in named.items() if path is not None
    }
    rows = [
        option for option, source in sources.items() if option != "--pretrain" or not holds_weights(source)
    ]
    for option, value in (("--format", format), ("--encoding", encoding)):
        if value is not None and not rows:
            raise UsageError(
                f"{option} {value} is for files of rows, and none is named.",
                hint=f"Leave it out, or add one of {', '.join(named)}.",
            )
    piped = [option for option, source in sources.items() if source.place == "-"]
    if len(piped) > 1:
        raise UsageError(
            f"{piped[0]} and {piped[1]} are both standard input, which is read once.", hint="Name a file."
        )
    return sources


def open_workspace(**flags: Any) -> Workspace:  # noqa: ANN401 - flags of every type
    """Open a workspace by flags (None: not given), environment and settings file."""
    from dcai_cli.config import load_settings
    from dcai_cli.services.workspace import Workspace

    return Workspace(load_settings(**{"network": _network.get(), **flags}))


def network(workspace: Workspace) -> str:
    """Which chain is meant, by its number: what is signed for a chain is valid there, whoever asked."""
    return f"chain {workspace.chain.chain_id} at {workspace.chain.url_label}"


def asked_network(workspace: Workspace) -> tuple[str, int | None]:
    """What a question says of chain and gas, and what a unit of gas may cost after a yes.

    Returns:
        Nothing and no limit for the chain in this process, whose ether is play money.
    """
    from dcai_cli.services.transactions import FEE_RISE

    if workspace.chain.is_embedded:
        return "", None
    price_wei = workspace.chain.fees().max_fee_per_gas_wei
    return (
        f" on {network(workspace)}, for up to {format_gwei(price_wei)} gwei a unit of gas",
        price_wei * FEE_RISE,
    )
