"""Human tasks, and the ledger of effects on the outside."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE human_tasks (
    unit_path varchar COLLATE "C" DEFAULT '/' NOT NULL,
    account_id varchar,
    customer_owner varchar,
    id varchar NOT NULL,
    run_id varchar NOT NULL,
    name varchar NOT NULL,
    reference varchar NOT NULL,
    subject varchar NOT NULL,
    queue varchar NOT NULL,
    title bytea NOT NULL,
    form_name varchar,
    form jsonb NOT NULL,
    data bytea NOT NULL,
    urgency smallint NOT NULL,
    due_at timestamptz,
    due_sort timestamptz NOT NULL,
    state varchar NOT NULL,
    before_suspension varchar,
    assignee varchar,
    excluded text[] NOT NULL,
    draft bytea,
    output bytea,
    comment bytea,
    version integer NOT NULL,
    opened_at timestamptz NOT NULL,
    claimed_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    changed_at timestamptz NOT NULL,
    changed_by varchar NOT NULL,
    CONSTRAINT pk_human_tasks PRIMARY KEY (id)
);
CREATE INDEX ix_human_tasks_account_id ON human_tasks (account_id);
CREATE INDEX ix_human_tasks_customer_owner ON human_tasks (customer_owner);
CREATE INDEX ix_human_tasks_open_assignee ON human_tasks (assignee, urgency, due_sort, id) WHERE ended_at IS NULL;
CREATE INDEX ix_human_tasks_open_queue ON human_tasks (queue, urgency, due_sort, id) WHERE ended_at IS NULL;
CREATE INDEX ix_human_tasks_run_id ON human_tasks (run_id);
CREATE INDEX ix_human_tasks_subject ON human_tasks (subject);
CREATE INDEX ix_human_tasks_unit_path ON human_tasks (unit_path);
CREATE INDEX ix_human_tasks_urgency_due_sort_id ON human_tasks (urgency, due_sort, id);

CREATE TABLE human_task_commands (
    task_id varchar NOT NULL,
    key varchar NOT NULL,
    action varchar NOT NULL,
    actor varchar NOT NULL,
    digest varchar NOT NULL,
    version integer NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_human_task_commands PRIMARY KEY (task_id, key),
    CONSTRAINT fk_human_task_commands_task_id FOREIGN KEY(task_id) REFERENCES human_tasks (id) ON DELETE CASCADE
);

CREATE TABLE effects (
    key varchar NOT NULL,
    call varchar NOT NULL,
    request_digest varchar NOT NULL,
    run_id varchar NOT NULL,
    reference varchar NOT NULL,
    state varchar NOT NULL,
    attempts integer NOT NULL,
    answer bytea,
    started_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_effects PRIMARY KEY (key)
);
CREATE INDEX ix_effects_run_id ON effects (run_id);
CREATE INDEX ix_effects_unsettled ON effects (changed_at) WHERE state IN ('started', 'unknown');
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
