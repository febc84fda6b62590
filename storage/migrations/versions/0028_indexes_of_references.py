"""What points at a decision, an erasure or a text is found by it: PostgreSQL looks for it when one is deleted."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_identity_suggestions_decision_id ON identity_suggestions (decision_id)")
    op.execute("CREATE INDEX ix_definition_versions_digest ON definition_versions (digest)")
    op.execute("CREATE INDEX ix_erased_keys_erasure_id ON erased_keys (erasure_id)")
