"""A message that is about to go out counts already: of several at the same moment only so many go as the caps let."""

from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE touches ADD COLUMN pending boolean NOT NULL DEFAULT false")
