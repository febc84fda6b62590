"""Whoever writes a settlement can have its tables counted for the planner.

Only owners may `ANALYZE`. The parent of partitions, which `sales` is, is never counted by the server itself.
"""

from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION count_settlements() RETURNS void LANGUAGE plpgsql
            SECURITY DEFINER SET search_path = pg_catalog, public AS $$
        BEGIN
            ANALYZE public.settlement_members, public.settlement_passed, public.settlement_earnings,
                public.ledger_accounts, public.transfers, public.payouts, public.payout_omissions;
            ANALYZE ONLY public.sales;
        END $$
        """
    )
