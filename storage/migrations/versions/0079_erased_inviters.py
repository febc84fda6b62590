"""Invitations of inviters who were erased are many, and none of them stands for another."""

from alembic import op

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE invitations DROP CONSTRAINT uq_invitations_identity_id_payee_by_identity_id_at")
    op.execute(
        """
        CREATE UNIQUE INDEX uq_invitations_of_inviters ON invitations (identity_id, payee, by_identity_id, at)
            NULLS NOT DISTINCT WHERE payee IS NOT NULL OR by_identity_id IS NOT NULL
        """
    )
