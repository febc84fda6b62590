"""Refunds that did not know their order when they were written."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE refunds ADD COLUMN unsettled boolean DEFAULT false NOT NULL")
    op.execute("CREATE INDEX ix_refunds_unsettled ON refunds (recorded_at) WHERE unsettled")
