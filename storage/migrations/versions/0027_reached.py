"""Runs remember since when they write to whom they took in: of two for one person, only one does."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE runs ADD COLUMN reached_at timestamptz")
