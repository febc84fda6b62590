"""The names of facts that schemes go by, from the texts of all versions."""

from domain.settlement.scheme import DEEDS
from storage.bulk import fetch
from storage.unit_of_work import Repository


class FactNames(Repository):
    """Names of visits, reviews and so on, and of the scores that any scheme asks for."""

    async def known(self) -> frozenset[str]:
        """All that count somewhere, be it by a version that is not published yet."""
        rows = await fetch(self.work, _ASKED_FOR, {})
        return frozenset({*DEEDS, *(name for (name,) in rows)})


_ASKED_FOR = """
    SELECT DISTINCT told.name #>> '{}'
    FROM definition_versions d
    CROSS JOIN LATERAL (
        SELECT jsonb_path_query(d.properties, '$.earns[*].score')
        UNION ALL SELECT jsonb_path_query(d.properties, '$.earns[*].factor.score')
        UNION ALL SELECT jsonb_path_query(d.properties, '$.earns[*].count')
    ) AS told (name)
    WHERE d.kind = 'scheme' AND jsonb_typeof(told.name) = 'string'
"""
