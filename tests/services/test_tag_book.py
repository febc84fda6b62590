"""Who carries a tag, as profiles and searches see it."""

from services.tag_book import StoredTags
from storage.customer_tag_tables import CustomerTagRow, TagCheckRow
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.people import add_customers


async def test_a_decision_gives_a_tag_and_an_exclusion_takes_it(database: Database) -> None:
    async with UnitOfWork(database) as work:
        (first, one), (second, two) = await add_customers(work, 2)
        for identity in (one, two):
            await CustomerTags(work).mark(identity, "VIP", "add", "manual", "li", "老客户")
        await CustomerTags(work).mark(two, "VIP", "exclude", "manual", "li", "员工")
    async with UnitOfWork(database) as work:
        held = await StoredTags().held(work, first)
        assert [(tag.tag, tag.why[0]["reason"], tag.rule) for tag in held] == [("VIP", "老客户", None)]
        assert await StoredTags().held(work, second) == []
        assert await StoredTags().holders(work, "VIP", None, 10) == [first]
        assert await StoredTags().holders(work, "VIP", first, 10) == []


async def test_erasing_forgets_what_rules_said(database: Database) -> None:
    async with UnitOfWork(database) as work:
        (erased, _), (other, _) = await add_customers(work, 2)
        for customer in (erased, other):
            work.session.add(
                CustomerTagRow(
                    customer_id=customer,
                    rule="spending",
                    tag="VIP",
                    version="1",
                    held=True,
                    turn=1,
                    since=work.now,
                    why=[],
                )
            )
            work.session.add(TagCheckRow(customer_id=customer, rule="spending", due_at=work.now))
    async with UnitOfWork(database) as work:
        assert await StoredTags().forget(work, [erased]) == 1
    async with UnitOfWork(database) as work:
        assert await StoredTags().held(work, erased) == []
        (tag,) = await StoredTags().held(work, other)
        assert (tag.tag, tag.rule, tag.version) == ("VIP", "spending", "1")
        assert await CustomerTags(work).due(10) == {"spending": [other]}
