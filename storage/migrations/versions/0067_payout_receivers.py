"""To whom a payout goes, as it was when it was planned and approved."""

from alembic import op

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE payout_receivers (
            payout bigint NOT NULL,
            details bytea NOT NULL,
            CONSTRAINT pk_payout_receivers PRIMARY KEY (payout),
            CONSTRAINT fk_payout_receivers_payout_payouts
                FOREIGN KEY (payout) REFERENCES payouts (id) ON DELETE CASCADE
        )
        """
    )
