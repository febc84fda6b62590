"""The tags that a platform and Tandem agreed on last, at each contact; from when on an answer counts."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE lookups ADD COLUMN tags jsonb, ADD COLUMN settles_at timestamptz")
    op.execute("UPDATE lookups SET settles_at = coalesce(due_at, as_of)")
    op.execute("ALTER TABLE lookups ALTER COLUMN settles_at SET NOT NULL, DROP COLUMN asks")
