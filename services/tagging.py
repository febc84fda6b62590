"""Keeping tags true: after every batch for whom it touched, when time makes a check due, and after a rule changed.

A customer is locked before the rules look, so of two batches about one person the second sees what the first wrote, and
a tag is gained exactly once however orders, checks and backfills fall together.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.events import Event
from domain.ids import derived_id
from services.grading import graded_events
from services.tag_rules import RuleBook, RuleInForce
from storage.customer_tags import CustomerTags
from storage.customer_traits import CustomerTraits, GradeChange, TagChange
from storage.engine import Database
from storage.events import Events
from storage.identities import Customers
from storage.lookups import Lookups
from storage.tag_backfills import TagBackfills
from storage.unit_of_work import UnitOfWork

SOURCE = "/tandem/tags"
OWN_GROUP = "Tandem"
"""The group of shared tags whose rule names none."""
CHECKS_AT_ONCE = 2_000
BACKFILL_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What one round did: customers looked at, tags gained and lost. complete: whether nothing more is due now."""

    customers: int = 0
    gained: int = 0
    lost: int = 0
    complete: bool = True


class Tagging:
    """See `services.intake.Tagging`."""

    def __init__(self, database: Database, book: RuleBook | None = None) -> None:
        self._database = database
        self._book = book or RuleBook()

    async def evaluate(
        self,
        work: UnitOfWork,
        customers: frozenset[UUID],
        kinds: frozenset[str],
        moved: frozenset[UUID] = frozenset(),
    ) -> Sequence[Event]:
        """Bring tags of these customers up to date, by rules that look at these kinds of records; who gained and lost
        which, for the outbox.

        moved: who merged or parted in this unit of work. They carry what others did before, which no rule says, are
        looked at with every rule, and so are their contacts on chat platforms.
        """
        if not customers:
            return []
        current = await self._book.current(work)
        rules, shared = [each.rule for each in current], shared_tags(current)
        gradings = [each.grading for each in await self._book.gradings(work)]
        if not rules and not gradings:
            return []
        tags = CustomerTags(work)
        found = await tags.lock(customers)
        survivors = await tags.follow_merges(found, moved)
        present = {customer for customer, target in found.items() if target is None}
        # What changed while somebody was part of another, they were not looked at for.
        anew = survivors | (present & moved)
        traits = CustomerTraits(work)
        touched = [rule for rule in rules if rule.looks_at & kinds]
        turned = await traits.bring_up_to_date(
            touched, [each for each in gradings if each.looks_at & kinds], present - anew
        )
        survived = await traits.bring_up_to_date(rules, gradings, anew)
        events = await _events(work, [*turned.tags, *survived.tags], shared)
        if shared:
            await Lookups(work).ask_about_contacts_of(moved)
        return await under_every_id(work, [*events, *graded_events(work, [*turned.grades, *survived.grades])])

    async def check_due(self, limit: int = CHECKS_AT_ONCE) -> Checked:
        """Look again at customers for whom time may have changed an answer, the longest due first."""
        async with UnitOfWork(self._database) as work:
            tags = CustomerTags(work)
            due = await tags.due(limit)
            current = await self._book.current(work)
            rules = {each.rule.name: each.rule for each in current}
            gradings = {each.grading.key: each.grading for each in await self._book.gradings(work)}
            # Whom a batch holds at this moment is left for the next round: nobody waits for anybody.
            waiting = {customer for customers in due.values() for customer in customers}
            held = await tags.lock(waiting, skip_locked=True) if waiting else {}
            changes: list[TagChange] = []
            graded: list[GradeChange] = []
            for names, customers in _by_rules(due):
                mine = [customer for customer in customers if customer in held]
                live = [rules[name] for name in names if name in rules]
                await tags.forget_checks(mine, names)
                present = [customer for customer in mine if held[customer] is None]
                regraded = [gradings[name] for name in names if name in gradings]
                turned = await CustomerTraits(work).bring_up_to_date(live, regraded, present)
                changes += turned.tags
                graded += turned.grades
            told = await _events(work, changes, shared_tags(current))
            await Events(work).add(await under_every_id(work, [*told, *graded_events(work, graded)]))
        count = sum(len(customers) for customers in due.values())
        return _checked(len(held), changes, complete=count < limit)

    async def measure(self) -> int:
        """Measure anew, once a day, what RFM gradings rank customers by; how many were. The backfill does the rest."""
        async with UnitOfWork(self._database) as work:
            return await self._book.measure(work)

    async def backfill(self, limit: int = BACKFILL_AT_ONCE) -> Checked:
        """Look at the next customers with the rules whose newest version not everybody was looked at with.

        Their events are remembered and start nothing: a new rule must not send everybody a message.
        """
        async with UnitOfWork(self._database) as work:
            backfills, tags = TagBackfills(work), CustomerTags(work)
            await backfills.lock()
            current = await self._book.current(work)
            graded = await self._book.gradings(work)
            await backfills.begin(
                {each.rule.name: (each.digest, each.rule.version) for each in current}
                | {each.grading.key: (each.digest, each.grading.version) for each in graded}
            )
            rules, cursor = await backfills.next()
            live = [each.rule for each in current if each.rule.name in rules]
            gradings = [each.grading for each in graded if each.grading.key in rules]
            if not live and not gradings:
                return Checked()
            customers = await tags.after(cursor, limit)
            held = await tags.lock(customers) if customers else {}
            present = [customer for customer, target in held.items() if target is None]
            turned = await CustomerTraits(work).bring_up_to_date(live, gradings, present, exact=True)
            changes = turned.tags
            events = [*await _events(work, changes, shared_tags(current)), *graded_events(work, turned.grades)]
            await Events(work).add(await under_every_id(work, events), queue=False)
            if newly := [rule.tag for rule in live if rule.share]:
                # It may be that what they carry is shared from this version on.
                carrying = await tags.tags_elsewhere([(customer, tag) for customer in present for tag in newly])
                await Lookups(work).ask_about_contacts_of({customer for customer, _ in carrying})
            last = customers[-1] if customers else cursor
            await backfills.advance(rules, last, len(present), changes, is_last=len(customers) < limit)
        return _checked(len(present), changes, complete=False)


