"""Whom a platform told nothing about: found by the reason, shown masked, asked about again, all on record."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from domain.access import Role, Scope
from domain.problems import AuthorizationProblem
from services.audit import AuditTrail
from services.failed_lookups import FailedLookupService
from services.quarantine import Moved
from storage.engine import Database
from storage.failed_lookups import LookupFilter
from storage.figures import Figures
from storage.lookups import Ask, Lookups
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.people import add_customers

ADMIN = an_actor("root")
REFUSED = "the application lacks the permission user.info"


async def three_failures(database: Database) -> list[int]:
    """Two buyers of whom the shop told nothing, of the first it never will; and one of whom it told."""
    async with UnitOfWork(database) as work:
        numbers = [identity for _, identity in await add_customers(work, 3)]
        lookups = Lookups(work)
        await lookups.ask([Ask(number, "youzan/flagship", work.now) for number in numbers])
        refused, busy, told = await lookups.claim("youzan", 3, timedelta(minutes=1))
        await lookups.failed(refused, f"{REFUSED}, asked for {refused.value}", None)
        await lookups.failed(busy, "too many requests", work.now + timedelta(minutes=5))
        await lookups.answered(told)
    return numbers


async def found(database: Database, wanted: LookupFilter) -> list[int]:
    return [each.id for each in (await FailedLookupService(database).list(ADMIN, wanted, PageRequest())).items]


async def test_they_are_found_by_reason_and_shown_masked(database: Database) -> None:
    refused, busy, _ = await three_failures(database)
    assert await found(database, LookupFilter()) == [refused, busy]
    assert await found(database, LookupFilter(state="given_up")) == [refused]
    assert await found(database, LookupFilter(state="retrying", platform="youzan")) == [busy]
    assert await found(database, LookupFilter(problem="user.info")) == [refused]
    assert await found(database, LookupFilter(problem="user%info")) == [], "a pattern is a text here"
    assert await found(database, LookupFilter(account="wecom/corp")) == []
    service = FailedLookupService(database)
    first = await service.list(ADMIN, LookupFilter(), PageRequest(1))
    (shown,) = first.items
    assert (shown.state, shown.attempts, shown.next_at) == ("given_up", 1, None)
    assert f"B{refused}" not in (shown.value, *shown.problem.split()), "the key is masked, also in the sentence"
    (second,) = (await service.list(ADMIN, LookupFilter(), PageRequest(1, first.next_cursor))).items
    assert second.id == busy


async def test_a_key_that_nobody_can_decrypt_is_given_up_and_holds_up_no_other(database: Database) -> None:
    async with UnitOfWork(database) as work:
        numbers = [identity for _, identity in await add_customers(work, 3)]
        await Lookups(work).ask([Ask(number, "youzan/flagship", work.now) for number in numbers])
        await work.session.execute(
            text("UPDATE identities SET value = set_byte(value, 20, 255 - get_byte(value, 20)) WHERE id = :id"),
            {"id": numbers[1]},
        )
    async with UnitOfWork(database) as work:
        claimed = await Lookups(work).claim("youzan", 9, timedelta(minutes=1))
    assert {each.identity_id for each in claimed} == {numbers[0], numbers[2]}
    async with UnitOfWork(database) as work:
        await Lookups(work).failed(min(claimed, key=lambda each: each.identity_id), "too many requests", None)
    async with UnitOfWork(database) as work:
        assert (await Figures(work).collect()).lookups.aside == 2
    first, second = (await FailedLookupService(database).list(ADMIN, LookupFilter(), PageRequest())).items
    assert (first.problem, second.value) == ("too many requests", None)
    assert second.id == numbers[1]
    assert "无法读取" in second.problem
    assert "cannot be read" in second.problem


async def test_monitoring_counts_who_is_due_and_who_was_given_up(database: Database, clock: SteppedClock) -> None:
    await three_failures(database)
    async with UnitOfWork(database) as work:
        lookups = (await Figures(work).collect()).lookups
    assert (lookups.waiting, lookups.aside) == (0, 1)
    due_at = clock.now + timedelta(minutes=5)
    clock.advance(minutes=6)
    async with UnitOfWork(database) as work:
        lookups = (await Figures(work).collect()).lookups
    assert (lookups.waiting, lookups.oldest_at, lookups.aside) == (1, due_at, 1)


async def test_who_is_chosen_is_asked_about_at_once_and_that_is_on_record(database: Database) -> None:
    refused, busy, _ = await three_failures(database)
    service = FailedLookupService(database)
    assert await service.ask_again(ADMIN, LookupFilter(problem=REFUSED)) == Moved(1, False)
    assert await found(database, LookupFilter()) == [busy]
    async with UnitOfWork(database) as work:
        (claimed,) = await Lookups(work).claim("youzan", 9, timedelta(minutes=1))
    assert (claimed.identity_id, claimed.attempts) == (refused, 0)
    (entry,) = (await AuditTrail(database).list(ADMIN, PageRequest(1), action="lookup.retry")).items
    assert (entry.actor, entry.detail) == ("root", {"problem": REFUSED, "found": 1})
    assert await service.ask_again(ADMIN, LookupFilter(ids=[refused])) == Moved(0, False), "it has not failed again"


async def test_only_who_sees_everything_and_may_send_events_asks_again(database: Database) -> None:
    service, everything = FailedLookupService(database), LookupFilter()
    with pytest.raises(AuthorizationProblem):
        await service.ask_again(an_actor("auditor", Role.AUDITOR), everything)
    with pytest.raises(AuthorizationProblem):
        await service.list(an_actor("agent", Role.AGENT), everything, PageRequest())
    with pytest.raises(AuthorizationProblem):
        await service.list(an_actor("ops", Role.OPS, scope=Scope.of_accounts("youzan/shop")), everything, PageRequest())
