"""Fewer indexes on records: values of keywords are listed from the search index, and a company's contacts are found in their order."""

from alembic import op

revision = "0014"
down_revision = "0013"

# Of values of keywords, which are nearly as many as records, and of texts inside of them.
_DROPPED = (
    "companies_linkedin_url_values_idx",
    "contacts_company_id_idx",
    *(f"contacts_{name}_values_idx" for name in ("company_id", "email", "mobile_phone", "linkedin_url")),
    *(f"contacts_{name}_trigrams_idx" for name in ("company_id", "email", "mobile_phone", "linkedin_url")),
)


def upgrade() -> None:
    """The previous release needs none of them to be right, only to list these values fast."""
    op.execute("CLOSE ALL")  # cursors of earlier migrations in this transaction, which keep a table in use
    op.execute("CREATE INDEX contacts_company_id_uuid_idx ON contacts (company_id, uuid)")
    for name in _DROPPED:
        op.execute(f"DROP INDEX IF EXISTS {name}")
