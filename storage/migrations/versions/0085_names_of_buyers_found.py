"""The index by which buyers are found by their nicknames; by itself, for orders can be read while it is built."""

from alembic import op

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX IF NOT EXISTS ix_orders_names ON orders USING gin (names) WHERE names IS NOT NULL")
