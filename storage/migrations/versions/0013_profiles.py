"""Profiles: a customer's orders and touches by time, names that are found again; erasures and the keys they erased."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE INDEX ix_orders_identity_id_told_at ON orders (identity_id, told_at);
CREATE INDEX ix_touches_recipient_at ON touches (recipient, at);

ALTER TABLE interactions ADD COLUMN names bytea[];
CREATE INDEX ix_interactions_names ON interactions USING gin (names) WHERE names IS NOT NULL;

CREATE TABLE erasures (
    id uuid DEFAULT uuidv7() NOT NULL,
    customer_id uuid NOT NULL,
    identities bigint[] NOT NULL,
    names uuid[] NOT NULL,
    requested_by varchar NOT NULL,
    requested_at timestamptz NOT NULL,
    step varchar NOT NULL,
    cursor varchar NOT NULL,
    round smallint NOT NULL,
    due_at timestamptz,
    changed jsonb NOT NULL,
    problem varchar,
    ended_at timestamptz,
    CONSTRAINT pk_erasures PRIMARY KEY (id),
    CONSTRAINT uq_erasures_customer_id UNIQUE (customer_id),
    CONSTRAINT fk_erasures_customer_id FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE INDEX ix_erasures_due_at ON erasures (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE erased_keys (
    key_id varchar NOT NULL,
    digest bytea NOT NULL,
    erasure_id uuid NOT NULL,
    CONSTRAINT pk_erased_keys PRIMARY KEY (digest),
    CONSTRAINT fk_erased_keys_erasure_id FOREIGN KEY(erasure_id) REFERENCES erasures (id)
);
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
