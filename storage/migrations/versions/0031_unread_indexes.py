"""Three indexes that nothing is found by: every order and every event paid for them."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX ix_orders_identity_id_paid_at")
    op.execute("DROP INDEX ix_orders_account_id_told_at")
    op.execute("DROP INDEX ix_events_type_seq")
