"""What a settlement moves, which decides who has to approve it: a sum of rises and falls may come to nothing."""

from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE settlement_runs ADD COLUMN moved_minor bigint")
