"""Keeping tags true: after every batch for whom it touched, when time makes a check due, and after a rule changed.

A customer is locked before the rules look, so of two batches about one person the second sees what the first wrote, and
a tag is gained exactly once however orders, checks and backfills fall together.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from domain.events import Event
from domain.ids import derived_id
from domain.tags import LiveRule
from domain.tags.in_force import InForce
from services.grading import graded_events
from services.tag_evaluation import bring_up_to_date, is_among
from services.tag_rules import RuleBook
from storage.crowds import MOST_RECORDS
from storage.customer_tags import CustomerTags
from storage.customer_traits import GradeChange, TagChange
from storage.engine import Database
from storage.events import Events
from storage.failures import depends_on_rows
from storage.identities import Customers
from storage.lookups import Lookups
from storage.tag_backfills import TagBackfills
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

SOURCE = "/tandem/tags"
OWN_GROUP = "Tandem"
"""The group of shared tags whose rule names none."""
CHECKS_AT_ONCE = 2_000
BACKFILL_AT_ONCE = 2_000
_MOST_REMEMBERED = 1_000
_CHECK_BUDGET_S = 30.0
_MEASURE_BUDGET_S = 10.0
_MEASURE_AGAIN_S = 6 * 3600.0
_TOMORROW = timedelta(days=1)
_UNREAD_AGAIN = timedelta(hours=1)


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
        self._crowds: set[UUID] = set()
        self._measures_again_at: dict[str, float] = {}

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
        shared = shared_tags(current)
        gradings = await self._book.gradings(work)
        if not current and not gradings:
            return []
        tags = CustomerTags(work)
        found = await tags.lock(customers)
        survivors = await tags.follow_merges(found, moved)
        present = {customer for customer, target in found.items() if target is None}
        # What changed while somebody was part of another, they were not looked at for.
        anew = survivors | (present & moved)
        turned = await bring_up_to_date(work, current, gradings, present - anew, kinds=kinds)
        survived = await bring_up_to_date(work, current, gradings, anew)
        self._tell_crowds(turned.crowds | survived.crowds)
        events = await _events(work, [*turned.tags, *survived.tags], shared)
        if shared:
            await Lookups(work).ask_about_contacts_of(moved)
        return await under_every_id(work, [*events, *graded_events(work, [*turned.grades, *survived.grades])])

    async def check_due(self, limit: int = CHECKS_AT_ONCE, *, budget_s: float = _CHECK_BUDGET_S) -> Checked:
        """Look again at customers for whom time may have changed an answer, the longest due first; nothing further is
        begun when the budget is used up."""
        end, in_time = time.monotonic() + budget_s, True
        async with UnitOfWork(self._database) as work:
            tags = CustomerTags(work)
            due = await tags.due(limit)
            current = await self._book.current(work)
            rules = {each.key: each for each in current}
            gradings = {each.key: each for each in await self._book.gradings(work)}
            # Of another release, or waiting to be measured: somebody looks, later.
            unread = await self._book.names(work) - rules.keys() - gradings.keys()
            # Whom a batch holds at this moment is left for the next round: nobody waits for anybody.
            waiting = {customer for customers in due.values() for customer in customers}
            held = await tags.lock(waiting, skip_locked=True) if waiting else {}
            changes: list[TagChange] = []
            graded: list[GradeChange] = []
            for names, customers in _by_rules(due):
                if not (in_time := time.monotonic() < end):
                    break
                mine = [customer for customer in customers if customer in held]
                live = [rules[name] for name in names if name in rules]
                await tags.forget_checks(mine, [name for name in names if name not in unread])
                for name in unread.intersection(names):
                    await tags.put_off(mine, name, work.now + _UNREAD_AGAIN)
                present = [customer for customer in mine if held[customer] is None]
                regraded = [gradings[name] for name in names if name in gradings]
                turned = await bring_up_to_date(work, live, regraded, present)
                self._tell_crowds(turned.crowds)
                changes += turned.tags
                graded += turned.grades
            told = await _events(work, changes, shared_tags(current))
            await Events(work).add(await under_every_id(work, [*told, *graded_events(work, graded)]))
        count = sum(len(customers) for customers in due.values())
        return _checked(len(held), changes, complete=in_time and count < limit)

    async def put_off_check(self) -> None:
        """Leave the check that is due the longest for tomorrow: the database does not finish it."""
        async with UnitOfWork(self._database) as work:
            tags = CustomerTags(work)
            for rule, customers in (await tags.due(1)).items():
                await tags.put_off(customers, rule, work.now + _TOMORROW)
                log.error("a check of tags is put off", rule=rule, customer=str(customers[0]))

    async def measure(self) -> int:
        """Measure anew, once a day, what RFM gradings rank customers by; how many were. The backfill does the rest.

        One that the database does not finish is tried again after hours, and holds up no other.
        """
        measured, end = 0, time.monotonic() + _MEASURE_BUDGET_S
        async with UnitOfWork(self._database) as work:
            due = await self._book.due_measures(work)
        for name, measure in due.items():
            if time.monotonic() >= end:
                break
            if time.monotonic() < self._measures_again_at.get(name, 0.0):
                continue
            try:
                async with UnitOfWork(self._database) as work:
                    measured += await measure(work)
            except Exception as error:
                if not depends_on_rows(error):
                    raise
                self._measures_again_at[name] = time.monotonic() + _MEASURE_AGAIN_S
                log.warning("a measure is put off", what=name, reason=str(error))
        return measured

    async def backfill(self, limit: int = BACKFILL_AT_ONCE, *, passing_over: bool = False) -> Checked:
        """Look at the next customers for whom another version of a rule counts than they were looked at with.

        Their events are remembered and start nothing: a new rule must not send everybody a message.
        passing_over: go on behind them without a look, the database does not finish it; they follow with their next
        record.
        """
        async with UnitOfWork(self._database) as work:
            backfills, tags = TagBackfills(work), CustomerTags(work)
            await backfills.lock()
            current = await self._book.current(work)
            graded = await self._book.gradings(work)
            await backfills.begin(
                {each.key: (each.spread, each.live.version) for each in current}
                | {each.key: (each.spread, each.live.version) for each in graded}
            )
            known = {*(each.key for each in current), *(each.key for each in graded)}
            rules, cursor = await backfills.next(known)
            live = [each for each in current if each.key in rules]
            gradings = [each for each in graded if each.key in rules]
            if not live and not gradings:
                return Checked()
            customers = await tags.after(cursor, limit)
            moved = [each for each in customers if is_among(each, [*live, *gradings], rules)]
            if passing_over:
                log.error("a backfill passes customers over", customers=[str(each) for each in moved])
                moved = []
            held = await tags.lock(moved) if moved else {}
            present = [customer for customer, target in held.items() if target is None]
            turned = await bring_up_to_date(work, live, gradings, present, among=rules, exact=True)
            self._tell_crowds(turned.crowds)
            changes = turned.tags
            events = [*await _events(work, changes, shared_tags(current)), *graded_events(work, turned.grades)]
            await Events(work).add(await under_every_id(work, events), queue=False)
            if newly := {version.tag for each in live for version in each.versions if version.share}:
                # It may be that what they carry is shared from this version on, also where the version is the same.
                carrying = await tags.tags_elsewhere([(customer, tag) for customer in customers for tag in newly])
                await Lookups(work).ask_about_contacts_of({customer for customer, _ in carrying})
            last = customers[-1] if customers else cursor
            both: list[InForce[Any]] = [*live, *gradings]
            seen = {each.key: sum(is_among(customer, [each], rules) for customer in present) for each in both}
            await backfills.advance(seen, last, changes, is_last=len(customers) < limit)
        return _checked(len(present), changes, complete=False)

    def _tell_crowds(self, crowds: frozenset[UUID]) -> None:
        """Say once in the log of whom rules say nothing any more: every batch of a crowd brings it here."""
        for customer in sorted(crowds - self._crowds):
            log.warning("customer has too many records for tags", customer=str(customer), most=MOST_RECORDS)
        if len(self._crowds) > _MOST_REMEMBERED:
            self._crowds.clear()
        self._crowds |= crowds


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


def shared_tags(rules: Iterable[InForce[LiveRule]]) -> dict[str, str]:
    """The tags that go to chat platforms, each with its group there. Of one tag the version in force says, not the one
    that is tried out."""
    shared: dict[str, str] = {}
    for each in rules:
        for version in each.versions:
            if version.share and (version is each.live or version.tag != each.live.tag):
                shared.setdefault(version.tag, version.group or OWN_GROUP)
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
