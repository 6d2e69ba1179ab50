"""Settings: flag over environment over file, and the folders they live in."""

from __future__ import annotations

import difflib
import logging
import os
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from dcai_cli.domain import parse_amount, parse_duration
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.networks import EMBEDDED, TABLE, find_profile, read_tables

_log = logging.getLogger(__name__)

LEDGER_FILE = "file"
"""Name of the ledger in the data folder, for whoever has set another."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works with, after flag, environment and file were weighed.

    Args:
        config_dir: folder of config.toml.
        data_dir: folder of ledger, keys and embedded chain.
        keystore_dir: folder of the key files.
        rpc_url: the node, or several separated by commas, or None for the embedded chain; may hold keys, so
            not in the repr.
        chain_id: the chain id that the node must have, or None.
        network: the name of the network that says both; None if nodes were given by their URLs.
        nodes_from: what gave these, as it is written: an option, a variable, or a setting; empty if the name
            of a network did.
        account: name or address of the account to act with, or None.
        password_file: path of a file with the password, or None.
        gas_price_wei: a fixed gas price, or None.
        priority_fee_wei: a fixed priority fee, or None.
        confirmations: blocks on top of a transaction's from which on it counts as final.
        replace_after_s: how long a transaction may wait before it is replaced by one that offers more.
        ledger_url: a PostgreSQL database that holds the ledger, or None for a file in the data folder; may
            hold a password, so not in the repr.
        rpc_headers: extra HTTP headers for the node; may hold secrets, so never printed.
        webhook_url: where the daemon posts what is at risk, or None; whoever has it can post, so not in the
            repr.
    """

    config_dir: Path
    data_dir: Path
    keystore_dir: Path
    rpc_url: str | None = field(default=None, repr=False)
    chain_id: int | None = None
    network: str | None = None
    nodes_from: str = ""
    account: str | None = None
    password_file: Path | None = None
    gas_price_wei: int | None = None
    priority_fee_wei: int | None = None
    confirmations: int = 12
    replace_after_s: int = 45
    ledger_url: str | None = field(default=None, repr=False)
    rpc_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    webhook_url: str | None = field(default=None, repr=False)

    @property
    def ledger(self) -> Path | str:
        """Where the ledger is: a file, or the URL of a database, which is secret."""
        return self.ledger_url or self.ledger_path

    @property
    def rpc_urls(self) -> tuple[str, ...]:
        """The nodes in the order in which they are tried; none for the embedded chain."""
        return split_urls(self.rpc_url or "")

    @property
    def hosts(self) -> tuple[str, ...]:
        """What may be shown of these: their hosts."""
        return tuple(map(host_of, self.rpc_urls))

    @property
    def network_label(self) -> str:
        """What the network is called: by its name, or by the hosts of its nodes."""
        return self.network or ", ".join(self.hosts) or EMBEDDED

    @property
    def nodes_hint(self) -> str:
        """What to look at if they do not answer: at what gave them."""
        if self.nodes_from or self.network is None:
            return f"Check {self.nodes_from or 'the URL'}, and that the node runs."
        return f"Check its nodes, and that they run: dcai network show {self.network}"

    @property
    def ledger_path(self) -> Path:
        """Where the ledger stands if it is a file."""
        return self.data_dir / "ledger.sqlite"

    @property
    def devnet_path(self) -> Path:
        """Where the embedded chain stands."""
        return self.data_dir / "devnet.sqlite"

    @property
    def config_path(self) -> Path:
        """Where the settings file stands."""
        return self.config_dir / CONFIG_NAME


CONFIG_NAME = "config.toml"
"""The settings file, in the config folder."""

KEYS = (
    "network",
    "rpc_url",
    "chain_id",
    "account",
    "password_file",
    "gas_price_wei",
    "priority_fee_wei",
    "confirmations",
    "replace_after",
    "ledger_url",
    "webhook_url",
)
"""What config.toml may set."""

NUMBERS = ("chain_id", "confirmations")
"""Of these, what is written as a number."""

ENVIRONMENT = {
    "DCAI_NETWORK": "network",
    "ETH_RPC_URL": "rpc_url",
    "ETH_FROM": "account",
    "ETH_KEYSTORE_ACCOUNT": "account",
    "ETH_PASSWORD": "password_file",
    "ETH_GAS_PRICE": "gas_price_wei",
    "ETH_PRIORITY_GAS_PRICE": "priority_fee_wei",
    "DCAI_CHAIN_ID": "chain_id",
    "DCAI_CONFIRMATIONS": "confirmations",
    "DCAI_REPLACE_AFTER": "replace_after",
    "DCAI_LEDGER": "ledger_url",
    "DCAI_WEBHOOK_URL": "webhook_url",
}
"""The variables of the environment, and the settings that they go over."""


