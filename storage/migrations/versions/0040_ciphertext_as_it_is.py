"""Pushes and events keep their ciphertext as it is: nothing compresses it, and PostgreSQL tried for every long one.

An event never changes, so up to half a page of it stays in its row. A push changes its state, which copies its row: what
is long in it stays beside.
"""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE inbox ALTER COLUMN payload SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE events ALTER COLUMN envelope SET STORAGE EXTERNAL, SET (toast_tuple_target = 4080)")
