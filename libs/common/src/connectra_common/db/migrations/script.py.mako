"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Expands the schema; the release before must still run on it."""
    ${upgrades if upgrades else "pass"}
