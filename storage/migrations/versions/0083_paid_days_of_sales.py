"""The day on which an order was paid, kept with those of its sales that count on another day."""

from alembic import op

revision = "0083"
down_revision = "0082"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE sales ADD COLUMN paid_day date")
