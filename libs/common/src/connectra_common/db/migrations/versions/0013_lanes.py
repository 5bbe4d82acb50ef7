"""Marks have lanes: what many records or repairs mark does not stand in the way of single writes."""

from pathlib import Path
from typing import cast

from alembic import op
from sqlalchemy import AdaptedConnection

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Only expands: the previous release marks in the first lane, and claims all of them by age."""
    script = Path(__file__).with_suffix(".sql").read_text()
    connection = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(script))
