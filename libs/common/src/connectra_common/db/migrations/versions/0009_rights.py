"""Triggers run with the rights of the tables' owner, and only who may can write without a trail: processes need few rights of their own."""

from pathlib import Path
from typing import cast

from alembic import op
from sqlalchemy import AdaptedConnection

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Changes functions and triggers only: the previous release runs on it."""
    script = Path(__file__).with_suffix(".sql").read_text()
    connection = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(script))
