"""Alembic's entry: runs the revisions on the connection that `storage.migrations.upgrade` opened."""

from alembic import context

from storage.tables import load_tables

context.configure(connection=context.config.attributes["connection"], target_metadata=load_tables())
context.run_migrations()
