"""Whether a bill tells of all that moved: those that were taken so far are of the basic account alone."""

from alembic import op

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE bills ADD COLUMN whole boolean NOT NULL DEFAULT false")
