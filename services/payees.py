"""Who is paid: written down, placed below one another, and known by keys. Every change is audited."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime

from domain.access import Actor, Permission
from domain.organisation import Placement
from domain.privacy.kinds import masked
from domain.settlement.attribution import Key
from domain.settlement.payee_terms import PayeeTerms
from domain.settlement.payees import KeyChange, NewFact, NewPayee, Payee, UplineChange, refuse_repeated
from services.attribution_book import AttributionBook
from services.disclosure import record_unmasking, require_unmasking
from services.payee_circles import refuse_any_circle
from services.payee_refusals import (
    elsewhere,
    noted_otherwise,
    refuse_overgiven,
    refuse_too_many,
    unknown_payees,
    written_at_once,
)
from services.payee_terms import ChangedTerms, change_terms, refuse_closed_uplines
from storage.audit import AuditLog
from storage.engine import Database
from storage.locks import lock
from storage.organisation import Units
from storage.paging import Page, PageRequest
from storage.payee_facts import PayeeFact, PayeeFacts
from storage.payee_terms import PayeeTermBook
from storage.payees import PayeeKeyRow, PayeeRow, Payees, payee_of
from storage.sale_queue import SaleQueue
from storage.unit_of_work import UnitOfWork, refused

_TREE = "payee-uplines"


@dataclass(frozen=True, slots=True)
class PutPayees:
    """What became of payees that were handed in."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class PayeeKey:
    """What a payee's sales are known by on days `[since, until)`."""

    kind: str
    value: str
    share: int
    since: date
    until: date | None


@dataclass(frozen=True, slots=True)
class PayeeUpline:
    """Who is above a payee from a day on, by code."""

    since: date
    upline: str | None


@dataclass(frozen=True, slots=True)
class PayeeView:
    """A payee as somebody may see them. masked: whether personal data is to be left out."""

    payee: Payee
    masked: bool
    terms: Sequence[PayeeTerms] = ()
    uplines: Sequence[PayeeUpline] = ()
    keys: Sequence[PayeeKey] = ()


