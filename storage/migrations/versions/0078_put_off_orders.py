"""Orders that cannot be looked at wait for a while, in their place."""

from alembic import op

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE sale_queue ADD COLUMN not_before timestamptz")
