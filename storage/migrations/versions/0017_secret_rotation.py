"""The secret of a subscription that was there before, while receivers change over."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE subscriptions ADD COLUMN previous_secret bytea, ADD COLUMN previous_until timestamptz")
