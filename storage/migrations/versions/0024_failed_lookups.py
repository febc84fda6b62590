"""Lookups that failed are found without reading all of them."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_lookups_problem ON lookups (identity_id) WHERE problem IS NOT NULL")
