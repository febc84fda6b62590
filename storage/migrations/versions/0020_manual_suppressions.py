"""Suppressions that people make: who and why, and one article of two shops told apart."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE suppressions ADD COLUMN note varchar, ADD COLUMN made_by varchar")
    op.execute("ALTER TABLE suppressions DROP CONSTRAINT uq_suppressions_refund_key_item_id")
    op.execute(
        "ALTER TABLE suppressions ADD CONSTRAINT uq_suppressions_refund_key_account_id_item_id "
        "UNIQUE NULLS NOT DISTINCT (refund_key, account_id, item_id, identity_id)"
    )
