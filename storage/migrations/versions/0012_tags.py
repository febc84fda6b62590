"""Tags: who holds which by which rule and why, when time alone may change that, and what people decided; grades."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE customer_tags (
    customer_id uuid NOT NULL,
    rule varchar NOT NULL,
    tag varchar NOT NULL,
    version varchar NOT NULL,
    held boolean NOT NULL,
    turn integer NOT NULL,
    since timestamptz NOT NULL,
    why jsonb NOT NULL,
    CONSTRAINT pk_customer_tags PRIMARY KEY (customer_id, rule),
    CONSTRAINT fk_customer_tags_customer_id FOREIGN KEY(customer_id) REFERENCES customers (id) ON DELETE CASCADE
);
CREATE INDEX ix_customer_tags_held_tag_customer_id ON customer_tags (tag, customer_id) WHERE held;

CREATE TABLE tag_checks (
    rule varchar NOT NULL,
    customer_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    CONSTRAINT pk_tag_checks PRIMARY KEY (customer_id, rule),
    CONSTRAINT fk_tag_checks_customer_id FOREIGN KEY(customer_id) REFERENCES customers (id) ON DELETE CASCADE
);
CREATE INDEX ix_tag_checks_due_at ON tag_checks (due_at);

CREATE TABLE tag_marks (
    id uuid DEFAULT uuidv7() NOT NULL,
    identity_id bigint NOT NULL,
    tag varchar NOT NULL,
    kind varchar NOT NULL,
    source varchar NOT NULL,
    actor varchar NOT NULL,
    reason varchar NOT NULL,
    marked_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by varchar,
    CONSTRAINT pk_tag_marks PRIMARY KEY (id),
    CONSTRAINT fk_tag_marks_identity_id FOREIGN KEY(identity_id) REFERENCES identities (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_tag_marks_open_identity_id_tag_kind_source ON tag_marks (identity_id, tag, kind, source)
    WHERE ended_at IS NULL;
CREATE INDEX ix_tag_marks_open_tag ON tag_marks (tag) WHERE ended_at IS NULL;

CREATE TABLE customer_grades (
    customer_id uuid NOT NULL,
    grading varchar NOT NULL,
    version varchar NOT NULL,
    grade varchar,
    score integer NOT NULL,
    turn integer NOT NULL,
    since timestamptz NOT NULL,
    why jsonb NOT NULL,
    CONSTRAINT pk_customer_grades PRIMARY KEY (customer_id, grading),
    CONSTRAINT fk_customer_grades_customer_id FOREIGN KEY(customer_id) REFERENCES customers (id) ON DELETE CASCADE
);
CREATE INDEX ix_customer_grades_grading_grade ON customer_grades (grading, grade);

CREATE TABLE grading_breaks (
    grading varchar NOT NULL,
    version varchar NOT NULL,
    days bigint[] NOT NULL,
    orders bigint[] NOT NULL,
    kept_minor bigint[] NOT NULL,
    measured_at timestamptz NOT NULL,
    CONSTRAINT pk_grading_breaks PRIMARY KEY (grading)
);

CREATE TABLE tag_backfills (
    rule varchar NOT NULL,
    digest varchar NOT NULL,
    version varchar NOT NULL,
    cursor uuid,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    seen bigint NOT NULL,
    gained bigint NOT NULL,
    lost bigint NOT NULL,
    CONSTRAINT pk_tag_backfills PRIMARY KEY (rule)
);
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
