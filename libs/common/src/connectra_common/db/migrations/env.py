"""Alembic's entry: runs on the connection that `migrate.upgrade` hands over."""

from alembic import context

from connectra_common.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
