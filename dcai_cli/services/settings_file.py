"""The settings file: changing some of it, and keeping the rest as its owner wrote it."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any

from dcai_cli import files
from dcai_cli.config import (
    CONFIG_NAME,
    KEYS,
    check_setting,
    folders,
    load_settings,
    read_file,
    unknown_setting,
)
from dcai_cli.errors import BadInput, NoAccount, UsageError
from dcai_cli.keystore import Keystore
from dcai_cli.networks import KEYS as PROFILE_KEYS
from dcai_cli.networks import TABLE, find_profile, read_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping


def change_settings(
    changes: Mapping[str, str | None], environ: Mapping[str, str] = os.environ
) -> dict[str, str | int | None]:
    """Set or unset settings in config.toml, all of them or none; comments and order stay.

    What else is wrong in the file or in the environment keeps nobody from mending it.

    Args:
        changes: name -> what was typed; None unsets it.
        environ: the environment.

    Returns:
        What stood there before by name; None where nothing did.

    Raises:
        UsageError: there is no such setting or network, or this is no value of it.
        NoAccount: `account` is none that there is.
        BadInput: the file cannot be read.
        DcaiError: it cannot be written; what stood there stays.
    """
    values: dict[str, str | int | None] = {}
    for name, text in changes.items():
        if name not in KEYS:
            raise unknown_setting(name)
        values[name] = None if text is None else check_setting(name, text)
        if name == "account" and text is not None:
            _check_account(text, environ)
        if name == "network" and text is not None:
            find_profile(read_tables(read_file(folders(environ)[0] / CONFIG_NAME)), text)

    def change(document: MutableMapping[str, Any]) -> None:
        for name, value in values.items():
            if value is None:
                document.pop(name, None)
            else:
                document[name] = value

    before = _rewrite(environ, change)
    return {name: _plain(before.get(name)) for name in values}


def change_profile(
    name: str, values: Mapping[str, str | int] | None, environ: Mapping[str, str] = os.environ
) -> None:
    """Write or remove the profile of a network; its other settings, comments and order stay.

    What a profile cannot set goes when it is written: a name that is none, or a value that is none.

    Args:
        name: of the network.
        values: what it sets from now on; None removes it.
        environ: the environment.

    Raises:
        BadInput: the file cannot be read.
        DcaiError: it cannot be written; what stood there stays.
    """
    import tomlkit

    def change(document: MutableMapping[str, Any]) -> None:
        if TABLE not in document:
            document[TABLE] = tomlkit.table(is_super_table=True)
        if values is None:
            document[TABLE].pop(name, None)
        elif isinstance(document[TABLE].get(name), dict):
            profile = document[TABLE][name]
            for key in [key for key, value in profile.unwrap().items() if not _can_be_set(key, value)]:
                del profile[key]
            profile.update(values)
        else:  # in the form that its owner gave to the others
            document[TABLE][name] = dict(values)
        if not document[TABLE]:
            del document[TABLE]

    _rewrite(environ, change)


def _can_be_set(key: str, value: object) -> bool:
    try:
        return key in PROFILE_KEYS and check_setting(key, str(value)) is not None
    except UsageError:
        return False


def _rewrite(
    environ: Mapping[str, str], change: Callable[[MutableMapping[str, Any]], None]
) -> dict[str, object]:
    """Change the file, which nobody else changes meanwhile; what it set before."""
    import tomlkit

    config_dir, data_dir = folders(environ)
    path = config_dir / CONFIG_NAME
    with files.lock(data_dir / "locks" / "config.lock", what="The settings file", wait_s=10):
        before = read_file(path)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        document = tomlkit.parse(text)
        change(document)
        changed = tomlkit.dumps(document)
        if not _says(changed, document.unwrap()):
            # Where tables are opened by dots, tomlkit may write a key below another table.
            raise BadInput(
                f"{path} opens tables by dots, as in {TABLE}.NAME.rpc_url, and cannot be changed safely.",
                hint=f"Write [{TABLE}.NAME] above what a network sets. The file is as it was.",
            )
        if changed != text:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
            files.write_atomically(path, changed.encode(), mode=mode)
    return before


def _says(text: str, values: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == values
    except tomllib.TOMLDecodeError:
        return False


def _check_account(name_or_address: str, environ: Mapping[str, str]) -> None:
    try:
        Keystore(load_settings(environ).keystore_dir).find(name_or_address)
    except NoAccount as error:
        raise NoAccount(f"account: {error.message}", hint=error.hint) from None


def _plain(value: object) -> str | int | None:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if value is None or isinstance(value, int) else str(value)
