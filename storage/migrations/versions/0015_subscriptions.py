"""Subscriptions to the stream of events, their dead letters, and the transaction that wrote each event."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default is stable, not volatile: rows that are there get this transaction's number without a rewrite.
    op.execute(
        "ALTER TABLE events ADD COLUMN written_in bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint"
    )
    op.execute("CREATE INDEX ix_events_written_in_seq ON events (written_in, seq)")
    op.execute(
        """
        CREATE TABLE subscriptions (
            id uuid DEFAULT uuidv7() NOT NULL CONSTRAINT pk_subscriptions PRIMARY KEY,
            name varchar NOT NULL,
            url varchar NOT NULL,
            types text[] NOT NULL,
            accounts text[] NOT NULL,
            masked boolean NOT NULL,
            batched boolean NOT NULL,
            secret bytea NOT NULL,
            created_at timestamptz NOT NULL,
            created_by varchar NOT NULL,
            paused_at timestamptz,
            cursor_xact bigint NOT NULL,
            cursor bigint NOT NULL,
            delivered bigint NOT NULL,
            attempts integer NOT NULL,
            next_attempt_at timestamptz NOT NULL,
            claims bigint NOT NULL,
            problem varchar,
            problem_at timestamptz
        )
        """
    )
    op.execute(
        """
        CREATE TABLE dead_letters (
            subscription_id uuid NOT NULL
                CONSTRAINT fk_dead_letters_subscription_id_subscriptions
                REFERENCES subscriptions (id) ON DELETE CASCADE,
            seq bigint NOT NULL
                CONSTRAINT fk_dead_letters_seq_events REFERENCES events (seq) ON DELETE CASCADE,
            reason varchar NOT NULL,
            attempts integer NOT NULL,
            failed_at timestamptz NOT NULL,
            redriven_at timestamptz,
            CONSTRAINT pk_dead_letters PRIMARY KEY (subscription_id, seq)
        )
        """
    )
    op.execute("CREATE INDEX ix_dead_letters_seq ON dead_letters (seq)")
    op.execute(
        "CREATE INDEX ix_dead_letters_redriven ON dead_letters (subscription_id, seq) WHERE redriven_at IS NOT NULL"
    )
