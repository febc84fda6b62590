"""`tag` and `untag` on the real database: said by which run, told once, and refused for nobody."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.binding import CallBinder
from activities.customers import customer_activities
from domain.access import Role
from domain.catalog.customers import TAG, UNTAG
from services.customer_facts import CustomerFactsService
from services.customer_tags import CustomerTagService
from services.tagging import Tagging
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.events import EventRow
from storage.unit_of_work import UnitOfWork
from tests.activities.test_binding import NoSecrets
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.people import order
from tests.services.test_customer_tags import tags_of, told
from tests.services.test_tagging import happens, publish, rule, somebody
from workflows.messages import CallEnvelope

AGENT = an_actor("li.lei", Role.AGENT)
RUN = "tandem/journeys/rescue/1"
STEP = "/do/0/mark"


async def does(database: Database, call: str, subject: str = "", *, key: str = "k", run: str = RUN, **more: Any) -> Any:
    """One attempt of a call by a run that is about `subject`."""
    activities = customer_activities(
        CallBinder(database, NoSecrets()), CustomerFactsService(database), CustomerTagService(database)
    )
    perform = activities[1 if call == TAG.name else 2]
    arguments = {"tag": "犹豫型", "reason": "三天没付款", **more}
    return await ActivityEnvironment().run(perform, CallEnvelope(call, arguments, f"{call}-{key}", run, STEP, subject))


async def audited(database: Database, customer: UUID) -> list[Any]:
    async with UnitOfWork(database) as work:
        statement = "SELECT actor, action FROM audit_entries WHERE target = :target ORDER BY at"
        rows = await work.session.execute(text(statement), {"target": f"customer:{customer}"})
        return [tuple(row) for row in rows]


async def test_a_run_tags_and_untags_its_customer_and_says_that_it_did(database: Database, clock: SteppedClock) -> None:
    customer, _ = await somebody(database)
    subject = f"customer:{customer}"
    assert await does(database, "tag", subject) == {"customer_id": str(customer), "carried": True}
    why = await CustomerTagService(database).explain(AGENT, customer, "犹豫型")
    assert [(mark.source, mark.actor, mark.reason) for mark in why.marks] == [(f"run:{RUN}", STEP, "三天没付款")]
    assert (await CustomerFactsService(database).get(subject)).tags == ("犹豫型",)
    clock.advance(hours=1)
    assert await does(database, "untag", subject) == {"customer_id": str(customer), "carried": False}
    assert await tags_of(database, customer) == []
    assert await told(database) == ["gained", "lost"]
    assert await audited(database, customer) == [("system:runs", "tag.add"), ("system:runs", "tag.remove")]
    async with UnitOfWork(database) as work:
        (ended,) = await CustomerTags(work).marks(customer, "犹豫型", ended=True)
        lost = await work.session.scalar(select(EventRow).where(col(EventRow.type).endswith("tag-lost")))
    assert lost is not None
    data = lost.envelope["data"]
    assert (ended.ended_by, data["rule"], data["by"]) == (f"run:{RUN}", f"run:{RUN}", STEP)


async def test_an_attempt_that_is_repeated_changes_and_tells_nothing_more(database: Database) -> None:
    customer, _ = await somebody(database)
    for call in ("tag", "untag"):
        answer = await does(database, call, f"customer:{customer}")
        assert await does(database, call, f"customer:{customer}") == answer
        async with UnitOfWork(database) as work:
            # As if the worker had died between the decision and its record.
            await work.session.execute(text("UPDATE effects SET state = 'started', answer = NULL"))
        assert await does(database, call, f"customer:{customer}") == answer
        assert await does(database, call, f"customer:{customer}", key="again", run="another") == answer
    assert await told(database) == ["gained", "lost"]
    assert len(await audited(database, customer)) == 2


async def test_no_flow_overrules_who_keeps_a_customer_free_of_a_tag(database: Database) -> None:
    customer, _ = await somebody(database)
    tags = CustomerTagService(database)
    await tags.decide(AGENT, customer, "犹豫型", "exclude", "员工账号")
    assert not (await does(database, "tag", customer=str(customer)))["carried"]
    assert await tags_of(database, customer) == []
    await tags.decide(AGENT, customer, "犹豫型", "include", "已离职")
    assert await tags_of(database, customer) == ["犹豫型"]


async def test_untag_takes_what_a_person_gave_and_not_what_a_rule_gives(
    database: Database, clock: SteppedClock
) -> None:
    customer, identity = await somebody(database)
    tags = CustomerTagService(database)
    await tags.decide(AGENT, customer, "犹豫型", "add", "电话确认")
    assert not (await does(database, "untag", customer=str(customer)))["carried"]
    await publish(database, rule("all: [ { orders: { within: P7D } } ]", tag="犹豫型"))
    assert await happens(database, customer, identity, order("E1", clock.now)) == ["+犹豫型"]
    assert (await does(database, "untag", customer=str(customer), key="2"))["carried"]
    clock.advance(days=7)
    await Tagging(database).check_due()
    assert await tags_of(database, customer) == []


@pytest.mark.parametrize("call", [TAG.name, UNTAG.name])
@pytest.mark.parametrize("name", [f"customer:{UUID(int=1)}", "key:buyer/youzan/B1", "refund:1", "not an id"])
async def test_nobody_is_refused_as_not_found_at_once(database: Database, call: str, name: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        await does(database, call, name)
    assert caught.value.non_retryable
    assert caught.value.details[0]["status"] == 404


async def test_a_tag_as_nobody_may_write_it_is_refused(database: Database) -> None:
    customer, _ = await somebody(database)
    for wrong in ({"tag": " 犹豫型"}, {"reason": "  "}, {"tag": "长" * 31}, {"tag": ""}):
        with pytest.raises(ApplicationError) as caught:
            await does(database, "tag", key=str(wrong), customer=str(customer), **wrong)
        assert caught.value.details[0]["status"] == 400
    assert await told(database) == []
