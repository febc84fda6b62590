"""Since when a stream of a platform has not gone on."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE streams ADD COLUMN problem_since timestamptz")
    op.execute("UPDATE streams SET problem_since = pulled_at WHERE problem IS NOT NULL")