class PayeeRegister:
    """Payees within one's data scope."""

    def __init__(self, database: Database, book: AttributionBook | None = None) -> None:
        self._database = database
        self._book = book or AttributionBook()

    async def put(
        self, actor: Actor, payees: Sequence[NewPayee], *, within: UnitOfWork | None = None, keep_untold: bool = False
    ) -> PutPayees:
        """Write payees down, or let those of these codes be so from now on, in role, cycle and activity from the day
        that is said; all of them or none.

        within: a unit of work of the caller's. keep_untold: what is not set of a payee stays as it is.

        :raises AuthorizationProblem: not allowed, or one of them is or was elsewhere.
        :raises NotFoundProblem: there is no such unit. :raises ValidationProblem: too many, or one twice, or a period
            would be cut by a change of cycle.
        :raises ConflictProblem: a closed period would be another, or somebody else writes one of them down right now.
        """
        actor.require(Permission.PAYEES_MANAGE)
        refuse_too_many(payees)
        codes = [each.code for each in payees]
        refuse_repeated([(code,) for code in codes], "payees")
        async with self._unit_of_work(within) as work:
            # Before any row, as everybody who changes terms does: nobody waits in a circle.
            await PayeeTermBook(work).hold()
            known = await Payees(work).rows(codes, for_update=True)
            if keep_untold:
                payees = [_with_untold(each, known[each.code]) if each.code in known else each for each in payees]
            for path in {each.unit_path for each in payees}:
                await Units(work).require(path)
            for each in payees:
                for path in {each.unit_path, *([known[each.code].unit_path] if each.code in known else [])}:
                    if not actor.sees(Placement(path)):
                        raise elsewhere(each.code)
            new = [each for each in payees if each.code not in known]
            rows = {each.code: _row(each, work.now) for each in new}
            with refused("uq_payees_code", written_at_once([each.code for each in new])):
                await Payees(work).insert(*rows.values())
            terms = await change_terms(work, actor.login, [({**known, **rows}[each.code], each) for each in payees])
            changes = {
                each.code: _apply(known[each.code], each, terms.get(each.code), work.now)
                for each in payees
                if each.code in known
            }
            changed = {code: fields for code, fields in changes.items() if fields}
            await self._look_again(work, [terms[each.code].since for each in payees if _may_find(each, terms, known)])
            since = {code: str(each.since) for code, each in terms.items()}
            await self._audit_put(work, actor, new, payees, changed, since)
        return PutPayees(len(new), len(changed), len(changes) - len(changed))

    async def show(self, actor: Actor, code: str, *, unmask_for: str | None = None) -> PayeeView:
        """A payee with who is above them and what they are known by, in clear for who pays and says why; audited.

        :raises NotFoundProblem: there is none within the scope.
        """
        actor.require(Permission.PAYEES_READ)
        if unmask_for is not None:
            may_approve = actor.may(Permission.PAYOUTS_APPROVE)
            require_unmasking(
                actor, unmask_for, Permission.PAYOUTS_APPROVE if may_approve else Permission.PAYOUTS_PREPARE
            )
        async with UnitOfWork(self._database) as work:
            row = await Payees(work).find(code, actor.scope)
            if row is None:
                raise unknown_payees([code])
            if unmask_for is not None:
                await record_unmasking(work, actor, "payee", code, unmask_for, row.placement)
            terms = (await PayeeTermBook(work).of([row.id])).get(row.id, [])
            uplines = await Payees(work).uplines(row.id)
            codes = await Payees(work).codes({each.upline for each in uplines if each.upline is not None})
            keys = await Payees(work).keys(row.id)
            return PayeeView(
                payee_of(row) if unmask_for is not None else _masked(payee_of(row)),
                unmask_for is None,
                terms[::-1],
                [PayeeUpline(each.since, codes.get(each.upline or 0)) for each in uplines],
                [PayeeKey(each.kind, each.value, each.share, each.since, each.until) for each in keys],
            )

    async def list(self, actor: Actor, page: PageRequest, *, role: str | None = None) -> Page[PayeeView]:
        """Payees by code, masked."""
        actor.require(Permission.PAYEES_READ)
        async with UnitOfWork(self._database) as work:
            found = await Payees(work).search(actor.scope, page, role=role)
        return Page([PayeeView(_masked(each), masked=True) for each in found.items], found.next_cursor)

    async def set_uplines(
        self, actor: Actor, changes: Sequence[UplineChange], *, within: UnitOfWork | None = None
    ) -> None:
        """Let payees be below others from a day on; all of them or none. within: a unit of work of the caller's, who
        looks for circles (`refuse_any_circle`) when all is said.

        :raises ValidationProblem: somebody would be above themselves; it names the circle.
        :raises NotFoundProblem: one of them is not there, or out of scope.
        :raises ConflictProblem: a closed period would be another.
        """
        actor.require(Permission.PAYEES_MANAGE)
        refuse_too_many(changes)
        refuse_repeated([(each.code, each.since) for each in changes], "changes")
        async with self._unit_of_work(within) as work:
            await PayeeTermBook(work).hold()
            # Two who change the tree at once could close a circle that neither sees.
            await lock(work, _TREE)
            rows = await self._rows(work, actor, [each.code for each in changes])
            above = await Payees(work).rows({each.upline for each in changes if each.upline is not None})
            if missing := {each.upline for each in changes if each.upline is not None} - above.keys():
                raise unknown_payees(sorted(missing))
            values = [
                (rows[each.code].id, each.since, above[each.upline].id if each.upline is not None else None)
                for each in changes
            ]
            before = await Payees(work).uplines_of({row.id for row in rows.values()})
            await Payees(work).set_uplines(values, actor.login)
            since = {each.code: each.since for each in sorted(changes, key=lambda each: each.since, reverse=True)}
            await refuse_closed_uplines(work, {rows[code].id: (code, day) for code, day in since.items()}, before)
            if within is None:
                await refuse_any_circle(work, min(each.since for each in changes))
            shown = [each.model_dump(mode="json") for each in changes]
            await AuditLog(work).record(actor, "payee.uplines", _target(changes), {"changes": shown})

    async def set_keys(self, actor: Actor, changes: Sequence[KeyChange], *, within: UnitOfWork | None = None) -> None:
        """Let keys belong to payees; all of them or none. Orders that were nobody's are looked at again. within: a unit
        of work of the caller's.

        :raises ConflictProblem: on some day more than the whole of a key would be given away, or it twice to somebody.
        :raises NotFoundProblem: one of the payees is not there, or out of scope.
        """
        actor.require(Permission.PAYEES_MANAGE)
        refuse_too_many(changes)
        refuse_repeated([(each.kind, each.value, each.code, each.since) for each in changes], "changes")
        async with self._unit_of_work(within) as work:
            await lock(work, "payee-keys")
            rows = await self._rows(work, actor, [each.code for each in changes])
            held = {(each.kind, each.value, each.payee, each.since): each for each in await self._held(work, changes)}
            fresh: list[PayeeKeyRow] = []
            for each in changes:
                name = (each.kind, each.value, rows[each.code].id, each.since)
                row = held.get(name)
                if row is None:
                    row = held[name] = PayeeKeyRow(
                        kind=each.kind,
                        value=each.value,
                        payee=rows[each.code].id,
                        since=each.since,
                        share=each.share,
                        set_at=work.now,
                        set_by=actor.login,
                    )
                    fresh.append(row)
                row.until, row.share, row.set_at, row.set_by = each.until, each.share, work.now, actor.login
            refuse_overgiven(list(held.values()))
            await Payees(work).insert(*fresh)
            await self._look_again(work, [each.since for each in changes])
            shown = [each.model_dump(mode="json") for each in changes]
            await AuditLog(work).record(actor, "payee.keys", _target(changes), {"changes": shown})

    async def note_facts(self, actor: Actor, facts: Sequence[NewFact]) -> int:
        """Note what payees did and were given; how many facts that were not noted before. All of them or none.

        :raises NotFoundProblem: one of the payees is not there, or out of scope. :raises ConflictProblem: one says
            something else than was noted of its payee by its name and key.
        """
        actor.require(Permission.PAYEES_MANAGE)
        refuse_too_many(facts)
        async with UnitOfWork(self._database) as work:
            rows = await self._rows(work, actor, [each.code for each in facts])
            noted = [PayeeFact(rows[each.code].id, each.name, each.day, each.amount, each.key) for each in facts]
            new = await PayeeFacts(work).add(noted, actor.login)
            if (other := await PayeeFacts(work).contradicted(noted)) is not None:
                raise noted_otherwise(facts[other.place], other)
            if new:
                shown = [each.model_dump(mode="json") for each in facts]
                await AuditLog(work).record(actor, "payee.facts", _target(facts), {"facts": shown})
            return new

    @asynccontextmanager
    async def _unit_of_work(self, within: UnitOfWork | None) -> AsyncIterator[UnitOfWork]:
        if within is not None:
            yield within
            return
        async with UnitOfWork(self._database) as work:
            yield work

    async def _look_again(self, work: UnitOfWork, days: Collection[date]) -> None:
        """Have orders since the first of these days looked at: some that are nobody's may be somebody's by now."""
        rules = await self._book.current(work)
        if rules is not None and days:
            await SaleQueue(work).ask_for_sweep(max(rules.since, min(days)), "keys")

    async def _held(self, work: UnitOfWork, changes: Sequence[KeyChange]) -> Sequence[PayeeKeyRow]:
        return await Payees(work).holders({Key(each.kind, each.value) for each in changes})

    async def _rows(self, work: UnitOfWork, actor: Actor, codes: Collection[str]) -> dict[str, PayeeRow]:
        rows = await Payees(work).rows(codes)
        hidden = {code for code, row in rows.items() if not actor.sees(row.placement)}
        if missing := (set(codes) - rows.keys()) | hidden:
            raise unknown_payees(sorted(missing))
        return rows

    async def _audit_put(
        self,
        work: UnitOfWork,
        actor: Actor,
        new: Sequence[NewPayee],
        payees: Sequence[NewPayee],
        changed: Mapping[str, Sequence[str]],
        since: Mapping[str, str],
    ) -> None:
        """Which fields changed, from which day on where they are dated; never what they say: much of it is personal
        data."""
        if new:
            detail = {"codes": [each.code for each in new], "since": _only(since, new)}
            await AuditLog(work).record(actor, "payee.add", _target(new), detail)
        if changed:
            touched = [each for each in payees if each.code in changed]
            detail = {"changed": changed, "since": _only(since, touched)}
            await AuditLog(work).record(actor, "payee.change", _target(touched), detail)


