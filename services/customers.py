"""Customers for people: why keys are one person's, and what a person may decide about it.

A decision is about keys and is kept beside the evidence; undoing it brings back what the evidence says. Customers that
gain or lose keys are told by events, as when evidence did it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from uuid import UUID

from domain.access import Actor, Permission
from domain.customers.identity import Decision, Verdict
from domain.problems import ConflictProblem, Text, ValidationProblem
from domain.tags import EVERY_KIND
from services.identity_evidence import (
    Explanation,
    ShownSuggestion,
    seen_sides,
    shown_decision,
    shown_key,
    shown_link,
    shown_move,
    shown_suggestion,
    tellers,
)
from services.identity_resolution import resolve_again
from services.tagging import Tagging
from storage.audit import AuditLog
from storage.customer_scope import require_customer
from storage.engine import Database
from storage.erasures import ErasedKeys
from storage.events import Events
from storage.first_orders import FirstOrders
from storage.identities import Customers, Identities
from storage.identity_links import IdentityDecisionRow, IdentityLinks
from storage.identity_reviews import (
    IdentityDecisions,
    IdentityMoves,
    IdentitySuggestions,
)
from storage.key_scope import KeyScopes
from storage.paging import Page, PageRequest
from storage.unit_of_work import UnitOfWork

MOST_KEYS = 10_000
"""As many as anybody may believe to be one person's: a company, a guide who orders for her customers."""
_MOST_TOLD = 100
LONGEST_REASON = 500
_STATES: Mapping[Verdict, Literal["joined", "parted"]] = {"join": "joined", "part": "parted"}


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was taken or undone, and the customers that its keys belong to now."""

    decision: UUID
    verdict: str
    customers: Sequence[UUID]


class CustomerService:
    """Raises AuthorizationProblem without the permission, NotFoundProblem for customers out of the actor's scope."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def explain(self, actor: Actor, customer_id: UUID) -> Explanation:
        """What says whose the keys of a customer are, as far as the actor's data scope lets see it: keys that records
        within it know, evidence of its shops, decisions and history about these keys. A former id stands for who it is
        now."""
        actor.require(Permission.CUSTOMERS_READ)
        async with UnitOfWork(self._database) as work:
            customer = await require_customer(work, customer_id, actor.scope)
            scopes, scope = KeyScopes(work), actor.scope
            own = {row.id: row for row in await scopes.of_customer(customer, scope, MOST_KEYS)}
            links = await IdentityLinks(work).of(own)
            decisions = await IdentityDecisions(work).about(own)
            sides = await IdentityDecisions(work).sides([each.id for each in decisions])
            suggestions = await IdentitySuggestions(work).about(own)
            linked = [(each.low, each.high) for each in links] + [(each.low, each.high) for each in suggestions]
            named = {end for each in (linked, *sides.values()) for keys in each for end in keys}
            seen = await scopes.seen(own.keys() | named, scope) | own.keys()
            others = await Identities(work).rows(seen - own.keys())
            keys = {number: shown_key(row) for number, row in {**own, **others}.items()}
            moves = [each for each in await IdentityMoves(work).of(own, customer) if each.identity_id in keys]
            accounts = {each.account_id for each in links} | {each for move in moves for each in tellers(move)}
            shops = await scopes.shops(accounts, own, scope)
            decided = [
                shown_decision(each, about)
                for each in decisions
                if (about := seen_sides(each, sides.get(each.id, ()), keys, scope))
            ]
            return Explanation(
                customer,
                (await Customers(work).aliases([customer])).get(customer, ()),
                [keys[number] for number in own],
                [keys[number] for number in sorted(others)],
                [
                    shown_link(each)
                    for each in links
                    if each.account_id in shops and keys.keys() >= {each.low, each.high}
                ],
                decided,
                [shown_move(each, shops) for each in moves],
                [shown_suggestion(each, keys) for each in suggestions if keys.keys() >= {each.low, each.high}],
            )

    async def merge(self, actor: Actor, customer_id: UUID, others: Collection[UUID], reason: str) -> Decided:
        """Say that customers are one person, whatever the evidence says: all their keys are joined."""
        actor.require(Permission.CUSTOMERS_MERGE)
        async with UnitOfWork(self._database) as work:
            await ErasedKeys(work).keep_out()
            customers = [await require_customer(work, each, actor.scope) for each in (customer_id, *others)]
            if len(set(customers)) < 2:
                raise ConflictProblem(Text("这些编号已经是同一位客户", "These ids are one customer already"))
            keys = [row.id for row in await Identities(work).of_customers(customers)]
            return await _decide(work, actor, Decision("join", keys), reason)

    async def split(self, actor: Actor, customer_id: UUID, identities: Collection[int], reason: str) -> Decided:
        """Say that some keys of a customer are another person's than the rest: each is parted from each of the rest."""
        actor.require(Permission.CUSTOMERS_MERGE)
        async with UnitOfWork(self._database) as work:
            await ErasedKeys(work).keep_out()
            customer = await require_customer(work, customer_id, actor.scope)
            keys = {row.id for row in await Identities(work).of_customers([customer])}
            chosen = set(identities)
            unknown = chosen - await KeyScopes(work).seen(keys, actor.scope)
            if unknown or not chosen or not chosen < keys:
                raise ValidationProblem(
                    Text(
                        "请选择该客户的一部分标识：至少一个，且不能是全部",
                        "Choose some of this customer's identities: at least one, and not all of them",
                    ),
                    unknown=sorted(unknown),
                )
            return await _decide(work, actor, Decision("part", sorted(chosen), sorted(keys - chosen)), reason)

    async def decide(self, actor: Actor, verdict: Verdict, identities: Sequence[int], reason: str) -> Decided:
        """Say that keys are one person's (`join`), or that the first is another person's than the others (`part`)."""
        actor.require(Permission.CUSTOMERS_MERGE)
        async with UnitOfWork(self._database) as work:
            await ErasedKeys(work).keep_out()
            named = list(dict.fromkeys(identities))
            owners = await Identities(work).customers_of(named)
            if len(named) < 2 or len(owners) < len(named):
                raise ValidationProblem(
                    Text("请给出至少两个存在的标识", "Name at least two identities that exist"),
                    unknown=sorted(set(named) - owners.keys()),
                )
            for customer in set(owners.values()):
                await require_customer(work, customer, actor.scope)
            decided = Decision("join", named) if verdict == "join" else Decision("part", named[:1], named[1:])
            return await _decide(work, actor, decided, reason)

    async def undo(self, actor: Actor, decision_id: UUID) -> Decided:
        """Take a decision back: from now on the evidence and all other decisions say whose the keys are."""
        actor.require(Permission.CUSTOMERS_MERGE)
        async with UnitOfWork(self._database) as work:
            await ErasedKeys(work).keep_out()
            decision = await IdentityDecisions(work).require(decision_id)
            sides = (await IdentityDecisions(work).sides([decision_id])).get(decision_id, ())
            keys = {key for side in sides for key in side}
            for customer in set((await Identities(work).customers_of(keys)).values()):
                await require_customer(work, customer, actor.scope)
            if decision.undone_at is not None:
                raise ConflictProblem(
                    Text(f"该决定已由 {decision.undone_by} 撤销", f"{decision.undone_by} undid this decision already")
                )
            decision.undone_at, decision.undone_by = work.now, actor.login
            await work.session.flush()
            return await _follow(work, actor, decision, keys, "undo")

    async def review(self, actor: Actor, page: PageRequest) -> Page[ShownSuggestion]:
        """Pairs of keys that may be one person's, the longest waiting first."""
        actor.require(Permission.CUSTOMERS_READ)
        async with UnitOfWork(self._database) as work:
            found = await IdentitySuggestions(work).list(page, actor.scope)
            ends = {end for each in found.items for end in (each.low, each.high)}
            rows = await Identities(work).rows(await KeyScopes(work).seen(ends, actor.scope))
            keys = {number: shown_key(row) for number, row in rows.items()}
        both = [each for each in found.items if keys.keys() >= {each.low, each.high}]
        return Page([shown_suggestion(each, keys) for each in both], found.next_cursor)

    async def settle(self, actor: Actor, suggestion_id: UUID, verdict: Verdict, reason: str) -> Decided:
        """Answer a suggestion: the two keys are one person's, or they are not."""
        actor.require(Permission.CUSTOMERS_MERGE)
        async with UnitOfWork(self._database) as work:
            await ErasedKeys(work).keep_out()
            suggestion = await IdentitySuggestions(work).require(suggestion_id)
            pair = [suggestion.low, suggestion.high]
            for customer in set((await Identities(work).customers_of(pair)).values()):
                await require_customer(work, customer, actor.scope)
            if suggestion.state != "open":
                raise ConflictProblem(
                    Text(
                        f"该项已由 {suggestion.settled_by} 处理",
                        f"{suggestion.settled_by} has answered this suggestion already",
                    )
                )
            decided = Decision("join", pair) if verdict == "join" else Decision("part", pair[:1], pair[1:])
            return await _decide(work, actor, decided, reason)


