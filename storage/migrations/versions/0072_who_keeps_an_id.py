"""A customer's id is a person's, where only a phone or a device had it that may turn out to be nobody's.

From now on keys claim it when they join (`domain.customers.naming.home_in`); those that joined before do here.
"""

from alembic import op

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        WITH unclaimed AS (
            SELECT customer_id FROM identities GROUP BY customer_id
            HAVING bool_or(home = customer_id) AND bool_and(home IS NULL OR kind IN ('phone', 'device'))
                AND bool_or(home IS NULL AND kind NOT IN ('phone', 'device'))
        )
        UPDATE identities SET home = unclaimed.customer_id FROM unclaimed
        WHERE identities.customer_id = unclaimed.customer_id
            AND identities.home IS NULL AND identities.kind NOT IN ('phone', 'device')
            AND NOT EXISTS (
                SELECT FROM identities AS own
                JOIN identity_decision_keys AS decided ON decided.identity_id = own.id
                JOIN identity_decisions AS decision ON decision.id = decided.decision_id
                WHERE own.customer_id = unclaimed.customer_id AND decision.undone_at IS NULL
            )
        """
    )
