"""Accounts: which there are, which one acts, and unlocking it once per command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.errors import DcaiError, NoAccount

if TYPE_CHECKING:
    from pathlib import Path

    from eth_account.signers.local import LocalAccount

    from dcai_cli.keystore import StoredAccount
    from dcai_cli.services.workspace import Workspace

Password = Callable[["StoredAccount"], str]
"""Asks for the password of an account; called at most once per command."""

IN_USE = ("", "account")
"""Where the ledger keeps the account in use."""


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as a command shows it.

    Args:
        name: its name.
        address: its address; None if its key file hides it.
        in_use: whether commands act with it when none is named.
        balance_wei: its balance on the chain, None if nobody asked the chain.
    """

    name: str
    address: str | None
    in_use: bool
    balance_wei: int | None = None


def create_account(workspace: Workspace, name: str, password: str) -> AccountView:
    """Make a new key, encrypt it, and use it if it is the first.

    On the embedded chain the account gets 1,000 ether.

    Raises:
        BadInput: an account of this name exists.
    """
    _open(workspace)
    return _adopt(workspace, workspace.keystore.new(name, password))


def import_account(
    workspace: Workspace,
    name: str,
    *,
    private_key: str | None = None,
    file: Path | None = None,
    password: str,
) -> AccountView:
    """Take over a private key, or a key file of another wallet.

    Args:
        workspace: the opened parts.
        name: what to call it.
        private_key: 32 bytes in hex; or
        file: a key file, which `password` opens.
        password: encrypts the private key, or opens the file.

    Raises:
        BadInput: no key, or an account of this name exists.
        WrongPassword: the password does not open the file.
    """
    _open(workspace)
    if file is not None:
        return _adopt(workspace, workspace.keystore.import_file(file, name, password))
    assert private_key is not None
    return _adopt(workspace, workspace.keystore.import_key(name, private_key, password))


def _open(workspace: Workspace) -> None:
    """Open what a new account is noted in, so that what fails leaves no key behind."""
    workspace.ledger.choice(*IN_USE)
    if workspace.settings.rpc_url is None:
        _ = workspace.chain


def _adopt(workspace: Workspace, stored: StoredAccount) -> AccountView:
    if workspace.settings.rpc_url is None and stored.address is not None:
        workspace.chain.fund_if_new(stored.address)
    if workspace.ledger.choice(*IN_USE) is None:
        workspace.ledger.choose(*IN_USE, stored.name)
    return AccountView(stored.name, stored.address, in_use=workspace.ledger.choice(*IN_USE) == stored.name)


def use_account(workspace: Workspace, name_or_address: str) -> AccountView:
    """Act with this account from now on.

    Raises:
        NoAccount: there is none of this name or address.
    """
    stored = workspace.keystore.find(name_or_address)
    workspace.ledger.choose(*IN_USE, stored.name)
    return AccountView(stored.name, stored.address, in_use=True)


def list_accounts(workspace: Workspace) -> list[AccountView]:
    """All accounts by name; asks no chain."""
    used = workspace.ledger.choice(*IN_USE)
    return [
        AccountView(stored.name, stored.address, in_use=stored.name == used)
        for stored in workspace.keystore.list()
    ]


def show_account(workspace: Workspace, name_or_address: str | None) -> AccountView:
    """One account with its balance on the chain."""
    account = acting_account(workspace, name_or_address)
    if workspace.settings.rpc_url is None:
        workspace.chain.fund_if_new(account.address)
    return AccountView(
        account.name,
        account.address,
        in_use=account.name == workspace.ledger.choice(*IN_USE),
        balance_wei=workspace.chain.balance_wei(account.address),
    )


def export_key(workspace: Workspace, name_or_address: str | None, password: Password) -> str:
    """The private key in hex: whoever reads it owns the account."""
    stored = _stored_account(workspace, name_or_address)
    return workspace.keystore.export(stored, password(stored))


@dataclass(frozen=True, slots=True)
class ActingAccount:
    """An account whose address is known.

    Args:
        name: its name.
        address: its address.
        stored: its key file.
    """

    name: str
    address: str
    stored: StoredAccount


def acting_account(workspace: Workspace, name_or_address: str | None = None) -> ActingAccount:
    """The account a command acts with: named, set in the environment, in use, or the only one.

    Raises:
        NoAccount: none is named, and there is not just one; or its key file hides its address.
    """
    return _acting(_stored_account(workspace, name_or_address))


def account_in_force(workspace: Workspace) -> str | None:
    """The name of the account that commands act with when none is named; None if they would ask, or fail.

    Nothing is made: where there is no ledger yet, none was chosen.
    """
    settings, stored = workspace.settings, workspace.keystore.list()
    if settings.account is not None:
        return settings.account
    if len(stored) < 2 or not (settings.ledger_url or settings.ledger_path.exists()):
        return stored[0].name if len(stored) == 1 else None
    try:
        return acting_account(workspace).name
    except DcaiError:
        return None


def _acting(stored: StoredAccount) -> ActingAccount:
    if stored.address is None:
        raise NoAccount(
            f"The key file of {stored.name} does not say its address.",
            hint="Import it under another name, which opens it: "
            f"dcai account import --name NAME --file {stored.path}",
        )
    return ActingAccount(stored.name, stored.address, stored)


def _stored_account(workspace: Workspace, name_or_address: str | None) -> StoredAccount:
    named = name_or_address or workspace.settings.account or workspace.ledger.choice(*IN_USE)
    if named is not None:
        return workspace.keystore.find(named)
    stored = workspace.keystore.list()
    if len(stored) == 1:
        return stored[0]
    if stored:
        names = ", ".join(account.name for account in stored)
        raise NoAccount(f"There are several accounts ({names}).", hint="Choose one: dcai account use NAME")
    raise NoAccount("There is no account yet.", hint="Set it up: dcai init")


def unlock(workspace: Workspace, account: ActingAccount, password: Password) -> LocalAccount:
    """Decrypt an account's key, once per workspace.

    Raises:
        WrongPassword: the password does not open the key file.
    """
    if (known := workspace.unlocked.get(account.address)) is not None:
        return known
    key = workspace.keystore.unlock(account.stored, password(account.stored))
    if key.address.lower() != account.address.lower():
        raise DcaiError(
            f"The key file of {account.name} holds the key of {key.address}, not of {account.address}.",
            hint=f"Restore the key file {account.stored.path} from a backup.",
        )
    workspace.unlocked[account.address] = key
    return key
