"""Events with their outbox, what triggers still wait for, and the inbox of platforms' pushes."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    source varchar NOT NULL,
    event_id varchar NOT NULL,
    type varchar NOT NULL,
    subjects text[] NOT NULL,
    envelope bytea NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (seq),
    CONSTRAINT uq_events_source_event_id UNIQUE (source, event_id)
);
CREATE INDEX ix_events_subjects ON events USING gin (subjects);
CREATE INDEX ix_events_type_seq ON events (type, seq);

CREATE TABLE event_outbox (
    seq bigint NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    cursor varchar NOT NULL,
    reason varchar,
    parked_at timestamptz,
    CONSTRAINT pk_event_outbox PRIMARY KEY (seq),
    CONSTRAINT fk_event_outbox_seq FOREIGN KEY(seq) REFERENCES events (seq) ON DELETE CASCADE
);
CREATE INDEX ix_event_outbox_due_at_seq ON event_outbox (due_at, seq) WHERE parked_at IS NULL;
CREATE INDEX ix_event_outbox_parked_seq ON event_outbox (seq) WHERE parked_at IS NOT NULL;

CREATE TABLE trigger_matches (
    namespace varchar NOT NULL,
    name varchar NOT NULL,
    version varchar NOT NULL,
    keys varchar NOT NULL,
    position smallint NOT NULL,
    seq bigint NOT NULL,
    run_id varchar,
    CONSTRAINT pk_trigger_matches PRIMARY KEY (namespace, name, version, keys, position, seq),
    CONSTRAINT fk_trigger_matches_seq FOREIGN KEY(seq) REFERENCES events (seq) ON DELETE CASCADE
);
CREATE INDEX ix_trigger_matches_seq ON trigger_matches (seq);

CREATE TABLE inbox (
    id bigint GENERATED ALWAYS AS IDENTITY,
    platform varchar NOT NULL,
    account varchar NOT NULL,
    dedupe_key varchar NOT NULL,
    kind varchar NOT NULL,
    payload bytea NOT NULL,
    sent_at timestamptz,
    received_at timestamptz NOT NULL,
    state varchar NOT NULL,
    reason varchar,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_inbox PRIMARY KEY (id),
    CONSTRAINT uq_inbox_platform_account_dedupe_key UNIQUE (platform, account, dedupe_key)
);
CREATE INDEX ix_inbox_quarantined_id ON inbox (id) WHERE state = 'quarantined';
CREATE INDEX ix_inbox_waiting_id ON inbox (id) WHERE state = 'waiting';
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
