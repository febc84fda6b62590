"""Payouts: batches that somebody else approves, payouts with their numbers, who is not paid and why; released holds."""

from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE FUNCTION earned_difference(calculation uuid, before uuid, part smallint)
RETURNS TABLE (payee integer, amount bigint) LANGUAGE sql STABLE AS $$
    SELECT payee, sum(amount_minor)::bigint FROM (
        SELECT payee, amount_minor FROM settlement_earnings e WHERE e.calculation = $1 AND e.part = $3
        UNION ALL
        SELECT payee, -amount_minor FROM settlement_earnings e WHERE e.calculation = $2 AND e.part = $3
    ) earned GROUP BY payee HAVING sum(amount_minor) <> 0
$$;

CREATE TABLE settlement_releases (
    period integer NOT NULL CONSTRAINT pk_settlement_releases PRIMARY KEY,
    released_at timestamptz NOT NULL,
    released_by varchar NOT NULL,
    CONSTRAINT fk_settlement_releases_period_settlement_periods FOREIGN KEY (period) REFERENCES settlement_periods (id)
);

CREATE TABLE payout_batches (
    id uuid NOT NULL CONSTRAINT pk_payout_batches PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY,
    scheme varchar NOT NULL,
    currency varchar(3) NOT NULL,
    period integer NOT NULL,
    day date NOT NULL,
    state varchar NOT NULL,
    terms jsonb NOT NULL,
    asked_by varchar NOT NULL,
    asked_at timestamptz NOT NULL,
    payouts integer,
    total_minor bigint,
    approvals_needed smallint,
    decided_at timestamptz,
    ended_at timestamptz,
    problem jsonb,
    CONSTRAINT fk_payout_batches_period_settlement_periods FOREIGN KEY (period) REFERENCES settlement_periods (id)
);

CREATE UNIQUE INDEX uq_payout_batches_open ON payout_batches (scheme, currency)
    WHERE state IN ('planning', 'planned', 'reserving');

CREATE INDEX ix_payout_batches_asked_at_id ON payout_batches (asked_at, id);

CREATE INDEX ix_payout_batches_period ON payout_batches (period);

CREATE INDEX ix_payout_batches_unfinished ON payout_batches (asked_at) WHERE state IN ('planning', 'reserving', 'paying');

CREATE TABLE payout_approvals (
    batch uuid NOT NULL,
    login varchar NOT NULL,
    approved boolean NOT NULL,
    note varchar,
    decided_at timestamptz NOT NULL,
    CONSTRAINT pk_payout_approvals PRIMARY KEY (batch, login),
    CONSTRAINT fk_payout_approvals_batch_payout_batches FOREIGN KEY (batch) REFERENCES payout_batches (id)
);

CREATE FUNCTION refuse_own_payouts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM payout_batches WHERE id = NEW.batch AND asked_by = NEW.login) THEN
        RAISE EXCEPTION 'nobody approves what they asked for' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER second_person BEFORE INSERT OR UPDATE ON payout_approvals
    FOR EACH ROW EXECUTE FUNCTION refuse_own_payouts();

CREATE TABLE payouts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_payouts PRIMARY KEY,
    batch uuid NOT NULL,
    part smallint NOT NULL,
    number varchar(32) NOT NULL CONSTRAINT uq_payouts_number UNIQUE,
    payee integer NOT NULL,
    rail varchar NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT ck_payouts_amount CHECK (amount_minor > 0),
    offset_minor bigint NOT NULL CONSTRAINT ck_payouts_offset CHECK (offset_minor >= 0),
    currency varchar(3) NOT NULL,
    state varchar NOT NULL,
    pay_on date NOT NULL,
    attempts smallint NOT NULL,
    next_at timestamptz NOT NULL,
    rail_number varchar,
    confirmation varchar,
    file varchar,
    reason varchar,
    refused_at timestamptz,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT uq_payouts_batch_payee UNIQUE (batch, payee),
    CONSTRAINT fk_payouts_batch_payout_batches FOREIGN KEY (batch) REFERENCES payout_batches (id),
    CONSTRAINT fk_payouts_payee_payees FOREIGN KEY (payee) REFERENCES payees (id)
);

CREATE INDEX ix_payouts_payee ON payouts (payee);

CREATE INDEX ix_payouts_rail_number ON payouts (rail_number);

CREATE INDEX ix_payouts_open ON payouts (batch, id)
    WHERE state IN ('created', 'reserved', 'submitting', 'accepted', 'awaiting_user', 'unknown');

CREATE FUNCTION keep_payout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('paid', 'failed', 'cancelled')
        OR (NEW.id, NEW.batch, NEW.number, NEW.payee, NEW.amount_minor, NEW.offset_minor, NEW.currency)
            IS DISTINCT FROM (OLD.id, OLD.batch, OLD.number, OLD.payee, OLD.amount_minor, OLD.offset_minor, OLD.currency)
    THEN
        RAISE EXCEPTION 'a payout keeps its number, payee and amount, and ends once' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER what_it_is BEFORE UPDATE ON payouts FOR EACH ROW EXECUTE FUNCTION keep_payout();

CREATE TABLE payout_omissions (
    batch uuid NOT NULL,
    payee integer NOT NULL,
    part smallint NOT NULL,
    reason varchar NOT NULL,
    amount_minor bigint NOT NULL,
    offset_minor bigint NOT NULL,
    CONSTRAINT pk_payout_omissions PRIMARY KEY (batch, payee),
    CONSTRAINT fk_payout_omissions_batch_payout_batches FOREIGN KEY (batch) REFERENCES payout_batches (id),
    CONSTRAINT fk_payout_omissions_payee_payees FOREIGN KEY (payee) REFERENCES payees (id)
);

CREATE INDEX ix_payout_omissions_payee ON payout_omissions (payee)
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
