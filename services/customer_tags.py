"""Tags as people handle them: look, ask why, see what a rule would change, give, take, exclude."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from domain.access import Actor, Permission, Scope, system_actor
from domain.catalog.customers import TagOutput
from domain.problems import NotFoundProblem, Text, ValidationProblem
from domain.releases import buckets, require_share
from domain.tags import LiveRule
from domain.tags.in_force import InForce
from domain.tags.views import (
    LONGEST_REASON,
    LONGEST_TAG,
    CarriedTag,
    Explanation,
    Preview,
    RuleReason,
    RuleState,
    TagsOfCustomer,
    without_values,
)
from services.customer_facts import customer_named
from services.definition_sources import only_resource
from services.grading import explain_grades
from services.tag_rules import RuleBook
from services.tagging import mark_event, shared_tags, under_every_id
from storage.audit import AuditLog
from storage.crowds import Crowds
from storage.customer_grades import CustomerGrades
from storage.customer_scope import first_seen, require_customer
from storage.customer_tags import Compared, CustomerTags
from storage.customer_traits import CustomerTraits
from storage.engine import Database
from storage.events import Events
from storage.identities import Identities
from storage.key_scope import KeyScopes
from storage.lookups import Lookups
from storage.tag_backfills import TagBackfills, spread_of
from storage.unit_of_work import UnitOfWork

MANUAL = "manual"
_RUN = "run:"
_PREVIEW_AT_ONCE = 5_000
_MOST_SAMPLES = 10
_MOST_LOOKED_AT = 100

_RUNS = system_actor("runs")

Decision = Literal["add", "remove", "exclude", "include"]


@dataclass(frozen=True, slots=True)
class DecidingStep:
    """The step of a run that gives or takes a tag. reference: of its task."""

    run_id: str
    reference: str

    @property
    def source(self) -> str:
        return _RUN + self.run_id


class CustomerTagService:
    """Every decision is audited in the transaction that makes it, and tells the outbox who gained or lost a tag."""

    def __init__(self, database: Database, book: RuleBook | None = None) -> None:
        self._database = database
        self._book = book or RuleBook()

    async def rules(self, actor: Actor) -> list[RuleState]:
        """The rules in force, by name."""
        actor.require(Permission.DEFINITIONS_READ)
        async with UnitOfWork(self._database) as work:
            backfills = {each.rule: each for each in await TagBackfills(work).all()}
            current = await self._book.current(work)
            holders = await CustomerTags(work).count_holders({each.live.tag for each in current})
        found = []
        for each in current:
            rule, backfill = each.live, backfills.get(each.key)
            is_same = backfill is not None and spread_of(backfill) == each.spread
            found.append(
                RuleState(
                    rule.name,
                    rule.version,
                    rule.tag,
                    rule.group,
                    rule.title,
                    rule.condition is not None,
                    backfill.seen if backfill and is_same else 0,
                    bool(backfill and is_same and backfill.ended_at),
                    holders.get(rule.tag, 0),
                    each.candidate.version if each.candidate else None,
                    each.share_percent,
                )
            )
        return found

    async def of_customer(self, actor: Actor, customer: UUID) -> TagsOfCustomer:
        """What a customer carries and why; an id from before a merge finds who took its place. The values that rules
        saw are over all records: they are shown to who sees all of the customer's.

        :raises NotFoundProblem: there is none within the data scope.
        """
        actor.require(Permission.CUSTOMERS_READ)
        async with UnitOfWork(self._database) as work:
            tags = CustomerTags(work)
            present = await require_customer(work, customer, actor.scope)
            marks = await tags.marks(present)
            excluded = [mark for mark in marks if mark.kind == "exclude"]
            without = {mark.tag for mark in excluded}
            carried = [
                CarriedTag(row.tag, "rule", row.since, row.rule, row.version, row.why)
                for row in await tags.by_rules(present)
                if row.held and row.tag not in without
            ]
            carried += [
                CarriedTag(mark.tag, mark.source, mark.marked_at, actor=mark.actor, reason=mark.reason)
                for mark in marks
                if mark.kind == "add" and mark.tag not in without
            ]
            grades = await CustomerGrades(work).of_customer(present)
            crowds = await Crowds(work).among([present])
            if not await KeyScopes(work).whole([present], actor.scope):
                carried = [replace(each, why=without_values(each.why)) for each in carried]
        return TagsOfCustomer(present, carried, excluded, grades, bool(crowds))

    async def explain(self, actor: Actor, customer: UUID, tag: str) -> Explanation:
        """Why a customer carries a tag or a grade, or does not: every rule, grading and decision that gives it. Values
        are shown as by `of_customer`."""
        actor.require(Permission.CUSTOMERS_READ)
        async with UnitOfWork(self._database) as work:
            tags = CustomerTags(work)
            present = await require_customer(work, customer, actor.scope)
            current = {each.key: each for each in await self._book.current(work)}
            decides = {name: each.decides_about(present) for name, each in current.items()}
            live = {name: rule for name, rule in decides.items() if rule is not None and rule.tag == tag}
            written = {row.rule: row for row in await tags.by_rules(present, tag)}
            now = {each.rule: each for each in await tags.compare(list(live.values()), [present])}
            marks = await tags.marks(present, tag)
            carried = bool(await tags.tags_elsewhere([(present, tag)]))
            deciding = [each.decides_about(present) for each in await self._book.gradings(work)]
            gradings = [each for each in deciding if each is not None]
            grades = await explain_grades(work, gradings, present, tag)
            is_whole = bool(await KeyScopes(work).whole([present], actor.scope))
        rules: list[RuleReason] = []
        tried = {name for name, each in current.items() if tag in {version.tag for version in each.versions}}
        for name in sorted({*tried, *live, *written}):
            rule, row, seen = live.get(name), written.get(name), now.get(name)
            known = current.get(name)
            decided = decides.get(name)
            rules.append(
                RuleReason(
                    name,
                    row.version if row else (rule.version if rule else ""),
                    known.live.title if known else name,
                    bool(row and row.held),
                    row.since if row else None,
                    row.why if row else (),
                    seen.why if seen else (),
                    seen.turns_at if seen else None,
                    decided.version if decided else None,
                    known.share_percent if known else None,
                )
            )
        if not rules and not marks and not grades:
            raise NotFoundProblem(
                Text(f"没有规则、分级或人给出“{tag}”", f"No rule, no grading and nobody gives “{tag}”"), tag=tag
            )
        carried = carried or any(each.grade == tag for each in grades)
        if not is_whole:
            rules = [replace(each, why=without_values(each.why), now=without_values(each.now)) for each in rules]
            grades = [
                replace(each, steps=[replace(step, seen=without_values(step.seen)) for step in each.steps])
                for each in grades
            ]
        return Explanation(present, tag, carried, rules, marks, grades)

    async def preview(self, actor: Actor, text: str, *, share_percent: float = 100, budget_s: float = 20.0) -> Preview:
        """What the rule in a text would change if it were published, or tried out on a share of the customers; nothing
        is written.

        budget_s: no batch of customers begins later than this; the oldest customers come first. Samples are customers
        of whom the actor sees every record, figures are over all.

        :raises ValidationProblem: the text is no tag rule, or a broken one.
        :raises AuthorizationProblem: the actor does not write rules, or does not see customers: a rule can ask
            anything about anybody.
        """
        actor.require(Permission.DEFINITIONS_DRAFT)
        actor.require(Permission.CUSTOMERS_READ)
        require_share(share_percent)
        rule = LiveRule.of(only_resource(text, "tag-rule"))
        tried = InForce(rule, "")
        end = time.monotonic() + budget_s
        holds = gained = lost = examined = 0
        gained_samples: list[UUID] = []
        lost_samples: list[UUID] = []
        cursor: UUID | None = None
        complete = False
        async with UnitOfWork(self._database) as work:
            customers = await CustomerTags(work).count_customers()
        while not complete and time.monotonic() < end:
            async with UnitOfWork(self._database) as work:
                tags = CustomerTags(work)
                batch = await tags.after(cursor, _PREVIEW_AT_ONCE)
                drawn = [each for each in batch if tried.bucket(each) < buckets(share_percent)]
                found = await tags.compare([rule], drawn) if drawn else []
                gaining, losing = await _turning(tags, rule, found)
                for samples, some in ((gained_samples, gaining), (lost_samples, losing)):
                    samples.extend(await _samples(work, some, actor.scope, _MOST_SAMPLES - len(samples)))
            complete = len(batch) < _PREVIEW_AT_ONCE
            cursor = batch[-1] if batch else cursor
            examined += len(batch)
            holds += sum(each.holds for each in found)
            gained, lost = gained + len(gaining), lost + len(losing)
        return Preview(
            rule.name,
            rule.version,
            rule.tag,
            max(customers, examined),
            examined,
            complete,
            holds,
            gained,
            lost,
            gained_samples,
            lost_samples,
            share_percent,
        )

    async def decide(self, actor: Actor, customer: UUID, tag: str, decision: Decision, reason: str) -> TagsOfCustomer:
        """Give a tag by hand (`add`) or take it back (`remove`), keep rules from giving it (`exclude`) or let them
        again (`include`). The newer of giving and excluding counts. Deciding the same again changes nothing.

        :raises NotFoundProblem: there is no such customer.
        """
        actor.require(Permission.CUSTOMERS_TAG)
        _check(tag, reason)
        async with UnitOfWork(self._database) as work:
            present = await require_customer(work, customer, actor.scope)
            decided = _Decided(actor, MANUAL, actor.login, reason, {"tag": tag, "reason": reason})
            await self._carry_out(work, present, tag, decision, decided)
        return await self.of_customer(actor, present)

    async def decide_in_run(
        self, step: DecidingStep, name: str, tag: str, decision: Literal["add", "remove"], reason: str
    ) -> TagOutput:
        """Give a tag for a step of a flow, or take back what people, platforms and flows gave; what a person excluded
        stays excluded. The same again changes nothing, so an attempt may be repeated.

        name: the customer, as in `profile.get`.
        :raises NotFoundProblem: there is no such customer, or their data was erased.
        """
        _check(tag, reason)
        async with UnitOfWork(self._database) as work:
            customer = await customer_named(work, name)
            if customer is None:
                raise NotFoundProblem(
                    Text(
                        "没有这样的客户：customer 应为客户编号，或 customer:、key: 开头的主题",
                        "There is no such customer: `customer` is an id, or a subject with `customer:` or `key:`",
                    ),
                    tag=tag,
                )
            present = await require_customer(work, customer, _RUNS.scope)
            details = {"tag": tag, "reason": reason, "run": step.run_id, "step": step.reference}
            decided = _Decided(_RUNS, step.source, step.reference, reason, details)
            carried = await self._carry_out(work, present, tag, decision, decided)
        return TagOutput(customer_id=str(present), carried=carried)

    async def _carry_out(
        self, work: UnitOfWork, present: UUID, tag: str, decision: Decision, decided: "_Decided"
    ) -> bool:
        """Decide, and tell audit, outbox and chat platforms of it; whether the customer carries the tag now."""
        tags = CustomerTags(work)
        await tags.lock([present])
        before = bool(await tags.tags_elsewhere([(present, tag)]))
        if not await self._decide(tags, present, tag, decision, decided):
            return before
        current = await self._book.current(work)
        deciding = [each.version_for(present) for each in current]
        rules = [each for each in deciding if each.tag == tag]
        if rules:
            await CustomerTraits(work).bring_up_to_date(rules, [], [present], exact=True)
        after = bool(await tags.tags_elsewhere([(present, tag)]))
        if before != after:
            told = mark_event(work, present, tag, decided.source, gained=after, by=decided.by, reason=decided.reason)
            await Events(work).add(await under_every_id(work, [told]))
        if tag in shared_tags(current):
            await Lookups(work).ask_about_contacts_of([present])
        await AuditLog(work).record(decided.actor, f"tag.{decision}", f"customer:{present}", decided.details)
        return after

    async def _decide(
        self, tags: CustomerTags, customer: UUID, tag: str, decision: Decision, decided: "_Decided"
    ) -> bool:
        is_run = decided.source != MANUAL
        if decision in ("remove", "include"):
            kind = "add" if decision == "remove" else "exclude"
            # What a member decided on a chat platform is taken back here as well.
            return bool(await tags.unmark(customer, tag, kind, None, decided.source if is_run else decided.by))
        identity = await Identities(tags.work).keeper(customer)
        if identity is None:
            raise NotFoundProblem(Text("这位客户没有任何标识", "This customer has no key at all"))
        ended = 0
        if not is_run:
            # No flow overrules a person who keeps a customer free of a tag.
            ended = await tags.unmark(customer, tag, "exclude" if decision == "add" else "add", None, decided.by)
        # One mark of people and one of flows: however many runs tag somebody, the first is named.
        is_new = not any(
            mark.kind == decision and (mark.source.startswith(_RUN) if is_run else mark.source == MANUAL)
            for mark in await tags.marks(customer, tag)
        )
        return (
            is_new and await tags.mark(identity, tag, decision, decided.source, decided.by, decided.reason)
        ) or bool(ended)


@dataclass(frozen=True, slots=True)
class _Decided:
    """On whose behalf a decision is written down. by: a login, or a run's step. details: for the audit log."""

    actor: Actor
    source: str
    by: str
    reason: str
    details: dict[str, str]


