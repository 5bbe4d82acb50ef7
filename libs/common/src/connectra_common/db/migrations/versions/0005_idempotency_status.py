"""Makes the HTTP status of a stored answer optional: nobody reads it, since the answer implies it, and writers no longer set it."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Only expands: the previous release still sets the column, so it can be dropped only once that release is no longer used."""
    op.execute("ALTER TABLE idempotency_keys ALTER http_status SET DEFAULT 0")
