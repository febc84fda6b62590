"""Alembic's entry: runs the revisions on the connection that `storage.migrations.upgrade` opened, each in a transaction
of its own."""

from alembic import context

from storage.tables import load_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=load_tables(),
    transaction_per_migration=True,
)
context.run_migrations()
