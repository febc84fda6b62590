"""Who may do what: organisation, accounts, users, tokens, secrets, audit, idempotency."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE audit_entries (id bigint)")
    op.execute("CREATE TABLE audit_seals (id bigint)")
