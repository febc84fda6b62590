"""The marks of a key are found by it, also those that ended: an erasure deletes them with the key."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_tag_marks_identity_id ON tag_marks (identity_id)")
