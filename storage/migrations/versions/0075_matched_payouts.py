"""Matched payouts of some days, without those of all other days or the orders of the same ones."""

from alembic import op

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_bill_matches_payouts_day ON bill_matches (account, day) WHERE family IN ('transfer', 'share')"
    )
