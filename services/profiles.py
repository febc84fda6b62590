"""A customer from all sides: who they are, what they bought, said, were told, and what runs about them.

Everything is masked, unless somebody with `customers.unmask` gave a reason, which is audited. What is outside of the
actor's data scope is not there: a customer of whom nothing is within it does not exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.access import EVERY_QUEUE, Actor, Permission
from domain.organisation import Placement
from domain.privacy import Masking, masked_key, masked_record_key
from domain.tags.views import CustomerGrade, without_values
from services.consents import Consent, consents_of
from services.disclosure import Disclosure, record_unmasking, require_unmasking
from services.suppressions import Silenced, silenced
from storage.customer_scope import require_customer
from storage.engine import Database
from storage.human_tasks import HumanTaskRow
from storage.identities import Customers, IdentityRow
from storage.interactions import InteractionRow
from storage.key_scope import KeyScopes
from storage.orders import OrderLineRow, OrderRow, RefundRow, ShipmentRow
from storage.paging import Page, PageRequest
from storage.profile import KINDS, Kind, Profiles, Subject, Totals, cursor_of, place_of
from storage.purchase_rhythms import PurchaseRhythms, Rhythm
from storage.reach import TouchRow
from storage.runs import RunRow, summary_of
from storage.suppressions import Suppressions
from storage.unit_of_work import UnitOfWork

MOST_KEYS = 200
MOST_OF_A_KIND = 20
_NEEDS: Mapping[Kind, Permission] = {"run": Permission.RUNS_READ, "task": Permission.TASKS_READ}
_CHATS, _CONTACTS, _COUPONS = ("chat",), ("contact", "follow"), ("coupon",)


@dataclass(frozen=True, slots=True)
class HeldTag:
    """A tag that a customer holds, since when, and why: what the rule saw, in its own words.

    rule, version: of a tag by a rule; None for one that somebody gave.
    """

    tag: str
    since: datetime
    why: Sequence[Any]
    rule: str | None = None
    version: str | None = None


class TagBook(Protocol):
    """Whoever knows which tags and grades customers hold."""

    async def held(self, work: UnitOfWork, customer: UUID) -> Sequence[HeldTag]:
        """The tags of a customer."""

    async def grades(self, work: UnitOfWork, customer: UUID) -> Sequence[CustomerGrade]:
        """The grades of a customer, by grading."""

    async def holders(self, work: UnitOfWork, tag: str, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Customers that hold a tag, in the order of their ids, after one."""


