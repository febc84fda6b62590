"""After a merge, what began under a former id is still found: by today's id, and by the former one."""

from uuid import UUID

import pytest

from domain.canonical import Buyer
from services.customers import CustomerService
from storage.human_tasks import TaskFilter
from storage.identities import Customers
from storage.paging import PageRequest
from storage.runs import RunFilter
from storage.unit_of_work import UnitOfWork
from tests.services.enrolling import an_order, customer_of, take_in
from tests.services.house import ADMIN, House, a_flow
from workflows.messages import OpenHumanTask

ABOUT = ("today", "former", "somebody else")


@pytest.fixture
async def people(house: House) -> list[UUID]:
    """Two who are one by now, the one whose id stays first, and somebody else; a run and a task of each."""
    await house.publish(a_flow("care", "- rest: { wait: PT1H }"))
    for number in range(3):
        await take_in(house, an_order(1, Buyer(buyer_id=f"buyer-{number}"), f"E{number}", "jd/flagship"))
    found = [await customer_of(house, str(number)) for number in range(3)]
    for about, customer in zip(ABOUT, found, strict=True):
        subject = f"customer:{customer}"
        run = await house.runs.start(ADMIN, "shop", "care", {"about": about}, subject=subject)
        arguments = {"queue": "care", "title": about, "form": {"type": "object"}}
        await house.steps.open(
            OpenHumanTask(about, run.id, "call", "/do/0/call", subject, arguments, "2026-11-11T00:00:00.000Z")
        )
    await CustomerService(house.database).merge(ADMIN, found[0], [found[1]], "同一人")
    async with UnitOfWork(house.database) as work:
        today = await Customers(work).current(found[1])
    return sorted(found[:2], key=lambda each: each != today) + found[2:]


async def runs(house: House, wanted: RunFilter) -> set[str]:
    page = await house.runs.search(ADMIN, wanted, PageRequest())
    return {str(run.customer) for run in page.items}


async def test_runs_of_a_former_id_are_listed_by_customer_and_by_subject(house: House, people: list[UUID]) -> None:
    one = {str(each) for each in people[:2]}
    for asked in people[:2]:
        assert await runs(house, RunFilter(customer=str(asked))) == one
        assert await runs(house, RunFilter(subject=f"customer:{asked}")) == one
    assert await runs(house, RunFilter(customer=str(people[2]))) == {str(people[2])}
    assert await runs(house, RunFilter(subject=str(people[0]))) == set(), "an id alone is no subject"


async def test_tasks_of_a_former_id_are_listed_by_subject(house: House, people: list[UUID]) -> None:
    async def titles(subject: str) -> set[str]:
        page = await house.human_tasks.search(ADMIN, TaskFilter(subject=subject), PageRequest())
        return {task.title for task in page.items}

    for asked in people[:2]:
        assert await titles(f"customer:{asked}") == {"today", "former"}
    assert await titles(f"customer:{people[2]}") == {"somebody else"}
