"""The audit trail: one row per changed record, written by the statement that changes it."""

from pathlib import Path
from typing import cast

from alembic import op
from sqlalchemy import AdaptedConnection

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Only expands: the previous release runs on it, and its writes are recorded under its database user."""
    script = Path(__file__).with_suffix(".sql").read_text()
    connection = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(script))
