"""Touches of customers."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE touches (
            id uuid DEFAULT uuidv7() CONSTRAINT pk_touches PRIMARY KEY,
            key varchar NOT NULL CONSTRAINT uq_touches_key UNIQUE,
            channel varchar NOT NULL,
            recipient varchar NOT NULL,
            purpose varchar NOT NULL,
            run_id varchar NOT NULL,
            reference varchar NOT NULL,
            template varchar,
            skipped_reason varchar,
            message_id varchar,
            at timestamptz NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX ix_touches_channel_recipient_at ON touches (channel, recipient, at)")
