"""What a payee needs to confirm a payout is encrypted, and says by when; the rail is asked again for what waits now."""

from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE payouts DROP COLUMN confirmation")
    op.execute("ALTER TABLE payouts ADD COLUMN confirmation bytea")