async def _decide(work: UnitOfWork, actor: Actor, decided: Decision, reason: str) -> Decided:
    keys = {*decided.one, *decided.other}
    text = reason.strip()
    if not 1 <= len(text) <= LONGEST_REASON:
        raise ValidationProblem(
            Text(f"请说明理由（1–{LONGEST_REASON} 字）", f"Say why (1 to {LONGEST_REASON:,} characters)")
        )
    if len(keys) > MOST_KEYS:
        raise ValidationProblem(
            Text(
                f"一次最多涉及 {MOST_KEYS:,} 个标识，此次为 {len(keys):,} 个；"
                "这么多标识多半不是一个人的，请先查看原因，或分几次处理",
                f"A decision is about {MOST_KEYS:,} identities at most; this one names {len(keys):,}. So many are "
                "hardly one person's: look at why they are, or decide about fewer at a time",
            )
        )
    # Locks come first: what others are deciding about the same keys at this moment is known after it.
    held = await IdentityLinks(work).component(keys)
    await _refuse_contradiction(work, decided, held.keys)
    decision = await IdentityDecisions(work).add(decided, actor.login, text)
    await IdentitySuggestions(work).settle(decided, _STATES[decided.verdict], actor.login, decision.id)
    return await _follow(work, actor, decision, keys, "decision")


