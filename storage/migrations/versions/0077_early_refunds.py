"""Refunds that a trade bill tells before the bill of the payment could be read."""

from alembic import op

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE early_refunds (
            merchant varchar NOT NULL,
            transaction_id varchar(32) NOT NULL,
            amount_minor bigint NOT NULL,
            told_at timestamptz NOT NULL,
            CONSTRAINT pk_early_refunds PRIMARY KEY (merchant, transaction_id)
        )
        """
    )
