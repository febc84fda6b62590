"""What closed periods leave on each account of a scheme, so that no balance adds up years of transfers again.

Closed periods take no transfers any more. The database itself carries them forward when it closes them, in the same
transaction; nobody else writes there.
"""

from alembic import op

revision = "0076"
down_revision = "0075"
branch_labels = None
depends_on = None

# Locked in the order in which whoever books takes them: what is booked or closed meanwhile waits.
_STATEMENTS = """
LOCK TABLE settlement_periods, ledger_accounts, transfers IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE carried_balances (
    scheme varchar NOT NULL,
    account integer NOT NULL
        CONSTRAINT fk_carried_balances_account_ledger_accounts REFERENCES ledger_accounts (id),
    debit_minor bigint NOT NULL,
    credit_minor bigint NOT NULL,
    CONSTRAINT pk_carried_balances PRIMARY KEY (scheme, account)
);

CREATE INDEX ix_transfers_clawbacks ON transfers (debit) WHERE kind = 'clawback';

INSERT INTO carried_balances (scheme, account, debit_minor, credit_minor)
SELECT p.scheme, side.account, sum(side.debit), sum(side.credit)
FROM transfers t
JOIN settlement_periods p ON p.id = t.period AND p.closed_at IS NOT NULL
CROSS JOIN LATERAL (VALUES (t.debit, t.amount_minor, 0), (t.credit, 0, t.amount_minor)) side(account, debit, credit)
GROUP BY p.scheme, side.account;

CREATE FUNCTION carry_balances() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO public.carried_balances AS carried (scheme, account, debit_minor, credit_minor)
    SELECT NEW.scheme, side.account, sum(side.debit), sum(side.credit)
    FROM (
        SELECT debit AS account, amount_minor AS debit, 0 AS credit FROM public.transfers WHERE period = NEW.id
        UNION ALL
        SELECT credit, 0, amount_minor FROM public.transfers WHERE period = NEW.id
    ) side
    GROUP BY side.account ORDER BY side.account
    ON CONFLICT (scheme, account) DO UPDATE SET
        debit_minor = carried.debit_minor + excluded.debit_minor,
        credit_minor = carried.credit_minor + excluded.credit_minor;
    RETURN NULL;
END $$;

CREATE TRIGGER carried_forward AFTER UPDATE ON settlement_periods
    FOR EACH ROW WHEN (OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL) EXECUTE FUNCTION carry_balances();

CREATE OR REPLACE FUNCTION count_settlements() RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    ANALYZE public.settlement_members, public.settlement_passed, public.settlement_earnings, public.ledger_accounts,
        public.transfers, public.carried_balances, public.payouts, public.payout_omissions;
    ANALYZE ONLY public.sales;
END $$
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
