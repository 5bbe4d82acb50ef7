"""Finds the records that were deleted long ago."""

from connectra_common.db.migrations.steps import build_index

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Small indexes: of deleted records only."""
    build_index("companies_deleted_at_idx", "companies (deleted_at) WHERE deleted_at IS NOT NULL")
    build_index("contacts_deleted_at_idx", "contacts (deleted_at) WHERE deleted_at IS NOT NULL")
