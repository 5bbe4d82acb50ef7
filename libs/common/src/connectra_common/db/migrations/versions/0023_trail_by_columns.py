"""The audit trail compares records column by column, and triggers join what a statement changed by hash, whatever it was planned for."""

from connectra_common.db.migrations.steps import script

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Functions only, whose triggers stay: the previous release runs on it."""
    script(__file__)
