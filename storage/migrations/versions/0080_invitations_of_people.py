"""Invitations are found by who was invited: the index behind that went with the constraint that 0079 replaced."""

from alembic import op

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_invitations_identity_id_at", "invitations", ["identity_id", "at"])
