"""Work on an index is a row of its own, which any indexer carries on with; its new index has its own list of what it lacks."""

from pathlib import Path
from typing import cast

from alembic import op
from sqlalchemy import AdaptedConnection

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Indexers of the previous release see what is being built by a view; its write service cannot begin a rebuild any more."""
    script = Path(__file__).with_suffix(".sql").read_text()
    connection = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(script))
