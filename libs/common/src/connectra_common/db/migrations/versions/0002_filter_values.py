"""Indexes for reading filter values at any size: one partial index per column, in the order in which values are shown."""

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"

DIRECT = {
    "companies": ("address", "linkedin_url", "website", "normalized_domain"),
    "contacts": ("first_name", "last_name", "company_id", "email", "mobile_phone", "linkedin_url"),
}
NUMBERS = ("employees_count", "annual_revenue", "total_funding")


def upgrade() -> None:
    """Indexes only; no row is touched."""
    for table, columns in DIRECT.items():
        for name in columns:
            # Longer values are not offered, and would not fit into an index entry.
            op.execute(f"""
                CREATE INDEX {table}_{name}_values_idx ON {table} ({name} COLLATE "C")
                WHERE deleted_at IS NULL AND {name} <> '' AND octet_length({name}) <= 1000""")
    for name in NUMBERS:
        op.execute(f"""
            CREATE INDEX companies_{name}_values_idx ON companies ({name})
            WHERE deleted_at IS NULL AND {name} IS NOT NULL""")
    # The previous index rejected values beyond 2,700 bytes, and with them the whole write.
    op.execute("DROP INDEX filters_data_service_key_value_idx")
    op.execute("""
        CREATE INDEX filters_data_display_idx
        ON filters_data (service, filter_key, display_value COLLATE "C", value COLLATE "C")
        WHERE deleted_at IS NULL AND octet_length(display_value) <= 1000 AND octet_length(value) <= 1000""")
    _trigrams()


def _trigrams() -> None:
    # If the extension is missing and we may not create it, searches inside values do without: slower, with the same results.
    connection = op.get_bind()
    savepoint = connection.begin_nested()
    try:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    except Exception:  # noqa: BLE001 - whatever the server says, it means no
        savepoint.rollback()
        return
    savepoint.commit()
    # A long pending list: it halves the cost to imports, and autovacuum merges the entries later.
    for name in ("company_id", "email", "linkedin_url", "mobile_phone"):
        # With the database's collation instead of the column's, because its rules fold case.
        op.execute(f"""
            CREATE INDEX contacts_{name}_trigrams_idx ON contacts USING gin ({name} COLLATE "default" gin_trgm_ops)
            WITH (gin_pending_list_limit = 65536) WHERE deleted_at IS NULL""")
    op.execute("""
        CREATE INDEX filters_data_trigrams_idx ON filters_data USING gin (display_value gin_trgm_ops)
        WHERE deleted_at IS NULL""")
