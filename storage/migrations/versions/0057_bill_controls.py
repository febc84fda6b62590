"""Reconciliation in more hands than one: terms are proposed and confirmed, bills from files withdrawn."""

from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE bill_terms ADD COLUMN since date;

UPDATE bill_terms t SET since = least(
    (t.changed_at AT TIME ZONE 'Asia/Shanghai')::date, (SELECT min(day) FROM bills b WHERE b.account = t.account)
);

ALTER TABLE bill_terms ALTER COLUMN since SET NOT NULL;

ALTER TABLE bill_terms ADD COLUMN confirmed_by varchar;

ALTER TABLE bill_terms ADD CONSTRAINT ck_bill_terms_second_person CHECK (confirmed_by <> changed_by);

ALTER TABLE reconciliations ADD COLUMN kinds varchar[] NOT NULL DEFAULT '{}';

UPDATE reconciliations r SET kinds = ARRAY(
    SELECT kind FROM bills b WHERE b.account = r.account AND b.day = r.day AND b.taken_at <= r.done_at ORDER BY kind
);

ALTER TABLE reconciliations ALTER COLUMN kinds DROP DEFAULT;

ALTER TABLE bills
    ADD COLUMN state varchar NOT NULL DEFAULT 'taken'
        CONSTRAINT ck_bills_state CHECK (state IN ('taken', 'waiting', 'withdrawn')),
    ADD COLUMN reason varchar,
    ADD COLUMN decided_by varchar,
    ADD COLUMN decided_at timestamptz,
    ADD COLUMN note varchar,
    ADD CONSTRAINT ck_bills_second_person CHECK (decided_by <> taken_by),
    DROP CONSTRAINT uq_bills_account_day_kind;

ALTER TABLE bills ALTER COLUMN state DROP DEFAULT;

CREATE UNIQUE INDEX uq_bills_taken ON bills (account, day, kind) WHERE state = 'taken';

CREATE UNIQUE INDEX uq_bills_waiting ON bills (account, day, kind) WHERE state = 'waiting';

CREATE INDEX ix_bills_account_day ON bills (account, day);

CREATE FUNCTION refuse_revision_of_bill() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    decided CONSTANT text[] := ARRAY['state', 'decided_by', 'decided_at', 'note'];
BEGIN
    IF OLD.source = 'file' AND NEW.decided_by IS NOT NULL
        AND (OLD.state, NEW.state) IN (('waiting', 'taken'), ('waiting', 'withdrawn'), ('taken', 'withdrawn'))
        AND to_jsonb(NEW) - decided = to_jsonb(OLD) - decided
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a bill is never revised' USING ERRCODE = 'insufficient_privilege';
END $$;

DROP TRIGGER never_revised ON bills;

CREATE TRIGGER never_revised BEFORE DELETE OR TRUNCATE ON bills
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_bill();

CREATE TRIGGER only_decided BEFORE UPDATE ON bills FOR EACH ROW EXECUTE FUNCTION refuse_revision_of_bill();

ALTER TABLE bill_terms
    ADD COLUMN fees_back boolean NOT NULL DEFAULT false,
    ADD COLUMN bank boolean NOT NULL DEFAULT false;

UPDATE bill_terms SET fees_back = account LIKE 'wechat_pay/%';

ALTER TABLE bill_terms ALTER COLUMN fees_back DROP DEFAULT, ALTER COLUMN bank DROP DEFAULT;

CREATE UNIQUE INDEX uq_bill_terms_bank ON bill_terms (bank) WHERE bank;

CREATE INDEX ix_bill_matches_payouts ON bill_matches (account, number) WHERE family IN ('transfer', 'share');

CREATE INDEX ix_payout_shares_sharing_id ON payout_shares (sharing_id);

CREATE INDEX ix_payout_shares_shared ON payout_shares (ended_at) WHERE state = 'shared';

ALTER TABLE breaks DROP CONSTRAINT fk_breaks_account_accounts;

ALTER TABLE bill_leftovers DROP CONSTRAINT fk_bill_leftovers_account_accounts;

CREATE OR REPLACE FUNCTION keep_payout() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bounced CONSTANT text[] := ARRAY['state', 'reason', 'changed_at'];
BEGIN
    IF OLD.state = 'paid' AND OLD.rail = 'bank' AND NEW.state = 'failed' AND NEW.reason = 'returned'
        AND to_jsonb(NEW) - bounced = to_jsonb(OLD) - bounced
    THEN
        RETURN NEW;
    END IF;
    IF OLD.state IN ('paid', 'failed', 'cancelled')
        OR (NEW.id, NEW.batch, NEW.number, NEW.payee, NEW.amount_minor, NEW.offset_minor, NEW.currency)
            IS DISTINCT FROM (OLD.id, OLD.batch, OLD.number, OLD.payee, OLD.amount_minor, OLD.offset_minor, OLD.currency)
    THEN
        RAISE EXCEPTION 'a payout keeps its number, payee and amount, and ends once' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TABLE proposed_bill_terms (
    account varchar NOT NULL CONSTRAINT pk_proposed_bill_terms PRIMARY KEY,
    id uuid NOT NULL,
    shops varchar[] NOT NULL,
    fee_bps integer CONSTRAINT ck_proposed_bill_terms_fee CHECK (fee_bps BETWEEN 0 AND 10000),
    fees_back boolean NOT NULL,
    window_days smallint NOT NULL CONSTRAINT ck_proposed_bill_terms_window CHECK (window_days BETWEEN 1 AND 15),
    bank boolean NOT NULL,
    proposed_by varchar NOT NULL,
    proposed_at timestamptz NOT NULL,
    CONSTRAINT fk_proposed_bill_terms_account_accounts FOREIGN KEY (account) REFERENCES accounts (id)
)
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