async def _turning(tags: CustomerTags, rule: LiveRule, found: Sequence[Compared]) -> tuple[list[UUID], list[UUID]]:
    """Who would carry a tag and does not now, and who does now and would not, whatever else gives it to them."""
    given = [(each.customer_id, rule.tag) for each in found if each.holds]
    taken = [
        (each.customer_id, each.was_tag)
        for each in found
        if each.was_held and (not each.holds or each.was_tag != rule.tag)
    ]
    carried = await tags.tags_elsewhere({*given, *taken})
    gaining = [customer for customer, tag in given if (customer, tag) not in carried]
    return gaining, [customer for customer, tag in taken if carried.get((customer, tag)) == 1]


async def _samples(work: UnitOfWork, customers: Sequence[UUID], scope: Scope, most: int) -> list[UUID]:
    """A few of these customers of whom a scope shows everything."""
    if most <= 0:
        return []
    some = await first_seen(work, customers[:_MOST_LOOKED_AT], scope, _MOST_LOOKED_AT)
    whole = await KeyScopes(work).whole(some, scope)
    return [each for each in some if each in whole][:most]


def _check(tag: str, reason: str) -> None:
    if not 1 <= len(tag) <= LONGEST_TAG or tag != tag.strip():
        text = Text(
            f"标签应为 1 到 {LONGEST_TAG} 个字，前后不留空格",
            f"A tag has 1 to {LONGEST_TAG} characters, without spaces around",
        )
        raise ValidationProblem(text, field="tag")
    if not 1 <= len(reason.strip()) <= LONGEST_REASON:
        text = Text(f"请写原因（1 到 {LONGEST_REASON} 字）", f"Give a reason of 1 to {LONGEST_REASON} characters")
        raise ValidationProblem(text, field="reason")
