"""Whom a run took in, so that nobody enters the same flow twice."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE runs ADD COLUMN enrolled varchar")
    op.execute(
        "CREATE INDEX ix_runs_enrolled_namespace_name_created_at ON runs (enrolled, namespace, name, created_at) "
        "WHERE enrolled IS NOT NULL"
    )