def _checked(customers: int, changes: Sequence[TagChange], *, complete: bool) -> Checked:
    gained = sum(change.holds and not change.was_held for change in changes)
    lost = sum(change.was_held and not change.holds for change in changes)
    return Checked(customers, gained, lost, complete)


def _by_rules(due: dict[str, list[UUID]]) -> Iterator[tuple[list[str], list[UUID]]]:
    """Customers with the same rules due together, so that each group is one statement."""
    rules_of: dict[UUID, list[str]] = {}
    for rule in sorted(due):
        for customer in due[rule]:
            rules_of.setdefault(customer, []).append(rule)
    groups: dict[tuple[str, ...], list[UUID]] = {}
    for customer, rules in rules_of.items():
        groups.setdefault(tuple(rules), []).append(customer)
    for names, customers in groups.items():
        yield list(names), customers


async def _events(work: UnitOfWork, changes: Sequence[TagChange], shared: Collection[str]) -> list[Event]:
    """Tags that customers carry now and did not before, and the other way round, whatever else gives them the tag.

    Where such a tag is shared, their contacts on chat platforms are looked at.
    """
    gains = [(change, change.tag) for change in changes if change.holds and _gave(change) != change.tag]
    losses = [(change, was) for change in changes if (was := _gave(change)) and (not change.holds or was != change.tag)]
    pairs = {(change.customer_id, tag) for change, tag in (*gains, *losses)}
    carried = await CustomerTags(work).tags_elsewhere(pairs)
    before = {pair: carried.get(pair, 0) for pair in pairs}
    for change, tag in gains:
        before[change.customer_id, tag] -= 1
    for change, tag in losses:
        before[change.customer_id, tag] += 1
    told: dict[tuple[UUID, str], Event] = {}
    for what, list_of in (("gained", gains), ("lost", losses)):
        for change, tag in list_of:
            pair = (change.customer_id, tag)
            carries, carried_before = carried.get(pair, 0) > 0, before[pair] > 0
            if carries != carried_before and carries == (what == "gained"):
                told.setdefault(pair, tag_event(work, what, change, tag))
    await Lookups(work).ask_about_contacts_of({customer for customer, tag in told if tag in shared})
    return list(told.values())


async def under_every_id(work: UnitOfWork, events: Sequence[Event]) -> list[Event]:
    """The same events of customers, told under their former ids as well: runs that began before a merge know those."""
    if not events:
        return []
    aliases = await Customers(work).aliases({UUID(each.data["customer"]) for each in events})
    return [
        each.model_copy(update={"tandemkeys": tuple(f"customer:{alias}" for alias in former)})
        if (former := aliases.get(UUID(each.data["customer"])))
        else each
        for each in events
    ]


def mark_event(work: UnitOfWork, customer: UUID, tag: str, source: str, *, gained: bool, by: str, reason: str) -> Event:
    """`tandem.customer.tag-gained` or `tag-lost` by a decision. source: `manual`, `run:…` or `platform:…`."""
    what = "gained" if gained else "lost"
    return Event(
        id=derived_id("tag", what, str(customer), source, tag, work.now.isoformat()),
        source=SOURCE,
        type=f"tandem.customer.tag-{what}",
        time=work.now,
        subject=f"customer:{customer}",
        datacontenttype="application/json",
        data={"customer": str(customer), "tag": tag, "rule": source, "by": by, "reason": reason},
    )


def shared_tags(rules: Iterable[RuleInForce]) -> dict[str, str]:
    """The tags that go to chat platforms, each with its group there."""
    shared: dict[str, str] = {}
    for each in rules:
        if each.rule.share:
            shared.setdefault(each.rule.tag, each.rule.group or OWN_GROUP)
    return shared


def _gave(change: TagChange) -> str | None:
    """The tag that the rule gave before."""
    return change.was_tag if change.was_held else None


def tag_event(work: UnitOfWork, what: str, change: TagChange, tag: str) -> Event:
    """`tandem.customer.tag-gained` or `tag-lost`, the same one however often this turn is told."""
    return Event(
        id=derived_id("tag", what, str(change.customer_id), change.rule, tag, str(change.turn)),
        source=SOURCE,
        type=f"tandem.customer.tag-{what}",
        time=work.now,
        subject=f"customer:{change.customer_id}",
        datacontenttype="application/json",
        data={
            "customer": str(change.customer_id),
            "tag": tag,
            "rule": change.rule,
            "turn": change.turn,
            "why": change.why,
        },
    )
