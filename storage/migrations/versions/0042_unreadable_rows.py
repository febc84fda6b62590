"""What an erasure could not read."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE erasures ADD COLUMN unreadable jsonb NOT NULL DEFAULT '{}'")
