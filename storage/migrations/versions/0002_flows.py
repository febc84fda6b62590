"""Definitions, their releases and the runs of flows."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE definition_texts (
    digest varchar NOT NULL,
    text text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_definition_texts PRIMARY KEY (digest)
);

CREATE TABLE definition_versions (
    kind varchar NOT NULL,
    namespace varchar NOT NULL,
    name varchar NOT NULL,
    version varchar NOT NULL,
    digest varchar NOT NULL,
    title varchar NOT NULL,
    author varchar NOT NULL,
    uploaded_at timestamptz NOT NULL,
    published_by varchar,
    published_at timestamptz,
    properties jsonb NOT NULL,
    CONSTRAINT pk_definition_versions PRIMARY KEY (kind, namespace, name, version),
    CONSTRAINT fk_definition_versions_digest FOREIGN KEY(digest) REFERENCES definition_texts (digest)
);

CREATE TABLE releases (
    id bigint GENERATED ALWAYS AS IDENTITY,
    namespace varchar NOT NULL,
    name varchar NOT NULL,
    action varchar NOT NULL,
    stable varchar,
    candidate varchar,
    share_percent float NOT NULL,
    actor varchar NOT NULL,
    reason varchar,
    at timestamptz NOT NULL,
    CONSTRAINT pk_releases PRIMARY KEY (id)
);
CREATE INDEX ix_releases_namespace_name_id ON releases (namespace, name, id);

CREATE TABLE triggers (
    namespace varchar NOT NULL,
    name varchar NOT NULL,
    version varchar NOT NULL,
    consumption jsonb NOT NULL,
    CONSTRAINT pk_triggers PRIMARY KEY (namespace, name, version)
);

CREATE TABLE runs (
    unit_path varchar COLLATE "C" DEFAULT '/' NOT NULL,
    account_id varchar,
    customer_owner varchar,
    id varchar NOT NULL,
    namespace varchar NOT NULL,
    name varchar NOT NULL,
    version varchar NOT NULL,
    digest varchar NOT NULL,
    subject varchar NOT NULL,
    subjects text[] NOT NULL,
    listens text[] NOT NULL,
    customer varchar,
    ticket varchar,
    phase varchar NOT NULL,
    attempt integer NOT NULL,
    parent_id varchar,
    started_by varchar NOT NULL,
    input bytea,
    input_digest varchar NOT NULL,
    trigger bytea,
    output bytea,
    error bytea,
    continuation bytea,
    tasks bytea,
    dropped_tasks integer NOT NULL,
    created_at timestamptz NOT NULL,
    not_before timestamptz,
    start_due_at timestamptz,
    start_attempts integer NOT NULL,
    start_problem varchar,
    started_at timestamptz,
    reported_at timestamptz,
    checked_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT pk_runs PRIMARY KEY (id)
);
CREATE INDEX ix_runs_account_id_created_at_id ON runs (account_id, created_at, id);
CREATE INDEX ix_runs_created_at_id ON runs (created_at, id);
CREATE INDEX ix_runs_customer_created_at_id ON runs (customer, created_at, id);
CREATE INDEX ix_runs_customer_owner_created_at_id ON runs (customer_owner, created_at, id);
CREATE INDEX ix_runs_namespace_name_created_at_id ON runs (namespace, name, created_at, id);
CREATE INDEX ix_runs_open_checked_at ON runs (checked_at) WHERE ended_at IS NULL;
CREATE INDEX ix_runs_open_listens ON runs USING gin (listens) WHERE ended_at IS NULL;
CREATE INDEX ix_runs_open_without_subject ON runs USING gin (listens) WHERE ended_at IS NULL AND subjects = '{}';
CREATE INDEX ix_runs_start_due_at ON runs (start_due_at) WHERE start_due_at IS NOT NULL;
CREATE INDEX ix_runs_subjects ON runs USING gin (subjects);
CREATE INDEX ix_runs_ticket_created_at_id ON runs (ticket, created_at, id);
CREATE INDEX ix_runs_unit_path_created_at_id ON runs (unit_path, created_at, id);
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
