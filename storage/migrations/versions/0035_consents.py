"""What people agreed to hear about and took back."""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE consents (
            id bigint GENERATED ALWAYS AS IDENTITY,
            identity_id bigint NOT NULL,
            account_id varchar,
            number varchar NOT NULL,
            purpose varchar NOT NULL,
            channel varchar,
            state varchar NOT NULL,
            source varchar NOT NULL,
            at timestamptz NOT NULL,
            recorded_at timestamptz NOT NULL,
            made_by varchar,
            CONSTRAINT pk_consents PRIMARY KEY (id),
            CONSTRAINT fk_consents_identity_id FOREIGN KEY (identity_id) REFERENCES identities (id) ON DELETE CASCADE,
            CONSTRAINT uq_consents_identity_id_account_id_number
                UNIQUE NULLS NOT DISTINCT (identity_id, account_id, number)
        )
        """
    )
