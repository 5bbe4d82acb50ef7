"""Room for updates in place in tables that are updated often, and vacuums by number of rows; records are recognized by their uuids."""

from connectra_common.db.migrations.steps import script

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Settings and functions only: the previous release runs on it."""
    script(__file__)
