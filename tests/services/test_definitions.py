from dataclasses import replace

import pytest

from domain.access import Permission, Role, Scope
from domain.calls import Catalog
from domain.catalog import CATALOG
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from storage.audit import AuditLog
from storage.definitions import Definitions
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.house import a_flow

OPS = an_actor("ops-li", Role.OPS)
COLLEAGUE = an_actor("ops-wang", Role.OPS)

HELLO = a_flow("hello", "- greet:\n    set: {greeting: hello}")
ASKING = a_flow(
    "asking",
    """
- ask:
    call: human-task
    with: {queue: warehouse, title: Check, form: inspection, due: PT1H}
    timeout: {after: P1D}
""",
)
FORM = "form:\n  name: inspection\n  title: 验货\n  schema: {type: object, properties: {grade: {type: string}}}\n"
SCHEME = """
scheme:
  name: promoting
  version: 1.0.0
  title: 推广员
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: { roles: [promoter] }
  earns: [{ name: sales, title: 实付提成, of: kept, rate: '5%' }]
"""
QUEUE = "queue:\n  name: warehouse\n  title: 仓库\n"


@pytest.fixture
def definitions(database: Database) -> DefinitionService:
    return DefinitionService(database)


def _files(*texts: str) -> list[SourceText]:
    return [SourceText(f"{number}.yaml", text) for number, text in enumerate(texts)]


async def test_flows_and_the_resources_they_name_come_in_one_upload(definitions: DefinitionService) -> None:
    uploaded = await definitions.upload(OPS, _files(ASKING, FORM + "---\n" + QUEUE))
    assert [(each.version.kind, each.version.name, each.outcome) for each in uploaded] == [
        ("flow", "asking", "created"),
        ("form", "inspection", "created"),
        ("queue", "warehouse", "created"),
    ]
    version, text = await definitions.get(OPS, ("flow", "shop", "asking", "1.0.0"))
    assert text == ASKING
    assert version.author == "ops-li"


async def test_one_broken_file_keeps_all_others_out(definitions: DefinitionService) -> None:
    broken = HELLO.replace("set:", "sett:")
    with pytest.raises(ValidationProblem) as caught:
        await definitions.upload(OPS, _files(a_flow("good", "- a:\n    set: {b: 1}"), broken))
    findings = caught.value.problem.model_dump()["findings"]
    error = next(found for found in findings if found["severity"] == "error")
    assert (error["file"], error["line"]) == ("1.yaml", 8)
    assert error["message"]["zh"]
    with pytest.raises(NotFoundProblem):
        await definitions.history(OPS, "flow", "shop", "good")


async def test_the_same_text_again_is_no_change_and_another_text_is_a_conflict(definitions: DefinitionService) -> None:
    await definitions.upload(OPS, _files(HELLO))
    assert [each.outcome for each in await definitions.upload(OPS, _files(HELLO))] == ["unchanged"]
    with pytest.raises(ConflictProblem, match="raise `version`") as caught:
        await definitions.upload(OPS, _files(HELLO.replace("hello}", "bye}")))
    assert caught.value.problem.model_dump()["conflicts"][0]["version"] == "1.0.0"
    _, text = await definitions.get(OPS, ("flow", "shop", "hello", "1.0.0"))
    assert text == HELLO


async def test_one_version_twice_in_an_upload_with_different_texts_is_refused(definitions: DefinitionService) -> None:
    with pytest.raises(ValidationProblem) as caught:
        await definitions.upload(OPS, _files(HELLO, HELLO.replace("hello}", "bye}")))
    assert caught.value.problem.model_dump()["findings"][-1]["code"] == "named-twice"


async def test_publishing_can_need_a_second_person(database: Database) -> None:
    definitions = DefinitionService(database, four_eyes=True)
    await definitions.upload(OPS, _files(HELLO))
    with pytest.raises(AuthorizationProblem, match="second person"):
        await definitions.publish(OPS, ("flow", "shop", "hello", "1.0.0"))
    published = await definitions.publish(COLLEAGUE, ("flow", "shop", "hello", "1.0.0"))
    assert published.published_by == "ops-wang"
    again = await definitions.publish(OPS, ("flow", "shop", "hello", "1.0.0"))
    assert again == published