async def _refuse_contradiction(work: UnitOfWork, decided: Decision, keys: Collection[int]) -> None:
    """Raises ConflictProblem when decisions in force say the opposite of the same keys."""
    active = await IdentityDecisions(work).active(keys)
    joins = {decision: said for decision, said in active.items() if said.verdict == "join"}
    root = _roots([*(said.one for said in joins.values()), *([decided.one] if decided.verdict == "join" else [])])

    def tied(said: Decision) -> set[int]:
        """What the keys on both sides are joined to."""
        return {root(key) for key in said.one} & {root(key) for key in said.other}

    against = {decision for decision, said in active.items() if said.verdict == "part" and tied(said)}
    if decided.verdict == "part" and (together := tied(decided)):
        against |= {decision for decision, said in joins.items() if root(next(iter(said.one))) in together}
    if against:
        raise ConflictProblem(
            Text(
                "与仍然有效的决定相矛盾，请先撤销它：" + "、".join(map(str, sorted(against))),
                "This contradicts a decision in force; undo that one first: " + ", ".join(map(str, sorted(against))),
            ),
            decisions=[str(each) for each in sorted(against)],
        )


def _roots(joins: Iterable[Collection[int]]) -> Callable[[int], int]:
    """What tells whether two keys are joined by decisions: the same number for both."""
    parent: dict[int, int] = {}

    def root(key: int) -> int:
        while (above := parent.get(key, key)) != key:
            parent[key] = key = parent.get(above, above)
        return key

    for keys in joins:
        for one, other in pairwise(sorted(keys)):
            low, high = sorted((root(one), root(other)))
            parent[high] = low
    return root


async def _follow(
    work: UnitOfWork,
    actor: Actor,
    decision: IdentityDecisionRow,
    keys: Collection[int],
    cause: Literal["decision", "undo"],
) -> Decided:
    """Let customers follow a decision, and tell whoever listens."""
    detail = {"decision": str(decision.id)}
    resolved = await resolve_again(work, keys, cause, lambda _: detail)
    if resolved.moved:
        await FirstOrders(work).queue((), resolved.moved)
    touched = frozenset({*resolved.touched, *resolved.customers.values()})
    # Who merged or parted has other records now, of any kind.
    tagged = await Tagging(work.database).evaluate(work, touched, EVERY_KIND, frozenset(resolved.moved))
    # What was known before of keys that are somebody new from now on is no news.
    begun = {f"customer:{each}" for each in resolved.begun}
    await Events(work).add([*resolved.events, *(event for event in tagged if event.subject not in begun)])
    await Events(work).add([event for event in tagged if event.subject in begun], queue=False)
    customers = sorted({resolved.customers[key] for key in keys if key in resolved.customers})
    what = f"customer.{decision.verdict}" if cause == "decision" else "customer.undo"
    told = {
        **detail,
        "identities": sorted(keys)[:_MOST_TOLD],
        "count": len(keys),
        "customers": [str(each) for each in customers],
    }
    # Nobody is left when all the keys were erased in the meantime.
    target = f"customer:{customers[0]}" if customers else f"identity-decision:{decision.id}"
    await AuditLog(work).record(actor, what, target, told)
    return Decided(decision.id, decision.verdict, customers)
