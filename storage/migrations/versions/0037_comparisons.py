"""Comparisons that can be gone on with, that tell why they stopped, and that look at more."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE comparisons
            ADD COLUMN unread integer DEFAULT 0 NOT NULL,
            ADD COLUMN parts jsonb DEFAULT '{}' NOT NULL,
            ADD COLUMN cursor jsonb,
            ADD COLUMN problem varchar,
            ADD COLUMN begun_at timestamptz
        """
    )
    op.execute("UPDATE comparisons SET begun_at = compared_at")
    op.execute(
        """
        ALTER TABLE comparisons
            ALTER COLUMN unread DROP DEFAULT,
            ALTER COLUMN parts DROP DEFAULT,
            ALTER COLUMN begun_at SET NOT NULL
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX ix_comparisons_account_id_stream ON comparisons (account_id, stream) "
        "WHERE cursor IS NOT NULL"
    )
