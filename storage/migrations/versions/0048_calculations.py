"""Calculations of settlement: who took part, what they earned, and how far each part is; facts that payees are paid by."""

from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE payee_facts (
    seq bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_payee_facts PRIMARY KEY,
    payee integer NOT NULL,
    name varchar NOT NULL,
    day date NOT NULL,
    amount integer NOT NULL,
    key varchar NOT NULL,
    noted_at timestamptz NOT NULL,
    noted_by varchar NOT NULL,
    CONSTRAINT uq_payee_facts_name_key UNIQUE (name, key),
    CONSTRAINT fk_payee_facts_payee_payees FOREIGN KEY (payee) REFERENCES payees (id)
);

CREATE INDEX ix_payee_facts_payee_day ON payee_facts (payee, day);

CREATE INDEX ix_payee_facts_day_name ON payee_facts (day, name);

CREATE TRIGGER only_insert BEFORE UPDATE OR DELETE ON payee_facts
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_sales();

CREATE TRIGGER only_insert_all BEFORE TRUNCATE ON payee_facts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_sales();

CREATE TABLE settlement_calculations (
    id uuid NOT NULL CONSTRAINT pk_settlement_calculations PRIMARY KEY,
    scheme varchar NOT NULL,
    version varchar NOT NULL,
    text_digest varchar NOT NULL,
    cycle varchar NOT NULL,
    start date NOT NULL,
    "end" date NOT NULL,
    purpose varchar NOT NULL,
    state varchar NOT NULL,
    asked_by varchar NOT NULL,
    asked_at timestamptz NOT NULL,
    components varchar[] NOT NULL,
    parts smallint NOT NULL,
    sales_upto bigint,
    facts_upto bigint,
    rates jsonb,
    members integer,
    frozen_at timestamptz,
    computed_at timestamptz,
    digest varchar,
    total_minor bigint,
    problem jsonb,
    CONSTRAINT ck_settlement_calculations_days CHECK (start < "end")
);

CREATE INDEX ix_settlement_calculations_asked_at_id ON settlement_calculations (asked_at, id);

CREATE INDEX ix_settlement_calculations_scheme_start ON settlement_calculations (scheme, start);

CREATE INDEX ix_settlement_calculations_unfinished ON settlement_calculations (asked_at)
    WHERE state IN ('asked', 'frozen');

CREATE INDEX ix_settlement_calculations_tried ON settlement_calculations (asked_at)
    WHERE purpose IN ('preview', 'what-if');

CREATE TABLE settlement_members (
    calculation uuid NOT NULL,
    part smallint NOT NULL,
    payee integer NOT NULL,
    role varchar NOT NULL,
    uplines integer[] NOT NULL,
    CONSTRAINT pk_settlement_members PRIMARY KEY (calculation, part, payee),
    CONSTRAINT fk_settlement_members_calculation_settlement_calculations
        FOREIGN KEY (calculation) REFERENCES settlement_calculations (id) ON DELETE CASCADE
);

CREATE TABLE settlement_earnings (
    calculation uuid NOT NULL,
    base bigint NOT NULL,
    amount_minor bigint NOT NULL,
    payee integer NOT NULL,
    part smallint NOT NULL,
    pass smallint NOT NULL,
    component smallint NOT NULL,
    CONSTRAINT pk_settlement_earnings PRIMARY KEY (calculation, part, pass, payee, component),
    CONSTRAINT fk_settlement_earnings_calculation_settlement_calculations
        FOREIGN KEY (calculation) REFERENCES settlement_calculations (id) ON DELETE CASCADE
);

CREATE TABLE settlement_passed (
    calculation uuid NOT NULL,
    base bigint NOT NULL,
    earned bigint NOT NULL,
    upline integer NOT NULL,
    to_part smallint NOT NULL,
    from_part smallint NOT NULL,
    component smallint NOT NULL,
    level smallint NOT NULL,
    CONSTRAINT pk_settlement_passed PRIMARY KEY (calculation, to_part, from_part, upline, component, level),
    CONSTRAINT fk_settlement_passed_calculation_settlement_calculations
        FOREIGN KEY (calculation) REFERENCES settlement_calculations (id) ON DELETE CASCADE
);

CREATE TABLE settlement_parts (
    calculation uuid NOT NULL,
    pass smallint NOT NULL,
    part smallint NOT NULL,
    digest varchar NOT NULL,
    payees integer NOT NULL,
    amount_minor bigint NOT NULL,
    done_at timestamptz NOT NULL,
    CONSTRAINT pk_settlement_parts PRIMARY KEY (calculation, pass, part),
    CONSTRAINT fk_settlement_parts_calculation_settlement_calculations
        FOREIGN KEY (calculation) REFERENCES settlement_calculations (id) ON DELETE CASCADE
)
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