def folders(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """The config and the data folder: `DCAI_HOME` moves both.

    Args:
        environ: the environment.
    """
    home = environ.get("DCAI_HOME")
    if home:
        return Path(home), Path(home)
    import platformdirs

    return Path(platformdirs.user_config_dir("dcai")), Path(platformdirs.user_data_dir("dcai"))


def load_settings(environ: Mapping[str, str] = os.environ, **flags: object) -> Settings:
    """Weigh flags over environment over file.

    The highest of these that names a network, by URL or by the name of a profile, says which one it is.

    Args:
        environ: the environment; the names are those of cast (`ETH_RPC_URL`, `ETH_FROM`, ...).
        flags: values given on the command line under the names of `Settings`; None is "not given".

    Raises:
        BadInput: config.toml cannot be read, or sets something unknown.
        UsageError: a number in the environment is none, or there is no network of that name.
    """
    config_dir, data_dir = folders(environ)
    file = read_file(config_dir / CONFIG_NAME)
    _log.debug(
        "settings: %s, the environment (%s), options (%s)",
        config_dir / CONFIG_NAME if file else f"no {CONFIG_NAME}",
        ", ".join(name for name in (*ENVIRONMENT, "DCAI_HOME") if environ.get(name)) or "nothing",
        ", ".join(name for name, value in flags.items() if value is not None) or "none",
    )
    tables = read_tables(file)
    file.pop(TABLE, None)
    environment = _read_environment(environ)
    given = {name: value for name, value in flags.items() if value is not None}
    values = _with_network((given, environment, file), tables)
    keystore = _keystore(environ.get("ETH_KEYSTORE"), values)
    return _settings(values, config_dir, data_dir, keystore)


def network_in_use(environ: Mapping[str, str] = os.environ) -> str | None:
    """The name of the network that is meant when none is named, whether it is there and can be or not.

    Args:
        environ: the environment.

    Returns:
        None if nodes are meant by their URLs.

    Raises:
        BadInput: config.toml cannot be read, or sets something unknown.
    """
    file = read_file(folders(environ)[0] / CONFIG_NAME)
    _, name, url = _named((_read_environment(environ), file))
    if url:
        return None if _rpc_url(url) else EMBEDDED
    return str(name or EMBEDDED)


def _named(levels: Sequence[Mapping[str, object]]) -> tuple[int, object, object]:
    """Which level says what network is meant, and its name and URL; of each there may be none."""
    place = next((i for i, level in enumerate(levels) if level.get("network") or level.get("rpc_url")), 0)
    return place, levels[place].get("network"), levels[place].get("rpc_url")


def _with_network(levels: Sequence[Mapping[str, object]], tables: Mapping[str, object]) -> dict[str, object]:
    """All values, with those of the network that the highest level names which names one.

    A URL beside a name goes before the profile's; which chain it must be, the profile still says.

    Args:
        levels: what was given, the highest first: flags, environment, file.
        tables: what the file has below the names of networks; only that of the one that is meant is checked.
    """
    flags, environment, file = levels
    values = {**file, **environment, **flags}
    place, name, url = _named(levels)
    origin = ("--rpc-url", "ETH_RPC_URL", f"rpc_url in {CONFIG_NAME}")[place] if url else ""
    if not name:
        return values | {"network": None, "nodes_from": origin}
    profile = find_profile(tables, str(name))
    for level in levels[: place + 1]:  # what is below pins another network
        pinned = _number("chain_id", level.get("chain_id"))
        if pinned not in (None, profile.chain_id):
            raise UsageError(
                f"{name} is chain {profile.chain_id}, not chain {pinned}.",
                hint="Leave out the chain id, or name another network: dcai network list",
            )
    own = {key: value for key, value in profile.values.items() if key not in {**environment, **flags}}
    for key, value in own.items():
        try:
            _settings({key: value}, Path(), Path(), None)
        except UsageError as error:
            # A URL at the wrong place may hold a key, too.
            said = f"{key} is a URL." if "://" in error.message else error.message
            raise BadInput(f"[{TABLE}.{name}] {said}", hint=error.hint) from None
    found = {"rpc_url": url or profile.values["rpc_url"], "chain_id": profile.chain_id}
    return values | own | found | {"network": None if url else name, "nodes_from": origin}


def _settings(
    values: Mapping[str, object], config_dir: Path, data_dir: Path, keystore: Path | None
) -> Settings:
    password_file = values.get("password_file")
    rpc_url = _rpc_url(values.get("rpc_url"))
    network = values.get("network") if rpc_url else EMBEDDED
    headers = values.get("rpc_headers")
    return Settings(
        config_dir=config_dir,
        data_dir=data_dir,
        keystore_dir=keystore or data_dir / "keystore",
        # An explicit "embedded" goes back to the chain in the process, whatever the environment says.
        rpc_url=rpc_url,
        chain_id=_number("chain_id", values.get("chain_id")),
        network=None if network is None else str(network),
        nodes_from=str(values.get("nodes_from", "")) if rpc_url else "",
        account=None if values.get("account") is None else str(values["account"]),
        password_file=None if password_file is None else Path(str(password_file)).expanduser(),
        gas_price_wei=_amount("gas_price_wei", values.get("gas_price_wei")),
        priority_fee_wei=_amount("priority_fee_wei", values.get("priority_fee_wei")),
        confirmations=_number("confirmations", values.get("confirmations", 12)) or 0,
        replace_after_s=max(1, parse_duration(str(values.get("replace_after", 45)))),
        ledger_url=_ledger_url(values.get("ledger_url")),
        rpc_headers=headers if isinstance(headers, dict) else {},
        webhook_url=str(values["webhook_url"]) if values.get("webhook_url") else None,
    )


def check_setting(name: str, text: str) -> str | int:
    """A value as it stands in config.toml, once it was found to be one.

    Args:
        name: one of `KEYS`.
        text: what was typed.

    Raises:
        UsageError: there is no such setting, or this is no value of it; the message names the setting.

    >>> check_setting("confirmations", "3")
    3
    """
    if name not in KEYS:
        raise unknown_setting(name)
    if not text.strip():
        raise UsageError(f"{name}: an empty text is no value.", hint=f"Unset it: dcai config unset {name}")
    try:
        settings = _settings({name: text}, Path(), Path(), None)
        for url in settings.rpc_urls:
            host_of(url)
        if settings.webhook_url is not None:
            webhook_host(settings.webhook_url)
    except UsageError as error:
        said = error.message
        raise UsageError(said if said.startswith(name) else f"{name}: {said}", hint=error.hint) from None
    return int(text, 0) if name in NUMBERS else text


def unknown_setting(name: str) -> UsageError:
    """The error for a name that no setting has."""
    close = difflib.get_close_matches(name, KEYS, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return UsageError(
        f"There is no setting {name!r}.{meant}", hint=f"Choose one of these: {', '.join(KEYS)}."
    )


def _rpc_url(value: object) -> str | None:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value or "")
    urls = split_urls(text)
    if EMBEDDED in urls and len(urls) > 1:
        raise UsageError(
            "The embedded chain cannot stand beside other nodes.",
            hint=f"Give either {EMBEDDED} or URLs to --rpc-url, ETH_RPC_URL or rpc_url in {CONFIG_NAME}.",
        )
    return None if not urls or urls == (EMBEDDED,) else ",".join(urls)


def split_urls(text: str) -> tuple[str, ...]:
    """The URLs in a text, each once; a comma that is part of one is written %2C.

    >>> split_urls("http://one.example, http://two.example,http://one.example")
    ('http://one.example', 'http://two.example')
    """
    return tuple(dict.fromkeys(url for part in text.split(",") if (url := part.strip())))


def _keystore(text: str | None, values: dict[str, object]) -> Path | None:
    """The folder that ETH_KEYSTORE names; as for cast it may be one key file, which then is the account."""
    if not text:
        return None
    path = Path(text).expanduser()
    if not path.is_file():
        return path
    values.setdefault("account", path.name.removesuffix(".json"))
    return path.parent


def describe_settings(settings: Settings, account: str | None = None) -> dict[str, str | int | None]:
    """The settings as they may be shown: of the RPC URL only the host, of headers nothing.

    Args:
        settings: the settings.
        account: the name of the account that acts if none is set.
    """
    return {
        "network": settings.network_label,
        "nodes": ", ".join(settings.hosts) or None,
        "chain_id": settings.chain_id,
        "account": settings.account or account,
        "password_file": None if settings.password_file is None else str(settings.password_file),
        "gas_price_wei": settings.gas_price_wei,
        "priority_fee_wei": settings.priority_fee_wei,
        "confirmations": settings.confirmations,
        "replace_after_s": settings.replace_after_s,
        "ledger": (
            str(settings.ledger_path) if settings.ledger_url is None else ledger_server(settings.ledger_url)
        ),
        "webhook": None if settings.webhook_url is None else webhook_host(settings.webhook_url),
        "config_file": str(settings.config_path),
        "data_folder": str(settings.data_dir),
        "keystore": str(settings.keystore_dir),
    }


def is_http(url: str) -> bool:
    """Whether a URL is one of http or https."""
    return url.partition("://")[0].lower() in {"http", "https"}


def ipc_path(url: str) -> str | None:
    r"""The path of a node's IPC socket: after `ipc://`, or written as a path; None if it is something else.

    >>> ipc_path("ipc:///run/geth.ipc"), ipc_path("/run/geth.ipc"), ipc_path("ws://node.example/geth.ipc")
    ('/run/geth.ipc', '/run/geth.ipc', None)
    """
    scheme, separator, path = url.partition("://")
    if separator:
        return path if scheme.lower() == "ipc" and path else None
    is_path = url.startswith(("/", "~/", "./", "../", r"\\.\pipe")) or url.endswith(".ipc")
    return url if is_path else None


def webhook_host(url: str) -> str:
    """Host and port of a webhook, whose path and query are secret.

    Raises:
        UsageError: it is not an http or https URL.

    >>> webhook_host("https://hooks.example/services/key")
    'hooks.example'
    """
    try:
        if url.partition("://")[0].lower() in {"http", "https"}:
            return host_of(url)
    except UsageError:
        pass
    raise UsageError(
        "The webhook is not an http or https URL.",
        hint="Set webhook_url in config.toml, DCAI_WEBHOOK_URL or --webhook to https://...",
    )


def host_of(url: str) -> str:
    """Host and port of a URL, without user, path and query; of a path the last part.

    Raises:
        UsageError: it is neither a URL that nodes are reached by, nor a path.

    >>> host_of("https://user:secret@mainnet.example:8545/v3/key?token=1")
    'mainnet.example:8545'
    """
    path = ipc_path(url)
    if path is not None:
        return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or "ipc"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if parts.scheme not in {"http", "https", "ws", "wss"}:
            host = None
    if not host:
        raise UsageError(
            "The RPC URL is not an http or https URL, nor one of ws, wss or ipc.",
            hint="Set ETH_RPC_URL or --rpc-url, for instance to http://127.0.0.1:8545.",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def ledger_server(url: str) -> str:
    """Host, port and database of a PostgreSQL URL, for people: without user, password and options.

    Raises:
        UsageError: it is no such URL.

    >>> ledger_server("postgresql://user:secret@db.example:5433/team?sslmode=require")
    'team on db.example:5433'
    >>> ledger_server("postgresql:///team?host=/run/postgresql")
    'team on this machine'
    """
    found = _POSTGRES.fullmatch(url)
    if found is None:
        raise UsageError(
            "The ledger's URL is not one of a PostgreSQL database.",
            hint="Set ledger_url or DCAI_LEDGER, for instance to postgresql://user@host/database; special "
            "characters of a password are written %XX.",
        )
    hosts = (
        [found["host"] + (found["port"] or "")]
        if found["host"]
        else parse_qs(found["query"] or "").get("host", [])
    )
    shown = ", ".join("this machine" if host.startswith("/") else host for host in hosts)
    return f"{unquote(found['name'])} on {shown or 'this machine'}"


_POSTGRES = re.compile(
    r"postgres(?:ql)?://(?:[^/?#@]*@)?(?P<host>[\w.-]+|\[[\w:.%]+\])?(?P<port>:\d+)?/(?P<name>[^/?#@]+)"
    r"(?:\?(?P<query>[^#]*))?"
)
"""Strict, so that no part of a password that should have been escaped is taken for the host."""


def _ledger_url(value: object) -> str | None:
    if value in {None, "", LEDGER_FILE}:
        return None
    ledger_server(str(value))
    return str(value)


def _number(name: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        number = int(str(value), 0)
    except ValueError:
        number = -1
    if number < 0:
        raise UsageError(f"{name} is {value!r}, not a whole number.", hint="Write it in digits.")
    return number


def _amount(name: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        return parse_amount(str(value))
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", hint=error.hint) from None


def _read_environment(environ: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {key: environ[name] for name, key in ENVIRONMENT.items() if environ.get(name)}
    if environ.get("ETH_RPC_HEADERS"):
        pairs = (line.partition(":") for line in environ["ETH_RPC_HEADERS"].replace(",", "\n").splitlines())
        values["rpc_headers"] = {name.strip(): value.strip() for name, _, value in pairs if value.strip()}
    return values


def read_file(path: Path) -> dict[str, object]:
    """What config.toml sets; nothing if there is none.

    Raises:
        BadInput: it cannot be read, or sets something unknown.
    """
    if not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        line = re.search(r"at (line \d+)", str(error))
        where = "its end" if "end of document" in str(error) else "it" if line is None else line[1]
        aside = f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.broken')}"
        raise BadInput(
            f"{path} cannot be read: {error}.", hint=f"Mend {where}, or put the file aside: {aside}"
        ) from None
    unknown = sorted(set(values) - {*KEYS, TABLE})
    if unknown:
        raise BadInput(
            f"{path} sets {', '.join(map(repr, unknown))}, which dcai does not know.",
            hint=f"Remove that; what it may set: {', '.join(KEYS)}; and networks, each below [{TABLE}.NAME].",
        )
    return values
