"""The runs that a run started are found by it."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_runs_parent_id ON runs (parent_id) WHERE parent_id IS NOT NULL")