async def test_calls_reserved_for_a_role_are_published_by_it_only(database: Database) -> None:
    reserved = next(call for call in CATALOG.values() if call.kind == "flow" and call.name == "split")
    catalog = Catalog(tuple(call for call in CATALOG.values() if call is not reserved))
    catalog.register(replace(reserved, grants=frozenset({"finance"})))
    definitions = DefinitionService(database, catalog=catalog)
    flow = a_flow("halves", "- draw:\n    call: split\n    with: {shares: {a: 50}, salt: s, subject: x}")
    await definitions.upload(OPS, _files(flow))
    with pytest.raises(AuthorizationProblem, match="only these roles may publish it: finance"):
        await definitions.publish(OPS, ("flow", "shop", "halves", "1.0.0"))


async def test_a_diff_tells_text_and_tasks(definitions: DefinitionService) -> None:
    newer = a_flow("hello", "- greet:\n    set: {greeting: good day}\n- wait:\n    wait: PT1H", version="1.1.0")
    await definitions.upload(OPS, _files(HELLO, newer))
    diff = await definitions.diff(OPS, "flow", "shop", "hello", "1.0.0", "1.1.0")
    assert (diff.added, diff.removed, diff.changed) == (("wait",), (), ("greet",))
    assert "+  - wait:" in diff.text
    assert "flow shop/hello 1.0.0" in diff.text


async def test_a_form_published_again_is_in_force_again(
    definitions: DefinitionService, database: Database, clock: SteppedClock
) -> None:
    newer = FORM.replace("name: inspection", "name: inspection\n  version: 1.1.0")
    await definitions.upload(OPS, _files(FORM, newer))

    async def in_force() -> str | None:
        async with UnitOfWork(database) as work:
            found = await Definitions(work).in_force("form", "inspection")
        return found.version if found else None

    assert await in_force() is None
    for version in ("1.0.0", "1.1.0"):
        clock.advance(minutes=1)
        await definitions.publish(OPS, ("form", "", "inspection", version))
        assert await in_force() == version
    clock.advance(minutes=1)
    await definitions.publish(OPS, ("form", "", "inspection", "1.0.0"))
    assert await in_force() == "1.0.0"


async def test_a_dry_run_plays_a_text_that_was_never_uploaded(definitions: DefinitionService) -> None:
    flow = a_flow("later", "- wait:\n    wait: P30D\n- done:\n    set: {after: '${ .n }'}")
    result = await definitions.dry_run(OPS, flow, {"n": 7})
    assert (result.status, result.output) == ("completed", {"after": 7})
    assert result.virtual_s >= 30 * 86_400


async def test_uploads_and_publications_are_audited_and_need_permission(
    definitions: DefinitionService, database: Database
) -> None:
    with pytest.raises(AuthorizationProblem):
        await definitions.upload(an_actor("agent", Role.AGENT), _files(HELLO))
    limited = an_actor("ci", Role.OPS, token_scopes=frozenset({Permission.DEFINITIONS_READ}))
    with pytest.raises(AuthorizationProblem):
        await definitions.upload(limited, _files(HELLO))
    await definitions.upload(OPS, _files(HELLO))
    await definitions.upload(OPS, _files(HELLO))
    await definitions.publish(OPS, ("flow", "shop", "hello", "1.0.0"))
    async with UnitOfWork(database) as work:
        entries = (await AuditLog(work).list(OPS.scope, PageRequest(), action="definition.")).items
    assert sorted(entry.action for entry in entries) == ["definition.publish", "definition.upload"]
    assert {entry.target for entry in entries} == {"definition:flow shop/hello 1.0.0"}


async def test_versions_are_listed_newest_first_page_by_page(
    definitions: DefinitionService, clock: SteppedClock
) -> None:
    for number in range(5):
        clock.advance(seconds=1)
        await definitions.upload(
            OPS, _files(a_flow("hello", f"- a:\n    set: {{n: {number}}}", version=f"1.{number}.0"))
        )
    first = await definitions.search(OPS, PageRequest(size=3), kind="flow")
    rest = await definitions.search(OPS, PageRequest(size=3, cursor=first.next_cursor), kind="flow")
    assert [each.version for each in (*first.items, *rest.items)] == ["1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"]
    assert rest.next_cursor is None


async def test_who_sees_a_shop_only_writes_and_publishes_nothing_that_others_earn_by(
    definitions: DefinitionService,
) -> None:
    of_a_shop = an_actor("qian", Role.FINANCE, scope=Scope.of_accounts("youzan/flagship"))
    with pytest.raises(AuthorizationProblem) as refused:
        await definitions.upload(of_a_shop, _files(SCHEME))
    assert refused.value.problem.as_dict()["rule"] == "data-scope"
    await definitions.upload(an_actor("qian", Role.FINANCE), _files(SCHEME))
    with pytest.raises(AuthorizationProblem, match="see everything"):
        await definitions.publish(of_a_shop, ("scheme", "", "promoting", "1.0.0"))