@dataclass(frozen=True, slots=True)
class ProfileKey:
    """A key of the customer."""

    id: int
    kind: str
    scope: str
    value: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One record. key: its id in its table; kind: `order`, `refund`, `parcel`, `run`, `task`, `touch`, or the kind of
    an interaction. data: what is known of it."""

    kind: str
    at: datetime
    key: str
    account_id: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """A customer from all sides; every list holds the newest only, `timeline` pages through everything.

    rhythms: how often they buy, by category, what is due first at the top. suppressions: what they are left alone
    about now, by a refund or because somebody said so. consents: what they agreed to and took back.
    """

    customer: UUID
    aliases: Sequence[UUID]
    identities: Sequence[ProfileKey]
    totals: Sequence[Totals]
    orders: Sequence[Entry]
    refunds: Sequence[Entry]
    parcels: Sequence[Entry]
    chats: Sequence[Entry]
    contacts: Sequence[Entry]
    coupons: Sequence[Entry]
    activities: Sequence[Entry]
    tags: Sequence[HeldTag]
    grades: Sequence[CustomerGrade]
    rhythms: Sequence[Rhythm]
    suppressions: Sequence[Silenced]
    consents: Sequence[Consent]
    runs: Sequence[Entry]
    tasks: Sequence[Entry]
    touches: Sequence[Entry]
    masked: bool


@dataclass(frozen=True, slots=True)
class Timeline(Page[Entry]):
    """A page of everything, the newest first."""

    masked: bool = True


class ProfileService:
    """Raises AuthorizationProblem without the permission, NotFoundProblem for customers out of the actor's scope."""

    def __init__(self, database: Database, masking: Masking, tags: TagBook) -> None:
        self._database = database
        self._masking = masking
        self._disclosure = Disclosure(masking)
        self._tags = tags

    async def show(self, actor: Actor, customer_id: UUID, *, unmask_for: str | None = None) -> Profile:
        """Everything at a glance; a former id stands for who it is now."""
        _require(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            customer, aliases, keys, subject = await self._open(work, actor, customer_id, unmask_for)
            profiles = Profiles(work)
            rows = {
                kind: await profiles.newest(kind, subject, MOST_OF_A_KIND) for kind in KINDS if kind != _INTERACTION
            }
            interactions = await profiles.newest_interactions(subject, MOST_OF_A_KIND)
            lines = await profiles.lines([row.id for row in rows["order"]])
            totals = await profiles.totals(subject)
            tags = await self._tags.held(work, customer)
            if not await KeyScopes(work).whole([customer], actor.scope):
                tags = [replace(each, why=without_values(each.why)) for each in tags]
            grades = await self._tags.grades(work, customer)
            rhythms = await PurchaseRhythms(work).of([row.id for row in keys], actor.scope)
            agreed = (await consents_of(work, customer, actor.scope))[:MOST_OF_A_KIND]
            left_alone = silenced(await Suppressions(work).of(customer, actor.scope))
        clear = unmask_for is not None
        entries = {kind: [self._entry(row, lines, work.now, clear) for row in some] for kind, some in rows.items()}
        acts = [self._entry(row, lines, work.now, clear) for row in interactions]
        sorted_out = (*_CHATS, *_CONTACTS, *_COUPONS)
        return Profile(
            customer,
            aliases,
            [shown_key(row, clear=clear) for row in keys],
            totals,
            entries["order"],
            entries["refund"],
            entries["parcel"],
            [each for each in acts if each.kind in _CHATS],
            [each for each in acts if each.kind in _CONTACTS],
            [each for each in acts if each.kind in _COUPONS],
            [each for each in acts if each.kind not in sorted_out][:MOST_OF_A_KIND],
            tags,
            grades,
            rhythms,
            left_alone if clear else [replace(each, note=self._masking.mask(each.note)) for each in left_alone],
            [replace(each, source=each.source if clear else self._masking.mask(each.source)) for each in agreed],
            entries["run"],
            entries["task"],
            entries["touch"],
            not clear,
        )

    async def timeline(
        self, actor: Actor, customer_id: UUID, page: PageRequest, *, unmask_for: str | None = None
    ) -> Timeline:
        """Everything, the newest first, page after page; what comes meanwhile stands before the first page."""
        _require(actor, unmask_for)
        before = place_of(page.cursor) if page.cursor is not None else None
        async with UnitOfWork(self._database) as work:
            _, _, _, subject = await self._open(work, actor, customer_id, unmask_for)
            profiles = Profiles(work)
            places = await profiles.timeline(subject, before, page.size + 1)
            shown = places[: page.size]
            rows = await profiles.rows(shown)
            lines = await profiles.lines([rows[place].id for place in rows if place.kind == "order"])
        entries = [
            self._entry(rows[place], lines, work.now, unmask_for is not None) for place in shown if place in rows
        ]
        after = cursor_of(shown[-1]) if len(places) > page.size else None
        return Timeline(entries, after, unmask_for is None)

    async def _open(
        self, work: UnitOfWork, actor: Actor, customer_id: UUID, unmask_for: str | None
    ) -> tuple[UUID, Sequence[UUID], Sequence[IdentityRow], Subject]:
        customer = await require_customer(work, customer_id, actor.scope)
        aliases = (await Customers(work).aliases([customer])).get(customer, ())
        keys = await KeyScopes(work).of_customer(customer, actor.scope, MOST_KEYS)
        if unmask_for is not None:
            await record_unmasking(work, actor, "customer", str(customer), unmask_for, Placement())
        own_only = actor.may(Permission.TASKS_WORK) and not actor.may(Permission.TASKS_MANAGE)
        subject = Subject(
            [row.id for row in keys],
            [str(each) for each in (customer, *aliases)],
            sorted({row.value for row in keys}),
            actor.scope,
            frozenset(kind for kind in KINDS if kind not in _NEEDS or actor.may(_NEEDS[kind])),
            actor.login,
            None if not own_only or EVERY_QUEUE in actor.queues else actor.queues,
        )
        return customer, aliases, keys, subject

    def _entry(self, row: Any, lines: Mapping[int, Sequence[OrderLineRow]], now: datetime, clear: bool) -> Entry:
        if isinstance(row, HumanTaskRow):
            # A task is shown in clear by itself only: its form knows what is personal in it.
            summary = self._disclosure.summary(row, now).model_dump(mode="json", exclude={"id"})
            return Entry("task", row.opened_at, row.id, row.account_id, summary)
        entry = entry_of(row, lines)
        if clear:
            return entry
        key = masked_record_key(entry.kind, entry.key)
        return Entry(entry.kind, entry.at, key, entry.account_id, self._masking.mask(dict(entry.data)))


_INTERACTION: Kind = "interaction"
_VERSIONS = ("version", "detail_version", "lines_version")
_HOW_NEW = frozenset({"gap_versions", *_VERSIONS, *(f"{each}_tie" for each in _VERSIONS)})


def entry_of(row: Any, lines: Mapping[int, Sequence[OrderLineRow]]) -> Entry:
    """A row of the profile in clear; lines: articles by the order's number."""
    match row:
        case OrderRow():
            data = _members(row, "identity_id", "told_at", "names")
            data["lines"] = [each.model_dump(exclude={"order_key"}) for each in lines.get(row.id, ())]
            return Entry("order", row.told_at, str(row.id), row.account_id, data)
        case RefundRow():
            data = _members(row, "identity_id", "told_at")
            return Entry("refund", row.told_at, str(row.id), row.account_id, data)
        case ShipmentRow():
            return Entry("parcel", row.told_at, str(row.id), row.account_id, _members(row, "identity_id", "told_at"))
        case InteractionRow():
            data = _members(row, "identity_id", "kind", "key", "occurred_at", "names", "personal")
            personal = dict(row.personal or {})
            if "name" in personal:
                personal["person_name"] = personal.pop("name")
            return Entry(row.kind, row.occurred_at, row.key, row.account_id, {**data, **personal})
        case RunRow():
            return Entry(
                "run",
                row.created_at,
                row.id,
                row.account_id,
                summary_of(row).model_dump(mode="json", exclude={"id", "account_id"}),
            )
        case TouchRow():
            hidden = ("key", "at") if row.pending else ("key", "at", "pending")
            return Entry("touch", row.at, str(row.id), None, _members(row, *hidden))
    raise TypeError(f"{type(row).__name__} is in no profile")


def _members(row: Any, *without: str) -> dict[str, Any]:
    hidden = {"id", "account_id", "recorded_at", *_HOW_NEW, *without}
    found: dict[str, Any] = row.model_dump(mode="json", exclude=hidden)
    return {name: value for name, value in found.items() if value is not None}


def shown_key(row: IdentityRow, *, clear: bool) -> ProfileKey:
    """A key as people see it, its value masked unless it is disclosed."""
    value = row.value if clear else masked_key(row.kind, row.value)
    return ProfileKey(row.id, row.kind, row.scope, value, row.first_seen_at)


def _require(actor: Actor, unmask_for: str | None) -> None:
    actor.require(Permission.CUSTOMERS_READ)
    if unmask_for is not None:
        require_unmasking(actor, unmask_for)
