"""Who was invited by whom."""

from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE invitations (
            id bigint GENERATED ALWAYS AS IDENTITY,
            identity_id bigint NOT NULL,
            payee integer,
            by_identity_id bigint,
            at timestamptz NOT NULL,
            source varchar NOT NULL,
            recorded_at timestamptz NOT NULL,
            made_by varchar NOT NULL,
            CONSTRAINT pk_invitations PRIMARY KEY (id),
            CONSTRAINT fk_invitations_identity_id FOREIGN KEY (identity_id) REFERENCES identities (id) ON DELETE CASCADE,
            CONSTRAINT fk_invitations_payee_payees FOREIGN KEY (payee) REFERENCES payees (id),
            CONSTRAINT fk_invitations_by_identity_id
                FOREIGN KEY (by_identity_id) REFERENCES identities (id) ON DELETE SET NULL,
            CONSTRAINT uq_invitations_identity_id_payee_by_identity_id_at
                UNIQUE NULLS NOT DISTINCT (identity_id, payee, by_identity_id, at),
            CONSTRAINT ck_invitations_one_inviter CHECK (payee IS NULL OR by_identity_id IS NULL)
        )
        """
    )
    op.execute("CREATE INDEX ix_invitations_payee ON invitations (payee)")
    op.execute("CREATE INDEX ix_invitations_by_identity_id ON invitations (by_identity_id)")
