"""What people decide about whom to leave alone: undone, for one article, until a day, under every key."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import col, select

from domain.access import Role
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ValidationProblem,
)
from services.customers import CustomerService
from services.reach import ReachService
from services.suppressions import SuppressionService
from storage.audit import AuditEntryRow
from storage.engine import Database
from storage.events import EventRow
from storage.identities import Identities
from storage.suppressions import Article
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.test_suppressions import SUPERVISOR, reach, refund, refusal, silence, take_in, the_customer

__all__ = ["reach"]


async def test_a_person_silences_everything_and_lifts_it_again(database: Database, reach: ReachService) -> None:
    (made,) = await silence(database)
    assert (made.reason, made.item_id, made.until, made.made_by) == ("manual", None, None, SUPERVISOR.login)
    assert await refusal(reach, "scarf") == "suppressed"
    assert await refusal(reach, "scarf", purpose="service") is None
    assert [each.id for each in await silence(database)] == [made.id], "said twice is said once"
    customer = await the_customer(database)
    assert await SuppressionService(database).lift(SUPERVISOR, customer, made.id, "本人同意") == []
    assert await refusal(reach, "scarf") is None
    async with UnitOfWork(database) as work:
        kind = "tandem.customer.suppressed"
        told = list(await work.session.scalars(select(EventRow).where(col(EventRow.type) == kind)))
        written = await work.session.scalars(select(AuditEntryRow.action))
        assert [each for each in written if each.startswith("customer.")] == [
            "customer.suppress",
            "customer.suppress",
            "customer.unsuppress",
        ]
    assert [event.envelope["data"]["reason"] for event in told] == ["manual"]


async def test_one_article_until_a_day(database: Database, reach: ReachService, clock: SteppedClock) -> None:
    until = clock.now + timedelta(days=7)
    await silence(database, article=Article("youzan/flagship", "coat"), until=until)
    await silence(database, article=Article("youzan/outlet", "coat"), until=until)
    assert (await refusal(reach, "coat"), await refusal(reach, "scarf")) == ("suppressed", None)
    clock.advance(days=8)
    assert await refusal(reach, "coat") is None


async def test_what_is_no_decision_of_a_person_or_none_at_all_is_refused(
    database: Database, reach: ReachService, clock: SteppedClock
) -> None:
    service, customer = SuppressionService(database), await the_customer(database)
    with pytest.raises(ValidationProblem, match="reason"):
        await service.silence(SUPERVISOR, customer, "  ")
    with pytest.raises(ValidationProblem, match="ten years"):
        await service.silence(SUPERVISOR, customer, "x", until=clock.now - timedelta(seconds=1))
    with pytest.raises(AuthorizationProblem):
        await service.silence(an_actor("qian", Role.FINANCE), customer, "x")
    with pytest.raises(NotFoundProblem):
        await service.silence(SUPERVISOR, UUID(int=1), "x")
    await take_in(database, refund__changed=refund("requested", 2))
    (of_refund,) = await service.of_customer(SUPERVISOR, customer)
    with pytest.raises(ConflictProblem, match="refund"):
        await service.lift(SUPERVISOR, customer, of_refund.id, "x")
    with pytest.raises(NotFoundProblem):
        await service.lift(SUPERVISOR, customer, 10**6, "x")


async def test_who_is_left_alone_stays_so_under_every_key(database: Database, reach: ReachService) -> None:
    await silence(database)
    customer = await the_customer(database)
    async with UnitOfWork(database) as work:
        keys = await Identities(work).of_customers([customer])
    parted = await CustomerService(database).split(an_actor("root"), customer, [keys[0].id], "不是同一人")
    for each in parted.customers:
        assert await SuppressionService(database).of_customer(SUPERVISOR, each)
