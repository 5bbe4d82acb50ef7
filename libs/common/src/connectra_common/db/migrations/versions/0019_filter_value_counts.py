"""Stored filter values are counted: triggers note what each statement changes, and no table is read for it any more."""

from connectra_common.db.migrations.steps import script

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Only expands: values that the previous release adds count as soon as their records do."""
    script(__file__)