def _row(new: NewPayee, now: datetime) -> PayeeRow:
    return PayeeRow(
        code=new.code,
        name=new.name,
        role=new.role,
        unit_path=new.unit_path,
        cycle=new.cycle,
        active=new.active,
        details=_details(new),
        version=1,
        created_at=now,
        changed_at=now,
    )


def _apply(row: PayeeRow, new: NewPayee, terms: ChangedTerms | None, now: datetime) -> list[str]:
    """Let a row be as it is told, where that is not dated; which fields changed, of its terms as well."""
    values = {"name": new.name, "unit_path": new.unit_path, "details": _details(new)}
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    if terms is not None:
        changed += terms.fields
    if changed:
        row.version, row.changed_at = row.version + 1, now
    return changed


def _with_untold(new: NewPayee, row: PayeeRow) -> NewPayee:
    """A payee with what is not set of them as it stands."""
    kept = {name: getattr(row, name) for name in ("unit_path", "cycle", "active") if name not in new.model_fields_set}
    details = {name: each for name, each in (row.details or {}).items() if name not in new.details.model_fields_set}
    return new.model_copy(update={**kept, "details": new.details.model_copy(update=details)})


def _may_find(payee: NewPayee, terms: Mapping[str, ChangedTerms], known: Collection[str]) -> bool:
    """Whether orders of these days that are nobody's may be somebody's now. Who is new has no keys yet."""
    return payee.active and payee.code in terms and payee.code in known


def _only(since: Mapping[str, str], payees: Sequence[NewPayee]) -> dict[str, str]:
    return {each.code: since[each.code] for each in payees if each.code in since}


def _details(new: NewPayee) -> dict[str, str] | None:
    return new.details.model_dump(exclude_none=True) or None


def _masked(payee: Payee) -> Payee:
    """The payee as everybody may see them: enough is left to tell two apart."""
    return payee.model_copy(update={"name": masked("name", payee.name), "details": payee.details.as_masked()})


def _target(changes: Sequence[NewPayee | UplineChange | KeyChange | NewFact]) -> str:
    return f"payee:{changes[0].code}" if len(changes) == 1 else "payees"
