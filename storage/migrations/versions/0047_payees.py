"""Payees and whom they are known by, whose an order is, and which orders are to be looked at."""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE sales
    ADD COLUMN foreign_minor bigint NOT NULL,
    ADD COLUMN currency integer NOT NULL;

CREATE INDEX ix_sales_order_key ON sales (order_key);

CREATE TABLE payees (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_payees PRIMARY KEY,
    code varchar NOT NULL CONSTRAINT uq_payees_code UNIQUE,
    name bytea NOT NULL,
    role varchar NOT NULL,
    cycle varchar,
    active boolean NOT NULL,
    details bytea,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    unit_path varchar COLLATE "C" NOT NULL DEFAULT '/',
    account_id varchar,
    customer_owner varchar
);

CREATE INDEX ix_payees_unit_path_code ON payees (unit_path, code);

CREATE TABLE payee_uplines (
    payee integer NOT NULL,
    since date NOT NULL,
    upline integer,
    set_at timestamptz NOT NULL,
    set_by varchar NOT NULL,
    CONSTRAINT pk_payee_uplines PRIMARY KEY (payee, since),
    CONSTRAINT fk_payee_uplines_payee_payees FOREIGN KEY (payee) REFERENCES payees (id),
    CONSTRAINT fk_payee_uplines_upline_payees FOREIGN KEY (upline) REFERENCES payees (id),
    CONSTRAINT ck_payee_uplines_another CHECK (upline <> payee)
);

CREATE INDEX ix_payee_uplines_upline ON payee_uplines (upline);

CREATE TABLE payee_keys (
    kind varchar NOT NULL,
    value varchar NOT NULL,
    payee integer NOT NULL,
    since date NOT NULL,
    until date,
    share integer NOT NULL,
    set_at timestamptz NOT NULL,
    set_by varchar NOT NULL,
    CONSTRAINT pk_payee_keys PRIMARY KEY (kind, value, payee, since),
    CONSTRAINT fk_payee_keys_payee_payees FOREIGN KEY (payee) REFERENCES payees (id),
    CONSTRAINT ck_payee_keys_share CHECK (share BETWEEN 1 AND 10000),
    CONSTRAINT ck_payee_keys_days CHECK (since < until)
);

CREATE INDEX ix_payee_keys_payee ON payee_keys (payee);

CREATE TABLE attributions (
    order_key bigint NOT NULL,
    role varchar NOT NULL,
    payee integer NOT NULL,
    turn smallint NOT NULL,
    share integer NOT NULL,
    way varchar NOT NULL,
    evidence varchar NOT NULL,
    rules varchar,
    decided_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT pk_attributions PRIMARY KEY (order_key, role, turn, payee),
    CONSTRAINT fk_attributions_payee_payees FOREIGN KEY (payee) REFERENCES payees (id),
    CONSTRAINT ck_attributions_share CHECK (share BETWEEN 1 AND 10000)
);

CREATE INDEX ix_attributions_payee_decided_at ON attributions (payee, decided_at);

CREATE TABLE sold_orders (
    order_key bigint NOT NULL CONSTRAINT pk_sold_orders PRIMARY KEY,
    is_first boolean,
    paid_on date,
    completed_on date,
    problem varchar,
    counted_at timestamptz NOT NULL
);

CREATE INDEX ix_sold_orders_problem ON sold_orders (problem, order_key) WHERE problem IS NOT NULL;

CREATE TABLE sale_queue (
    order_key bigint NOT NULL CONSTRAINT pk_sale_queue PRIMARY KEY,
    queued_at timestamptz NOT NULL
);

CREATE INDEX ix_sale_queue_queued_at ON sale_queue (queued_at);

CREATE TABLE sale_sweeps (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_sale_sweeps PRIMARY KEY,
    since date NOT NULL,
    cursor bigint NOT NULL,
    reason varchar NOT NULL,
    asked_at timestamptz NOT NULL,
    done_at timestamptz
);

CREATE INDEX ix_sale_sweeps_open ON sale_sweeps (id) WHERE done_at IS NULL;

CREATE TABLE sale_corrections (
    id uuid NOT NULL DEFAULT uuidv7() CONSTRAINT pk_sale_corrections PRIMARY KEY,
    order_key bigint NOT NULL,
    order_id varchar NOT NULL,
    role varchar NOT NULL,
    shares jsonb NOT NULL,
    reason varchar NOT NULL,
    state varchar NOT NULL,
    asked_by varchar NOT NULL,
    asked_at timestamptz NOT NULL,
    decided_by varchar,
    decided_at timestamptz,
    note varchar,
    unit_path varchar COLLATE "C" NOT NULL DEFAULT '/',
    account_id varchar,
    customer_owner varchar,
    CONSTRAINT ck_sale_corrections_second_person CHECK (decided_by <> asked_by)
);

CREATE UNIQUE INDEX uq_sale_corrections_open ON sale_corrections (order_key, role) WHERE state = 'asked';

CREATE INDEX ix_sale_corrections_state_asked_at_id ON sale_corrections (state, asked_at, id);

CREATE TABLE exchange_rates (
    currency varchar(3) NOT NULL,
    day date NOT NULL,
    rate numeric(20, 10) NOT NULL CONSTRAINT ck_exchange_rates_rate CHECK (rate > 0),
    set_at timestamptz NOT NULL,
    set_by varchar NOT NULL,
    CONSTRAINT pk_exchange_rates PRIMARY KEY (currency, day)
)
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
