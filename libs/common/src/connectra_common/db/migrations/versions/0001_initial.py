"""All tables of the first release."""

from pathlib import Path
from typing import cast

from alembic import op
from sqlalchemy import AdaptedConnection

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates everything."""
    # The driver's own connection takes a whole script; prepared statements take one statement each.
    script = Path(__file__).with_suffix(".sql").read_text()
    connection = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(script))
