"""A customer's id, and what people said of them, is a person's where only a phone or a device had it that may turn out
to be nobody's.

From now on keys claim the id when they join (`domain.customers.naming.home_in`), and decisions are kept at the key that
most surely stays (`keeping_rank`). What was stored before follows here, but where a decision is in force: it may be
undone, and gives everybody back what was theirs.
"""

from alembic import op

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


_DECIDED = """
    SELECT FROM identities AS own
    JOIN identity_decision_keys AS decided ON decided.identity_id = own.id
    JOIN identity_decisions AS decision ON decision.id = decided.decision_id
    WHERE own.customer_id = identities.customer_id AND decision.undone_at IS NULL
    """
# A phone or a device that was somebody of its own, and may be again, keeps what was said of them.
_HOME_OF_A_PERSON = """
    SELECT FROM identities AS own
    WHERE own.customer_id = identities.customer_id AND own.home = identities.home
        AND own.kind NOT IN ('phone', 'device')
    """
_HANDED = f"""
    handed AS (
        SELECT identities.id AS key, keeper.id AS heir FROM identities
        CROSS JOIN LATERAL (
            SELECT best.id FROM identities AS best
            WHERE best.customer_id = identities.customer_id AND best.kind NOT IN ('phone', 'device')
            ORDER BY best.home IS DISTINCT FROM best.customer_id,
                CASE best.kind WHEN 'unionid' THEN 0 WHEN 'external_userid' THEN 1 WHEN 'openid' THEN 1 ELSE 2 END,
                best.id
            LIMIT 1
        ) AS keeper
        WHERE identities.id IN (
            SELECT identity_id FROM tag_marks WHERE ended_at IS NULL
            UNION SELECT identity_id FROM invitations
            UNION SELECT by_identity_id FROM invitations
        ) AND identities.kind IN ('phone', 'device') AND NOT EXISTS ({_DECIDED})
            AND (identities.home IS NULL OR EXISTS ({_HOME_OF_A_PERSON}))
    )
    """


def upgrade() -> None:
    op.execute(
        f"""
        WITH unclaimed AS (
            SELECT customer_id FROM identities GROUP BY customer_id
            HAVING bool_or(home = customer_id) AND bool_and(home IS NULL OR kind IN ('phone', 'device'))
                AND bool_or(home IS NULL AND kind NOT IN ('phone', 'device'))
        )
        UPDATE identities SET home = unclaimed.customer_id FROM unclaimed
        WHERE identities.customer_id = unclaimed.customer_id
            AND identities.home IS NULL AND identities.kind NOT IN ('phone', 'device') AND NOT EXISTS ({_DECIDED})
        """
    )
    # What is said at the better key already stays where it is: it changes nothing.
    op.execute(
        f"""
        WITH {_HANDED}, going AS (
            SELECT DISTINCT ON (heir, tag, mark.kind, source) mark.id, heir, tag, mark.kind, source
            FROM tag_marks AS mark JOIN handed ON handed.key = mark.identity_id
            WHERE ended_at IS NULL ORDER BY heir, tag, mark.kind, source, marked_at, mark.id
        )
        UPDATE tag_marks SET identity_id = going.heir FROM going
        WHERE tag_marks.id = going.id AND NOT EXISTS (
            SELECT FROM tag_marks AS there WHERE there.identity_id = going.heir AND there.ended_at IS NULL
                AND (there.tag, there.kind, there.source) = (going.tag, going.kind, going.source)
        )
        """
    )
    for column, other in (("identity_id", "by_identity_id"), ("by_identity_id", "identity_id")):
        op.execute(
            f"""
            WITH {_HANDED}, going AS (
                SELECT DISTINCT ON (heir, payee, {other}, at) said.id, heir, payee, {other}, at
                FROM invitations AS said JOIN handed ON handed.key = said.{column}
                ORDER BY heir, payee, {other}, at, said.id
            )
            UPDATE invitations SET {column} = going.heir FROM going
            WHERE invitations.id = going.id AND NOT EXISTS (
                SELECT FROM invitations AS there WHERE there.{column} = going.heir AND there.at = going.at
                    AND (there.payee, there.{other}) IS NOT DISTINCT FROM (going.payee, going.{other})
            )
            """
        )
