"""Looking after the ledger: check it, write a backup, put one back."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import counted
from dcai_cli.errors import BadInput

if TYPE_CHECKING:
    from dcai_cli.ledger.database import Database
    from dcai_cli.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class LedgerSize:
    """A ledger, and what is in it.

    Args:
        where: its path, or its database and host.
        transactions: how many it has.
        batches: likewise.
        samples: likewise.
    """

    where: str
    transactions: int
    batches: int
    samples: int


@dataclass(frozen=True, slots=True)
class Restored:
    """A ledger that was put back.

    Args:
        size: what is in it now.
        kept: where what was there before is; None if there was nothing.
        left_out: how many transactions are in there, and not in the backup.
    """

    size: LedgerSize
    kept: Path | None
    left_out: int


def check_ledger(workspace: Workspace) -> LedgerSize:
    """Read all of the ledger, and compare what is in it.

    Raises:
        BadInput: it is damaged, or its books do not agree; with all that was found.
    """
    from dcai_cli.ledger.care import faults

    found = faults(workspace.ledger)
    if found:
        raise BadInput(
            f"The ledger {_where(workspace)} is damaged:\n" + "\n".join(found),
            hint="Keep a copy of it as it is, and bring back a backup: dcai ledger restore FILE",
        )
    return _size(workspace)


def back_up(workspace: Workspace, path: Path, *, force: bool = False) -> LedgerSize:
    """Copy the ledger into one SQLite file, while others may write to it.

    Args:
        workspace: the opened parts.
        path: the file.
        force: whether to replace what is there.

    Raises:
        BadInput: the ledger is damaged, or the file is there.
        DcaiError: the file cannot be written.
    """
    from dcai_cli.ledger.care import write_backup

    return LedgerSize(_where(workspace), **write_backup(workspace.ledger, path, replace=force))


def restore_ledger(workspace: Workspace, path: Path, *, force: bool = False) -> Restored:
    """Put a backup in the place of the ledger; what was there is kept beside it.

    Args:
        workspace: the opened parts; on a server the ledger must be empty.
        path: the backup.
        force: whether to leave out transactions that the ledger has, and the backup has not.

    Raises:
        BadInput: the backup is damaged, or the ledger is newer than it.
        Locked: a process sends.
    """
    from dcai_cli.ledger import care

    settings = workspace.settings
    if settings.ledger_url is not None:
        with care.opened_backup(path, settings.data_dir) as backup:
            care.load_into_server(backup, workspace.ledger)
        return Restored(_size(workspace), None, 0)
    place = settings.ledger_path
    with care.nobody_sends(place.parent / "locks"), care.opened_backup(path, place.parent) as backup:
        left_out, is_usable = _left_out(workspace, backup, path, force=force)
        stamp = datetime.fromtimestamp(int(workspace.clock()), UTC).strftime("%Y%m%dT%H%M%SZ")
        kept = place.with_name(f"{place.name}.before-restore-{stamp}")
        was_there = care.put_back(backup, place, kept, is_usable=is_usable)
    return Restored(_size(workspace), kept if was_there else None, left_out)


def _left_out(workspace: Workspace, backup: Database, path: Path, *, force: bool) -> tuple[int, bool]:
    """How many transactions of the present ledger the backup lacks, and whether that ledger can be read."""
    from dcai_cli.ledger import care, open_ledger
    from dcai_cli.ledger.database_errors import Damaged

    place = workspace.settings.ledger_path
    log = place.with_name(f"{place.name}-wal")
    if not place.exists() and not log.exists():
        return 0, False
    try:
        with closing(open_ledger(place)) as present:
            missing = care.missing_transactions(present, backup)
    except Damaged:
        return 0, False  # nobody can tell; it is kept
    if missing and not force:
        raise BadInput(
            f"The ledger has {counted(len(missing), 'transaction')} that {path} lacks, "
            f"the newest {missing[-1]}.",
            hint="Keep the ledger; or restore all the same, and keep a copy of the ledger beside it: --force",
        )
    return len(missing), True


def _where(workspace: Workspace) -> str:
    from dcai_cli.config import describe_settings

    return str(describe_settings(workspace.settings)["ledger"])


def _size(workspace: Workspace) -> LedgerSize:
    from dcai_cli.ledger.care import size_of

    return LedgerSize(_where(workspace), **size_of(workspace.ledger))
