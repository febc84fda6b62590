"""A scheme of three levels, or an attribution: only where somebody answers for it by name, and the audit says who."""

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
from tests.clock import SteppedClock

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


ORDERS: VersionKey = ("attribution", "", "orders", "1.0.0")


def an_attribution(levels: int) -> SourceText:
    text = f"""
attribution:
  name: orders
  title: 归属
  since: 2026-01-01
  roles:
    city:
      - {{ inviter: {{ levels: {levels} }} }}
    store: shop
"""
    return SourceText("orders.yaml", text)


@pytest.mark.parametrize(("level_limit", "levels", "most"), [(LevelLimit(), 3, 2), (LIMIT, 4, 3)])
async def test_invitations_are_followed_no_further_than_levels_are_allowed(
    database: Database, level_limit: LevelLimit, levels: int, most: int
) -> None:
    definitions = DefinitionService(database, level_limit=level_limit)
    with pytest.raises(ValidationProblem) as refused:
        await definitions.upload(OPS, [an_attribution(levels)])
    (finding,) = refused.value.problem.as_dict()["findings"]
    assert (finding["code"], finding["line"], finding["column"]) == ("too-many-levels", 8, 30)
    assert f"最多 {most} 级" in finding["message"]["zh"]
    assert f"At most {most} levels" in finding["message"]["en"]


async def test_an_attribution_beyond_the_law_names_who_allowed_it_and_goes_no_further_once_that_is_gone(
    database: Database,
) -> None:
    definitions = DefinitionService(database, level_limit=LIMIT)
    await definitions.upload(OPS, [an_attribution(3)])
    with pytest.raises(ConflictProblem, match="3 invitations up"):
        await DefinitionService(database).publish(OPS, ORDERS)
    await definitions.publish(OPS, ORDERS)
    assert (await published(database))["levels_allowed"] == LIMIT.answer_for(3)["levels_allowed"]


@pytest.mark.parametrize("order", [(KEY, ORDERS), (ORDERS, KEY)])
async def test_whichever_of_the_two_is_published_last_is_refused_where_they_pay_too_far_together(
    database: Database, order: tuple[VersionKey, VersionKey]
) -> None:
    """Who invited the buyer's inviter, and who is above them."""
    definitions = DefinitionService(database)
    await definitions.upload(OPS, [an_attribution(2), a_scheme(2)])
    first, last = order
    await definitions.publish(OPS, first)
    with pytest.raises(ConflictProblem) as refused:
        await definitions.publish(OPS, last)
    assert "3 级获酬：角色 city 按邀请" in refused.value.text.zh
    assert "3 levels for one sale: city are found by invitations" in refused.value.text.en
    # One that looks one invitation up goes together with a level above.
    await definitions.upload(
        OPS, [SourceText("o.yaml", an_attribution(1).text.replace("title", "version: 1.1.0\n  title"))]
    )
    await definitions.publish(OPS, ("attribution", "", "orders", "1.1.0"))
    if last == KEY:
        await definitions.publish(OPS, KEY)


async def test_what_the_setting_allows_is_allowed_of_both_together_where_the_scheme_says_so(database: Database) -> None:
    definitions = DefinitionService(database, level_limit=LIMIT)
    two = a_scheme(2).text.replace("chain", "short")
    three = a_scheme(2).text.replace("levels: 2", "levels: 3")
    await definitions.upload(OPS, [an_attribution(2), SourceText("a.yaml", two), SourceText("b.yaml", three)])
    await definitions.publish(OPS, ORDERS)
    with pytest.raises(ConflictProblem, match="`levels: 2`"):
        await definitions.publish(OPS, ("scheme", "", "short", "1.0.0"))
    await definitions.publish(OPS, KEY)


async def test_a_scheme_that_ends_or_is_over_keeps_no_attribution(database: Database, clock: SteppedClock) -> None:
    definitions = DefinitionService(database)
    ended = a_scheme(2).text.replace("title: 三级", "title: 三级\n  version: 1.1.0\n  active: false")
    await definitions.upload(OPS, [an_attribution(2), a_scheme(2), SourceText("e.yaml", ended)])
    await definitions.publish(OPS, KEY)
    with pytest.raises(ConflictProblem):
        await definitions.publish(OPS, ORDERS)
    clock.advance(seconds=1)
    await definitions.publish(OPS, (*KEY[:3], "1.1.0"))
    await definitions.publish(OPS, ORDERS)
