"""What several indexers need to share the outbox safely, and the state of index rebuilds."""

from pathlib import Path
from typing import cast

from alembic import op
from sqlalchemy import AdaptedConnection

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Only expands: the previous release runs on it."""
    script = Path(__file__).with_suffix(".sql").read_text()
    connection = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(script))
