"""Whom platforms have to be asked about."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE lookups (
            identity_id bigint NOT NULL CONSTRAINT pk_lookups PRIMARY KEY
                CONSTRAINT fk_lookups_identity_id_identities REFERENCES identities (id) ON DELETE CASCADE,
            platform varchar NOT NULL,
            account_id varchar NOT NULL,
            due_at timestamptz,
            as_of timestamptz NOT NULL,
            asks bigint NOT NULL,
            claimed_until timestamptz,
            attempts integer NOT NULL,
            problem varchar,
            answered_at timestamptz
        )
        """
    )
    op.execute("CREATE INDEX ix_lookups_platform_due_at ON lookups (platform, due_at) WHERE due_at IS NOT NULL")
