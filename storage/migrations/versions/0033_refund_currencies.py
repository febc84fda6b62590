"""A refund that names no currency has its order's; until now it was written as one in CNY."""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE refunds ALTER COLUMN currency DROP NOT NULL")
    op.execute(
        "UPDATE refunds SET currency = NULL FROM orders WHERE orders.account_id = refunds.account_id "
        "AND orders.order_id = refunds.order_id AND orders.currency <> refunds.currency"
    )
