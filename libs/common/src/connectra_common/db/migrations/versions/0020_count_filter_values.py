"""Counts the filter values of the records that there are."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Reads all records once, beside the writers. The write service adds the counts up when it runs."""
    op.execute("SELECT recount_filter_values()")
