"""Nobody reads the HTTP status of a kept answer: the answer itself tells. Writers stop giving it."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Only expands: the release before still gives the column a value, so it can go only after that release has."""
    op.execute("ALTER TABLE idempotency_keys ALTER http_status SET DEFAULT 0")
