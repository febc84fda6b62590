"""What bills and books have left over, beside the breaks, and whether a break still stands."""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

_STATEMENTS = """
ALTER TABLE breaks ADD COLUMN stands boolean NOT NULL DEFAULT true;

UPDATE breaks SET stands = false WHERE state = 'solved' AND solved_by IS NULL;

ALTER TABLE breaks ALTER COLUMN stands DROP DEFAULT;

CREATE INDEX ix_breaks_account_standing ON breaks (account) WHERE stands;

CREATE TABLE bill_leftovers (
    account varchar NOT NULL,
    family varchar NOT NULL,
    shop varchar NOT NULL,
    number varchar NOT NULL,
    bill integer NOT NULL,
    line integer NOT NULL,
    kind varchar NOT NULL,
    day date NOT NULL,
    difference_minor bigint NOT NULL,
    CONSTRAINT pk_bill_leftovers PRIMARY KEY (account, family, shop, number, bill, line, kind),
    CONSTRAINT fk_bill_leftovers_account_accounts FOREIGN KEY (account) REFERENCES accounts (id)
);

CREATE INDEX ix_bill_leftovers_day ON bill_leftovers (day);

INSERT INTO bill_leftovers (account, family, shop, number, bill, line, kind, day, difference_minor)
    SELECT b.account, b.family, '', '', l.bill, l.line, l.kind, b.day,
        CASE WHEN b.family = 'discount' OR l.direction = 'in' THEN l.amount_minor ELSE -l.amount_minor END
    FROM breaks b
    CROSS JOIN LATERAL jsonb_array_elements(b.lines) one
    JOIN bill_lines l ON l.bill = (one->>0)::integer AND l.line = (one->>1)::integer AND l.kind = one->>2
    WHERE b.stands AND b.family <> 'fee';

INSERT INTO bill_leftovers (account, family, shop, number, bill, line, kind, day, difference_minor)
    SELECT account, family, shop, number, 0, 0, '', day,
        CASE family WHEN 'fee' THEN their_minor - our_minor ELSE -our_minor END
    FROM breaks WHERE stands AND shop IS NOT NULL AND number IS NOT NULL
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
