"""The way from each earlier version of the ledger's tables to this one's.

Every step is a revision in `versions/`, numbered from 0001 on; Alembic runs those that are missing. A
ledger's revision stands in Alembic's table `alembic_version`, and, as a number, in `schema_version`, where
dcai 0.1 looks: it refuses a ledger that is newer than itself. To add a revision, see CONTRIBUTING.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from dcai_cli.errors import BadInput

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

HEAD = "0004"
"""The newest revision; a constant, because Alembic takes a quarter of a second to import."""

BASELINE = "0001"
"""What dcai 0.1 made, without Alembic."""


def current_version(connection: Connection) -> str | None:
    """The revision of a ledger's tables; None if Alembic has not seen them yet.

    The connection's transaction, if it began one, is over afterwards.
    """
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except (OperationalError, ProgrammingError) as error:
        if "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "42P01":
            return None
        raise
    finally:
        connection.rollback()


def migrate(connection: Connection) -> None:
    """Bring a database to this version's tables; the record of it is part of the same transaction.

    Args:
        connection: in a transaction that no other process migrates beside.

    Raises:
        BadInput: the ledger was written by a newer dcai, or is none.
    """
    from sqlalchemy import inspect

    tables = set(inspect(connection).get_table_names())
    found = (
        _read(connection, "SELECT version_num FROM alembic_version") if "alembic_version" in tables else None
    )
    if found is None and "schema_version" in tables:
        version = _read(connection, "SELECT version FROM schema_version")
        found = None if version is None else f"{int(version):04}"
        if found == BASELINE:
            _stamp(connection)
    if found == HEAD:
        return
    if found is None and tables:
        raise BadInput(
            f"The ledger's database has tables of something else: {', '.join(sorted(tables)[:5])}.",
            hint="Give the ledger a database of its own.",
        )
    if found is not None and found > HEAD:
        raise BadInput(
            f"The ledger has version {int(found)}; this dcai knows versions up to {int(HEAD)}.",
            hint="Upgrade dcai: pip install --upgrade dcai",
        )
    _upgrade(connection)
    # What an earlier dcai goes by when it refuses.
    connection.execute(text("UPDATE schema_version SET version = :version"), {"version": int(HEAD)})


def scripts() -> ScriptDirectory:
    """The revisions, as Alembic knows them."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(__file__).parent))


def _read(connection: Connection, query: str) -> Any:  # noqa: ANN401 - a number or a text
    return connection.execute(text(query)).scalar_one_or_none()


def _upgrade(connection: Connection, to: str = "head") -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    directory = scripts()

    def steps(revision: Any, _context: MigrationContext) -> Any:  # noqa: ANN401 - Alembic's own
        return directory._upgrade_revs(to, revision)  # noqa: SLF001 - what Alembic's own command calls

    with EnvironmentContext(Config(), directory, fn=steps, destination_rev=to) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def _stamp(connection: Connection) -> None:
    """Say of what dcai 0.1 made that it is the baseline."""
    from alembic.runtime.migration import MigrationContext

    MigrationContext.configure(connection).stamp(scripts(), BASELINE)
