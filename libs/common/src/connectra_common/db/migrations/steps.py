"""What migrations are made of.

A migration is one transaction, and takes locks that writers wait for only for moments; what reads or writes whole tables is a step of its
own. Indexes of tables with rows are built beside the writers, which no transaction can do: a migration that does so does nothing else,
so that it can run again from its beginning.
"""

from pathlib import Path
from typing import cast

from alembic import op
from sqlalchemy import AdaptedConnection, text


def script(migration: str) -> None:
    """Runs the SQL file of the same name as a migration, given by its `__file__`."""
    # The driver's own connection takes a whole script; prepared statements take one statement each.
    source = Path(migration).with_suffix(".sql").read_text()
    connection = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(source))


def build_index(name: str, definition: str, *, unique: bool = False) -> None:
    """Builds an index while others write; one that an earlier try left invalid is dropped first. Ends the transaction.

    Args:
        definition: what follows ON, from the table to WHERE.
    """
    with op.get_context().autocommit_block():
        if op.get_bind().scalar(_INVALID, {"name": name}):
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}")


def drop_index(name: str) -> None:
    """Drops an index while others read and write. Ends the transaction."""
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


_INVALID = text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
