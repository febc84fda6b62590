"""Pushes whose readers ended in the midst of them."""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE inbox ADD COLUMN tries smallint NOT NULL DEFAULT 0")
