"""What identifies records, as data: the keys of contacts and companies, and locks on them. Existing records get theirs."""

from pathlib import Path
from typing import cast

from alembic import op
from sqlalchemy import AdaptedConnection

from connectra_common.db.match_keys import add_unusual

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Reads all records once, and keeps writers waiting meanwhile. The keys of what the previous release writes are kept by a trigger."""
    script = Path(__file__).with_suffix(".sql").read_text()
    connection = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(script))
    connection.run_async(add_unusual)
