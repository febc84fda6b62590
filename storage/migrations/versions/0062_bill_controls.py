"""Reconciliation in more hands than one: terms are proposed and confirmed."""

from alembic import op

revision = "0062"
down_revision = "0054"
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

CREATE TABLE proposed_bill_terms (
    account varchar NOT NULL CONSTRAINT pk_proposed_bill_terms PRIMARY KEY,
    id uuid NOT NULL,
    shops varchar[] NOT NULL,
    fee_bps integer CONSTRAINT ck_proposed_bill_terms_fee CHECK (fee_bps BETWEEN 0 AND 10000),
    window_days smallint NOT NULL CONSTRAINT ck_proposed_bill_terms_window CHECK (window_days BETWEEN 1 AND 15),
    proposed_by varchar NOT NULL,
    proposed_at timestamptz NOT NULL,
    CONSTRAINT fk_proposed_bill_terms_account_accounts FOREIGN KEY (account) REFERENCES accounts (id)
)
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
