"""Bills of platforms, line by line; what they have in common with our books, and where they differ."""

from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE bill_terms (
    account varchar NOT NULL CONSTRAINT pk_bill_terms PRIMARY KEY,
    shops varchar[] NOT NULL,
    fee_bps integer CONSTRAINT ck_bill_terms_fee CHECK (fee_bps BETWEEN 0 AND 10000),
    window_days smallint NOT NULL CONSTRAINT ck_bill_terms_window CHECK (window_days BETWEEN 1 AND 15),
    changed_by varchar NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT fk_bill_terms_account_accounts FOREIGN KEY (account) REFERENCES accounts (id)
);

CREATE TABLE bills (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_bills PRIMARY KEY,
    account varchar NOT NULL,
    day date NOT NULL,
    kind varchar NOT NULL,
    source varchar NOT NULL,
    digest varchar,
    rows integer NOT NULL,
    in_minor bigint NOT NULL,
    out_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    taken_by varchar NOT NULL,
    taken_at timestamptz NOT NULL,
    CONSTRAINT uq_bills_account_day_kind UNIQUE (account, day, kind),
    CONSTRAINT fk_bills_account_accounts FOREIGN KEY (account) REFERENCES accounts (id)
);

CREATE INDEX ix_bills_day_id ON bills (day, id);

CREATE TABLE bill_lines (
    bill integer NOT NULL,
    line integer NOT NULL,
    kind varchar NOT NULL,
    direction varchar NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT ck_bill_lines_amount CHECK (amount_minor >= 0),
    fee_minor bigint NOT NULL,
    at timestamptz NOT NULL,
    number varchar,
    channel_number varchar,
    CONSTRAINT pk_bill_lines PRIMARY KEY (bill, line, kind),
    CONSTRAINT fk_bill_lines_bill_bills FOREIGN KEY (bill) REFERENCES bills (id)
);

CREATE INDEX ix_bill_lines_number ON bill_lines (number) WHERE number IS NOT NULL;

CREATE INDEX ix_bill_lines_channel_number ON bill_lines (channel_number) WHERE channel_number IS NOT NULL;

CREATE FUNCTION refuse_change_of_bill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a bill is never revised' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER never_revised BEFORE UPDATE OR DELETE OR TRUNCATE ON bills
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_bill();

CREATE TRIGGER never_revised BEFORE UPDATE OR DELETE OR TRUNCATE ON bill_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_bill();

CREATE TABLE bill_matches (
    bill integer NOT NULL,
    line integer NOT NULL,
    kind varchar NOT NULL,
    account varchar NOT NULL,
    day date NOT NULL,
    family varchar NOT NULL,
    shop varchar NOT NULL,
    number varchar NOT NULL,
    rule varchar NOT NULL,
    CONSTRAINT pk_bill_matches PRIMARY KEY (bill, line, kind, shop, number),
    CONSTRAINT fk_bill_matches_bill_bills FOREIGN KEY (bill) REFERENCES bills (id)
);

CREATE INDEX ix_bill_matches_account_day ON bill_matches (account, day);

CREATE INDEX ix_bill_matches_number_family ON bill_matches (number, family);

CREATE TABLE reconciliations (
    account varchar NOT NULL,
    day date NOT NULL,
    rows integer NOT NULL,
    matched integer NOT NULL,
    breaks integer NOT NULL,
    digest varchar NOT NULL,
    not_compared varchar[] NOT NULL,
    done_at timestamptz NOT NULL,
    CONSTRAINT pk_reconciliations PRIMARY KEY (account, day),
    CONSTRAINT fk_reconciliations_account_accounts FOREIGN KEY (account) REFERENCES accounts (id)
);

CREATE TABLE breaks (
    id uuid NOT NULL CONSTRAINT pk_breaks PRIMARY KEY,
    account varchar NOT NULL,
    day date NOT NULL,
    kind varchar NOT NULL,
    family varchar NOT NULL,
    shop varchar,
    number varchar,
    lines jsonb NOT NULL,
    our_minor bigint NOT NULL,
    their_minor bigint NOT NULL,
    suggestion varchar,
    state varchar NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    assignee varchar,
    ticket varchar,
    reason varchar,
    note varchar,
    explained_by varchar,
    explained_at timestamptz,
    solved_by varchar,
    solved_at timestamptz,
    CONSTRAINT ck_breaks_second_person CHECK (solved_by <> explained_by),
    CONSTRAINT fk_breaks_account_accounts FOREIGN KEY (account) REFERENCES accounts (id)
);

CREATE INDEX ix_breaks_account_day ON breaks (account, day);

CREATE INDEX ix_breaks_day_id ON breaks (day, id);

CREATE INDEX ix_breaks_number ON breaks (number);

CREATE INDEX ix_orders_account_id_paid_at ON orders (account_id, paid_at) WHERE paid_at IS NOT NULL;

CREATE INDEX ix_refunds_account_id_refunded_at ON refunds (account_id, refunded_at) WHERE refunded_at IS NOT NULL
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
