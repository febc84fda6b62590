"""Reserved payouts by their day: every thousand asks, each time, whether any day of its batch was missed."""

from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_payouts_reserved ON payouts (batch, pay_on) WHERE state = 'reserved'")
