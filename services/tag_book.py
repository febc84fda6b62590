"""Tags as profiles and searches see them: who carries which, and why."""

from collections.abc import Sequence
from uuid import UUID

from domain.tags.views import CustomerGrade
from services.profiles import HeldTag
from storage.customer_grades import CustomerGrades
from storage.customer_tags import CustomerTags
from storage.unit_of_work import UnitOfWork


class StoredTags:
    """See `services.profiles.TagBook` and `services.erasure.Traits`."""

    async def held(self, work: UnitOfWork, customer: UUID) -> Sequence[HeldTag]:
        """By rules with what they saw, by people with their reason; without what is excluded."""
        tags = CustomerTags(work)
        marks = await tags.marks(customer)
        excluded = {mark.tag for mark in marks if mark.kind == "exclude"}
        by_rules = [
            HeldTag(row.tag, row.since, row.why, row.rule, row.version)
            for row in await tags.by_rules(customer)
            if row.held
        ]
        by_people = [
            HeldTag(mark.tag, mark.marked_at, [{"source": mark.source, "actor": mark.actor, "reason": mark.reason}])
            for mark in marks
            if mark.kind == "add"
        ]
        return [tag for tag in (*by_rules, *by_people) if tag.tag not in excluded]

    async def grades(self, work: UnitOfWork, customer: UUID) -> Sequence[CustomerGrade]:
        """By grading, with the steps that were met."""
        return await CustomerGrades(work).of_customer(customer)

    async def holders(self, work: UnitOfWork, tag: str, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Customers that carry a tag, in the order of their ids, after one."""
        return await CustomerTags(work).holders(tag, after, limit)

    async def forget(self, work: UnitOfWork, customers: Sequence[UUID]) -> int:
        """Delete everything rules and gradings said of customers; how many tags and grades."""
        return await CustomerTags(work).forget(customers)
