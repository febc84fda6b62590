"""Periods that the database closes, and the ledger: transfers between accounts, only ever added to."""

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE settlement_periods (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_settlement_periods PRIMARY KEY,
    scheme varchar NOT NULL,
    cycle varchar NOT NULL,
    start date NOT NULL,
    "end" date NOT NULL,
    currency varchar(3) NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    closed_by varchar,
    CONSTRAINT uq_settlement_periods_scheme_cycle_start UNIQUE (scheme, cycle, start),
    CONSTRAINT ck_settlement_periods_days CHECK (start < "end")
);

CREATE TABLE ledger_accounts (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_ledger_accounts PRIMARY KEY,
    kind varchar NOT NULL,
    payee integer,
    currency varchar(3) NOT NULL,
    CONSTRAINT uq_ledger_accounts_kind_payee_currency UNIQUE NULLS NOT DISTINCT (kind, payee, currency),
    CONSTRAINT uq_ledger_accounts_id_currency UNIQUE (id, currency)
);

CREATE TABLE transfers (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_transfers PRIMARY KEY,
    key uuid NOT NULL CONSTRAINT uq_transfers_key UNIQUE,
    amount_minor bigint NOT NULL CONSTRAINT ck_transfers_amount CHECK (amount_minor > 0),
    booked_at timestamptz NOT NULL,
    debit integer NOT NULL,
    credit integer NOT NULL,
    period integer NOT NULL,
    currency varchar(3) NOT NULL,
    kind varchar NOT NULL,
    source varchar NOT NULL,
    CONSTRAINT ck_transfers_two_accounts CHECK (debit <> credit),
    CONSTRAINT fk_transfers_debit_ledger_accounts
        FOREIGN KEY (debit, currency) REFERENCES ledger_accounts (id, currency),
    CONSTRAINT fk_transfers_credit_ledger_accounts
        FOREIGN KEY (credit, currency) REFERENCES ledger_accounts (id, currency),
    CONSTRAINT fk_transfers_period_settlement_periods FOREIGN KEY (period) REFERENCES settlement_periods (id)
);

CREATE INDEX ix_transfers_period_debit ON transfers (period, debit);

CREATE INDEX ix_transfers_period_credit ON transfers (period, credit);

CREATE FUNCTION refuse_change_of_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: the ledger is only ever added to', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER only_insert BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_ledger();

CREATE TRIGGER only_insert BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_ledger();

CREATE FUNCTION refuse_closed_period() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed integer;
BEGIN
    PERFORM 1 FROM settlement_periods WHERE id IN (SELECT DISTINCT period FROM added) FOR SHARE;
    SELECT id INTO closed FROM settlement_periods
        WHERE id IN (SELECT DISTINCT period FROM added) AND closed_at IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'period % is closed', closed USING ERRCODE = 'integrity_constraint_violation',
            CONSTRAINT = 'ck_transfers_open_period';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER open_periods_only AFTER INSERT ON transfers
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_closed_period();

CREATE FUNCTION keep_periods_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.closed_at IS NOT NULL
        OR (NEW.id, NEW.scheme, NEW.cycle, NEW.start, NEW."end", NEW.currency, NEW.opened_at)
            IS DISTINCT FROM (OLD.id, OLD.scheme, OLD.cycle, OLD.start, OLD."end", OLD.currency, OLD.opened_at)
    THEN
        RAISE EXCEPTION '% on %: a period is closed once and changes in nothing else', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER closed_for_ever BEFORE UPDATE OR DELETE ON settlement_periods
    FOR EACH ROW EXECUTE FUNCTION keep_periods_closed()
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
