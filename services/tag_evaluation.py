"""Rules and gradings over customers who may have different versions of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.tags import LiveGrading, LiveRule
from domain.tags.in_force import Buckets, InForce
from storage.customer_traits import CustomerTraits, Turned
from storage.unit_of_work import UnitOfWork


async def bring_up_to_date(
    work: UnitOfWork,
    rules: Sequence[InForce[LiveRule]],
    gradings: Sequence[InForce[LiveGrading]],
    customers: Collection[UUID],
    *,
    kinds: frozenset[str] | None = None,
    among: Mapping[str, Buckets] | None = None,
    exact: bool = False,
) -> Turned:
    """As `CustomerTraits.bring_up_to_date`, with the version of each rule that decides about the customer.

    kinds: leave out versions that look at none of these. among: by rule, the buckets whose customers it looks at; the
    others stay as they are. What is tried out costs statements of its own, and nothing else does.
    """
    traits, everybody = CustomerTraits(work), Buckets()
    among = among or {}

    def is_asked(version: LiveRule | LiveGrading) -> bool:
        return kinds is None or bool(version.looks_at & kinds)

    def is_same_for_all(each: InForce[Any]) -> bool:
        return each.candidate is None and among.get(each.key, everybody).is_all

    turned = await traits.bring_up_to_date(
        [each.live for each in rules if is_same_for_all(each) and is_asked(each.live)],
        [each.live for each in gradings if is_same_for_all(each) and is_asked(each.live)],
        customers,
        exact=exact,
    )
    for rule in rules:
        for version, some in () if is_same_for_all(rule) else rule.parted(customers, among.get(rule.key, everybody)):
            if is_asked(version):
                turned += await traits.bring_up_to_date([version], [], some, exact=exact)
    for grading in gradings:
        if not is_same_for_all(grading):
            for grader, some in grading.parted(customers, among.get(grading.key, everybody)):
                if is_asked(grader):
                    turned += await traits.bring_up_to_date([], [grader], some, exact=exact)
    return turned


def is_among(customer: UUID, rules: Iterable[InForce[Any]], among: Mapping[str, Buckets]) -> bool:
    """Whether one of these rules is to look at a customer."""
    for rule in rules:
        asked = among[rule.key]
        if asked.is_all or asked.first <= rule.bucket(customer) < asked.end:
            return True
    return False
