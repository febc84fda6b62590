"""A scheme of three levels: only where somebody answers for it by name, and the audit says who."""

import pytest

from domain.access import Role, Scope
from domain.problems import ConflictProblem, ValidationProblem
from domain.settlement.levels import AllowedLevels, LevelLimit
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from storage.audit import AuditLog
from storage.definitions import VersionKey
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor

OPS = an_actor("ops-li", Role.OPS)
LIMIT = LevelLimit(AllowedLevels(levels=3, allowed_by="legal@corp.example", reason="opinion of 2026-07"))
KEY: VersionKey = ("scheme", "", "chain", "1.0.0")


def a_scheme(levels: int) -> SourceText:
    text = f"""
scheme:
  name: chain
  title: 三级
  cycle: month
  from: 2026-01-01
  levels: {levels}
  earns:
    - {{ name: sales, title: 销售, of: kept, rate: '5%' }}
    - {{ name: team, title: 返利, overrides: {{ of: sales, levels: ['10%'{", '5%'" * (levels - 2)}] }} }}
"""
    return SourceText("chain.yaml", text)


async def published(database: Database) -> dict[str, object]:
    """What the audit says of the publication."""
    async with UnitOfWork(database) as work:
        page = await AuditLog(work).list(Scope.everything(), PageRequest(), action="definition.publish")
    (entry,) = page.items
    return dict(entry.detail)


@pytest.mark.parametrize(("level_limit", "levels", "most"), [(LevelLimit(), 3, 2), (LIMIT, 4, 3)])
async def test_more_levels_than_are_allowed_are_refused_at_their_place(
    database: Database, level_limit: LevelLimit, levels: int, most: int
) -> None:
    definitions = DefinitionService(database, level_limit=level_limit)
    with pytest.raises(ValidationProblem) as refused:
        await definitions.upload(OPS, [a_scheme(levels)])
    (finding,) = refused.value.problem.as_dict()["findings"]
    assert (finding["code"], finding["line"]) == ("too-many-levels", 7)
    assert f"最多 {most} 级" in finding["message"]["zh"]


async def test_a_scheme_beyond_the_law_is_published_with_the_name_of_who_allowed_it(database: Database) -> None:
    definitions = DefinitionService(database, level_limit=LIMIT)
    (uploaded,) = await definitions.upload(OPS, [a_scheme(3)])
    await definitions.publish(OPS, KEY)
    assert await published(database) == {
        "digest": uploaded.version.digest,
        "levels": 3,
        "levels_allowed": {"levels": 3, "allowed_by": "legal@corp.example", "reason": "opinion of 2026-07"},
    }


async def test_who_stays_within_the_law_needs_no_name(database: Database) -> None:
    definitions = DefinitionService(database, level_limit=LIMIT)
    (uploaded,) = await definitions.upload(OPS, [a_scheme(2)])
    await definitions.publish(OPS, KEY)
    assert await published(database) == {"digest": uploaded.version.digest}


async def test_what_was_uploaded_is_not_published_once_the_permission_is_gone(database: Database) -> None:
    await DefinitionService(database, level_limit=LIMIT).upload(OPS, [a_scheme(3)])
    with pytest.raises(ConflictProblem) as refused:
        await DefinitionService(database).publish(OPS, KEY)
    assert "3 级" in refused.value.text.zh
    assert "has 3 levels" in refused.value.text.en
