"""What people said of a customer (tags by hand, exclusions, who invited whom) goes from one key to another."""

from collections.abc import Mapping

from storage.bulk import fetch
from storage.unit_of_work import Repository

# Of decisions that are the same one goes over, unless the heir has it.
_MARKS = """
    WITH going AS (
        SELECT DISTINCT ON (heir, tag, kind, source) id, heir FROM tag_marks AS mark
        JOIN unnest(%(keys)b::bigint[], %(heirs)b::bigint[]) AS handed (key, heir) ON handed.key = mark.identity_id
        WHERE ended_at IS NULL AND NOT EXISTS (
            SELECT FROM tag_marks AS there WHERE there.identity_id = handed.heir AND there.ended_at IS NULL
                AND (there.tag, there.kind, there.source) = (mark.tag, mark.kind, mark.source)
        )
        ORDER BY heir, tag, kind, source, marked_at, id
    )
    UPDATE tag_marks SET identity_id = going.heir FROM going WHERE tag_marks.id = going.id
    """
_DOUBLED_MARKS = "DELETE FROM tag_marks WHERE identity_id = ANY(%(keys)b::bigint[]) AND ended_at IS NULL"
_INVITATIONS = """
    WITH going AS (
        SELECT DISTINCT ON (said.invited, said.payee, said.inviter, said.at) said.* FROM (
            SELECT one.id, coalesce(own.heir, one.identity_id) AS invited, one.payee,
                coalesce(inviting.heir, one.by_identity_id) AS inviter, one.at
            FROM invitations AS one
            LEFT JOIN unnest(%(keys)b::bigint[], %(heirs)b::bigint[]) AS own (key, heir)
                ON own.key = one.identity_id
            LEFT JOIN unnest(%(keys)b::bigint[], %(heirs)b::bigint[]) AS inviting (key, heir)
                ON inviting.key = one.by_identity_id
            WHERE one.identity_id = ANY(%(keys)b::bigint[]) OR one.by_identity_id = ANY(%(keys)b::bigint[])
        ) AS said
        WHERE NOT EXISTS (
            SELECT FROM invitations AS there WHERE there.identity_id = said.invited AND there.at = said.at
                AND (there.payee, there.by_identity_id) IS NOT DISTINCT FROM (said.payee, said.inviter)
        )
        ORDER BY said.invited, said.payee, said.inviter, said.at, said.id
    )
    UPDATE invitations SET identity_id = going.invited, by_identity_id = going.inviter
    FROM going WHERE invitations.id = going.id
    """


class DecidedKeys(Repository):
    """Decisions and invitations by the key that they stand on."""

    async def hand_over(self, heirs: Mapping[int, int]) -> None:
        """Let what stands on keys stand on their heirs from now on. What is said there already is not said twice; of
        invitations both stay, for orders may name either."""
        if heirs:
            handed = {"keys": list(heirs), "heirs": list(heirs.values())}
            await fetch(self.work, _MARKS, handed)
            await fetch(self.work, _DOUBLED_MARKS, {"keys": handed["keys"]})
            await fetch(self.work, _INVITATIONS, handed)
