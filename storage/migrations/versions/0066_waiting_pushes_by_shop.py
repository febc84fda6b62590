"""Waiting pushes by shop: every marketing message asks for those of the shops that it is about."""

from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_inbox_waiting_shop ON inbox (platform, account, received_at) WHERE state = 'waiting'")
