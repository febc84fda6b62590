"""Settlement runs: which calculations they book, who approved them, which parts are booked."""

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE settlement_runs (
    id uuid NOT NULL CONSTRAINT pk_settlement_runs PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY,
    scheme varchar NOT NULL,
    cycle varchar NOT NULL,
    period integer NOT NULL,
    state varchar NOT NULL,
    asked_by varchar NOT NULL,
    asked_at timestamptz NOT NULL,
    approvals_needed smallint,
    total_minor bigint,
    decided_at timestamptz,
    booked_at timestamptz,
    booked_minor bigint,
    problem jsonb,
    CONSTRAINT fk_settlement_runs_period_settlement_periods FOREIGN KEY (period) REFERENCES settlement_periods (id)
);

CREATE UNIQUE INDEX uq_settlement_runs_open ON settlement_runs (scheme, cycle)
    WHERE state IN ('computing', 'computed', 'approved');

CREATE INDEX ix_settlement_runs_asked_at_id ON settlement_runs (asked_at, id);

CREATE INDEX ix_settlement_runs_period ON settlement_runs (period);

CREATE INDEX ix_settlement_runs_unfinished ON settlement_runs (asked_at) WHERE state IN ('computing', 'approved');

CREATE TABLE settlement_run_calculations (
    run uuid NOT NULL,
    calculation uuid NOT NULL,
    origin integer NOT NULL,
    before uuid,
    CONSTRAINT pk_settlement_run_calculations PRIMARY KEY (run, calculation),
    CONSTRAINT uq_settlement_run_calculations_run_origin UNIQUE (run, origin),
    CONSTRAINT fk_settlement_run_calculations_run_settlement_runs FOREIGN KEY (run) REFERENCES settlement_runs (id),
    CONSTRAINT fk_settlement_run_calculations_calculation FOREIGN KEY (calculation)
        REFERENCES settlement_calculations (id),
    CONSTRAINT fk_settlement_run_calculations_before FOREIGN KEY (before) REFERENCES settlement_calculations (id),
    CONSTRAINT fk_settlement_run_calculations_origin_settlement_periods FOREIGN KEY (origin)
        REFERENCES settlement_periods (id)
);

CREATE INDEX ix_settlement_run_calculations_calculation ON settlement_run_calculations (calculation);

CREATE INDEX ix_settlement_run_calculations_before ON settlement_run_calculations (before);

CREATE INDEX ix_settlement_run_calculations_origin ON settlement_run_calculations (origin);

CREATE TABLE settlement_approvals (
    run uuid NOT NULL,
    login varchar NOT NULL,
    approved boolean NOT NULL,
    note varchar,
    decided_at timestamptz NOT NULL,
    CONSTRAINT pk_settlement_approvals PRIMARY KEY (run, login),
    CONSTRAINT fk_settlement_approvals_run_settlement_runs FOREIGN KEY (run) REFERENCES settlement_runs (id)
);

CREATE FUNCTION refuse_own_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM settlement_runs WHERE id = NEW.run AND asked_by = NEW.login) THEN
        RAISE EXCEPTION 'nobody approves what they asked for' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER second_person BEFORE INSERT OR UPDATE ON settlement_approvals
    FOR EACH ROW EXECUTE FUNCTION refuse_own_approval();

CREATE TABLE settlement_booked_parts (
    run uuid NOT NULL,
    calculation uuid NOT NULL,
    part smallint NOT NULL,
    transfers integer NOT NULL,
    amount_minor bigint NOT NULL,
    booked_at timestamptz NOT NULL,
    CONSTRAINT pk_settlement_booked_parts PRIMARY KEY (run, calculation, part),
    CONSTRAINT fk_settlement_booked_parts_run_settlement_runs FOREIGN KEY (run) REFERENCES settlement_runs (id),
    CONSTRAINT fk_settlement_booked_parts_calculation FOREIGN KEY (calculation)
        REFERENCES settlement_calculations (id)
);

CREATE INDEX ix_settlement_booked_parts_calculation ON settlement_booked_parts (calculation)
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
