"""Computing a settlement: frozen once, then part by part in two passes, each part a transaction that can be repeated.

Nothing is booked here. A calculation can be done again at any time from what was frozen, and comes to the same digest.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from domain.access import Actor, Permission
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.calculation import (
    BOUNDS,
    Earned,
    Member,
    bounds_of,
    digest_of,
    first_pass,
    second_pass,
)
from domain.settlement.periods import next_common_start
from domain.settlement.scheme import Cycle, Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.attribution_book import AttributionBook
from services.known_inputs import known_in
from services.repeats import note_outcome
from services.reused_inputs import booked_for, input_named, take_input
from services.scheme_versions import SchemeVersion, at, published_for, refuse_other_periods
from services.selling import begins_with
from services.settlement_members import membership_of
from services.settlement_overlaps import refuse_paying_twice
from services.settlement_rates import rates_of_last_day
from storage.audit import AuditLog
from storage.calculation_tables import CalculationRow, Purpose
from storage.calculations import Calculations, Part
from storage.definitions import Definitions
from storage.engine import Database
from storage.left_out import LeftOut, Omitted
from storage.payee_facts import PayeeFacts
from storage.sales import PARTS, Sales
from storage.settlement_overlaps import SettlementOverlaps
from storage.settlement_runs import SettlementRuns
from storage.unit_of_work import UnitOfWork

ALONE, BY_DOWNLINE = 1, 2
"""The two passes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be computed. version: None for the one in force; day: any of the period. input_of: of what-if, the
    settlement or calculation whose frozen input it goes by, None for what was booked last of the period, if anything
    was; today: by what counts today all the same."""

    scheme: str
    day: date
    purpose: Purpose
    version: str | None = None
    cycle: Cycle | None = None
    input_of: UUID | None = None
    today: bool = False


class CalculationSteps:
    """The steps of a calculation; each may be repeated."""

    def __init__(self, database: Database, book: AttributionBook | None = None) -> None:
        self._database = database
        self._book = book or AttributionBook()
        self._schemes: dict[str, Scheme] = {}

    async def ask(self, actor: Actor, calculation: UUID, wanted: Wanted) -> CalculationRow:
        """Note what is to be computed, under an id that the caller chose; the same again is the same. It is audited.

        :raises NotFoundProblem: no such scheme or version, or input. :raises ValidationProblem: the scheme is not for
            this period, or no sales count as it does, or the input is of another one. :raises ConflictProblem: the
            input is not frozen yet.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            is_new = await Calculations(work).find(calculation) is None
            row = await self.plan(work, actor, calculation, wanted)
            if is_new:
                told = {"scheme": row.scheme, "version": row.version, "start": str(row.start), "purpose": row.purpose}
                await AuditLog(work).record(actor, "settlement.calculate", f"calculation:{calculation}", told)
            return row

    async def plan(self, work: UnitOfWork, actor: Actor, calculation: UUID, wanted: Wanted) -> CalculationRow:
        """As `ask`, with the caller's unit of work."""
        found = await Calculations(work).find(calculation)
        if found is not None:
            return found
        asked, source = await _asked(work, wanted)
        version, scheme = asked.version, asked.scheme
        if wanted.purpose != "adjustment":
            # What is closed is adjusted by what began to count then, whatever counts today.
            await self._refuse_uncounted(work, scheme)
        row = CalculationRow(
            id=calculation,
            scheme=version.name,
            version=version.version,
            text_digest=version.digest,
            cycle=asked.cycle,
            start=asked.start,
            end=asked.end,
            purpose=wanted.purpose,
            state="asked",
            asked_by=actor.login,
            asked_at=work.now,
            components=[each.name for each in scheme.components],
            parts=PARTS,
            # Whoever froze it, so that all that go by one input name the same.
            input_of=(source.input_of or source.id) if source is not None else None,
        )
        return await Calculations(work).add(row)

    async def freeze(self, calculation: UUID) -> int:
        """Fix what counts: payees and their uplines as they were in the period, sales, facts, rates; how many payees
        were there.

        :raises ValidationProblem: a currency has no rate. :raises ConflictProblem: what would be booked of it is booked
            for one of the payees by another cycle.
        """
        async with UnitOfWork(self._database) as work:
            row = await _row(work, calculation, for_update=True)
            if row.state != "asked":
                return row.members or 0
            scheme = await self.scheme(work, row)
            if row.input_of is not None:
                source = await _row(work, row.input_of)
                await take_input(work, row, scheme, source, await self.scheme(work, source))
                row.state, row.frozen_at = "frozen", work.now
                return row.members or 0
            # What is closed sees everybody as it was settled with them, whatever was said of them since.
            as_in = await SettlementRuns(work).before(calculation) if row.purpose == "adjustment" else None
            row.members = await Calculations(work).freeze_members(membership_of(scheme, row), as_in)
            await refuse_paying_twice(work, row)
            if row.purpose != "adjustment":
                row.left_out = dict((await self.left_out(work, row)).counts)
            # Last: whoever adds sales waits for the rest of this transaction.
            row.facts_upto = await PayeeFacts(work).watermark()
            row.sales_upto = await Sales(work).watermark()
            row.rates = await rates_of_last_day(work, scheme, row)
            row.state, row.frozen_at = "frozen", self._database.clock()
            return row.members

    async def left_out(self, work: UnitOfWork, row: CalculationRow) -> Omitted:
        """Orders of the period that have no sales as things stand."""
        rules, scheme = await self._book.current(work), await self.scheme(work, row)
        if rules is None:
            return Omitted({}, ())
        return await LeftOut(work).found(scheme.counts, row.start, row.end, rules.since, begins_with(rules))

    async def earn_alone(self, calculation: UUID, part: int) -> Part:
        """The first pass over a part: what payees earn by themselves, and what it lets their uplines see."""
        async with UnitOfWork(self._database) as work:
            calculations = Calculations(work)
            row = await _frozen(work, calculation)
            scheme = await self.scheme(work, row)
            await calculations.hold(calculation, ALONE, part)
            members = await calculations.members(calculation, part)
            known = await known_in(work, scheme, row, part, {each.payee for each in members})
            earned, passed = first_pass(scheme, members, known)
            done = _done(part, members, earned, digest_of([*passed]))
            if not await _is_kept(work, row, ALONE, done):
                await calculations.write_passed(row, part, passed)
                await calculations.write(row, ALONE, part, earned, done)
            return done

    async def earn_by_downline(self, calculation: UUID, part: int) -> Part:
        """The second pass over a part: what payees earn by those below them, and the scheme's bounds.

        :raises ConflictProblem: the first pass is not over.
        """
        async with UnitOfWork(self._database) as work:
            calculations = Calculations(work)
            row = await _frozen(work, calculation)
            if len(await calculations.parts(calculation, ALONE)) < row.parts:
                raise ConflictProblem(Text("第一遍计算尚未完成", "The first pass is not over"))
            scheme = await self.scheme(work, row)
            await calculations.hold(calculation, BY_DOWNLINE, part)
            members = await calculations.members(calculation, part)
            own = {each.payee for each in members}
            known = await known_in(work, scheme, row, part, own, only_scores=True)
            passed = [each for each in await calculations.passed(row, part) if each.upline in own]
            earned = second_pass(scheme, members, known, passed)
            totals: dict[int, int] = defaultdict(int, await calculations.totals(row, part, ALONE))
            for each in earned:
                totals[each.payee] += each.amount
            earned += bounds_of(scheme, members, totals)
            done = _done(part, members, earned, "")
            if not await _is_kept(work, row, BY_DOWNLINE, done):
                await calculations.write(row, BY_DOWNLINE, part, earned, done)
            return done

    async def finish(self, calculation: UUID) -> str:
        """The digest of the whole, which is the same whenever and in whatever order its parts were done.

        :raises ConflictProblem: a part is missing, or what was computed before under this id was something else.
        """
        async with UnitOfWork(self._database) as work:
            row = await _row(work, calculation, for_update=True)
            parts = await Calculations(work).parts(calculation)
            if len(parts) < 2 * row.parts:
                missing = 2 * row.parts - len(parts)
                raise ConflictProblem(Text(f"还有 {missing} 个分片未完成", f"{missing} parts are not done"))
            digest = _digest(row, parts)
            if row.digest not in (None, digest):
                raise ConflictProblem(
                    Text(
                        f"重算结果与原来不同：原 {row.digest}，现 {digest}",
                        f"It comes to something else than before: {row.digest} then, {digest} now",
                    )
                )
            row.digest, row.total_minor = digest, sum(each.amount_minor for _, each in parts)
            if row.state != "computed":
                row.state, row.computed_at, row.problem = "computed", work.now, None
                await note_outcome(work, row)
            return digest

    async def fail(self, calculation: UUID, problem: dict[str, Any]) -> None:
        """Note why it cannot be computed, as a problem document."""
        async with UnitOfWork(self._database) as work:
            row = await _row(work, calculation, for_update=True)
            if row.state != "computed":
                row.state, row.problem = "failed", problem

    async def run(self, calculation: UUID, parts: Sequence[int] | None = None) -> str:
        """All steps, one after the other; parts: in which order. For who waits for a small one."""
        await self.freeze(calculation)
        for step in (self.earn_alone, self.earn_by_downline):
            for part in parts if parts is not None else range(PARTS):
                await step(calculation, part)
        return await self.finish(calculation)

    async def refuse_overlapping(self, work: UnitOfWork, row: CalculationRow) -> None:
        """Returns when no day of a period that is by its scheme's own cycle is settled by another one that was its own.

        :raises ConflictProblem: one is, of an earlier version; it names the first day from which on none is.
        """
        scheme = await self.scheme(work, row)
        if scheme.cycle != row.cycle:
            return
        for calculation in await SettlementOverlaps(work).paid_by_others(row.scheme, row.cycle, row.start, row.end):
            other = await Calculations(work).find(calculation)
            settled = await self.scheme(work, other) if other is not None else None
            if other is None or settled is None or settled.cycle != other.cycle:
                continue
            day = next_common_start((scheme.cycle, settled.cycle), other.end)
            raise ConflictProblem(
                Text(
                    f"账期 {row.start} 至 {row.end} 里有已按 {other.cycle} 结算的日子（{other.start} 至 {other.end}，"
                    f"方案 {other.scheme} {other.version}），按 {row.cycle} 只能从 {day} 起结算",
                    f"Days of {row.start} to {row.end} are settled by {other.cycle} ({other.start} to {other.end}, by "
                    f"{other.scheme} {other.version}); by {row.cycle} they are settled from {day} on",
                ),
                next_day=str(day),
            )

    async def members_changed(self, work: UnitOfWork, row: CalculationRow, limit: int) -> list[int]:
        """Payees who were otherwise in the period than the calculation has them, by what was said of them since."""
        return await Calculations(work).members_changed(membership_of(await self.scheme(work, row), row), limit)

    async def scheme(self, work: UnitOfWork, row: CalculationRow) -> Scheme:
        """As its text says, read once."""
        key = f"{row.text_digest}/{row.version}"
        if key not in self._schemes:
            version = await Definitions(work).get((SCHEME, "", row.scheme, row.version))
            if version is None or version.digest != row.text_digest:
                raise NotFoundProblem(
                    Text(
                        f"方案 {row.scheme} {row.version} 的文本已不存在",
                        f"The text of the scheme {row.scheme} {row.version} is not there any more",
                    )
                )
            self._schemes[key] = scheme_of(version.properties)
        return self._schemes[key]

    async def _refuse_uncounted(self, work: UnitOfWork, scheme: Scheme) -> None:
        rules = await self._book.current(work)
        if rules is None or scheme.counts not in rules.counts:
            raise ValidationProblem(
                Text(
                    f"方案按 {scheme.counts} 计业绩，而已发布的归属规则没有这一项；请在 attribution 的 counts 中加上",
                    f"The scheme counts {scheme.counts} orders, which no attribution in force does: add it to `counts`",
                )
            )


async def _asked(work: UnitOfWork, wanted: Wanted) -> tuple[SchemeVersion, CalculationRow | None]:
    """The version and the period that were asked for, and the calculation whose input it goes by."""
    if wanted.purpose != "what-if":
        if wanted.input_of is not None or wanted.today:
            raise ValidationProblem(
                Text(
                    "只有 what-if 可以指明输入（input_of、today）", "Only what-if names its input (`input_of`, `today`)"
                )
            )
        return await _version(work, wanted), None
    if wanted.input_of is None:
        asked = await _version(work, wanted)
        known = None if wanted.today else await booked_for(work, wanted.scheme, asked.cycle, asked.start)
        return asked, known
    if wanted.today:
        raise ValidationProblem(
            Text("input_of 与 today 不能同时写", "It goes by the input of another (`input_of`), or by `today`")
        )
    source, cycle = await input_named(work, wanted.input_of, wanted.scheme, wanted.day, wanted.cycle)
    return await _version(work, replace(wanted, cycle=cycle)), source


async def _version(work: UnitOfWork, wanted: Wanted) -> SchemeVersion:
    """The version that was named, or the published one that is for the period; what-if takes any, for any period."""
    any_period = wanted.purpose == "what-if"
    if wanted.version is None:
        return await published_for(work, wanted.scheme, wanted.day, wanted.cycle, any_period=any_period)
    version = await Definitions(work).get((SCHEME, "", wanted.scheme, wanted.version))
    # What is only uploaded may be tried, and not paid by.
    tries = wanted.purpose in ("preview", "what-if")
    if version is None or (version.published_at is None and not tries):
        named = f"{wanted.scheme} {wanted.version}"
        raise NotFoundProblem(Text(f"没有已发布的方案 {named}", f"There is no published scheme {named}"))
    asked = at(version, wanted.day, wanted.cycle)
    if not any_period:
        refuse_other_periods(asked)
    return asked


async def _row(work: UnitOfWork, calculation: UUID, *, for_update: bool = False) -> CalculationRow:
    row = await Calculations(work).find(calculation, for_update=for_update)
    if row is None:
        raise NotFoundProblem(Text(f"没有核算 {calculation}", f"There is no calculation {calculation}"))
    return row


async def _frozen(work: UnitOfWork, calculation: UUID) -> CalculationRow:
    row = await _row(work, calculation)
    if row.sales_upto is None:
        raise ConflictProblem(Text("核算的输入尚未冻结", "What counts is not frozen yet"))
    return row


async def _is_kept(work: UnitOfWork, row: CalculationRow, pass_: int, done: Part) -> bool:
    """Whether a calculation is computed already, and this part of it stays as it is: others read it.

    :raises ConflictProblem: it comes to something else now.
    """
    if not await Calculations(work).is_computed(row.id):
        return False
    if (pass_, done) not in await Calculations(work).parts(row.id, pass_):
        raise ConflictProblem(
            Text(
                f"核算 {row.id} 早已算完，分片 {done.number} 现在算出的与当时不同，未作改动；请用 repeat 另行重算比较",
                f"The calculation {row.id} is computed, and its part {done.number} comes to something else now: it "
                "stays as it was. Compare by repeat",
            )
        )
    return True


def _done(part: int, members: Sequence[Member], earned: Sequence[Earned], more: str) -> Part:
    digest = hashlib.sha256(f"{digest_of(members)} {digest_of(earned)} {more}".encode()).hexdigest()[:40]
    return Part(part, digest, len({each.payee for each in earned}), sum(each.amount for each in earned))


def _digest(row: CalculationRow, parts: Sequence[tuple[int, Part]]) -> str:
    """Of the scheme's text, the period, and all that came out."""
    digest = hashlib.sha256(f"{row.text_digest} {row.cycle} {row.start} {row.end} {BOUNDS}".encode())
    for pass_, part in sorted(parts):
        digest.update(f"{pass_} {part.number} {part.digest} {part.amount_minor}".encode())
    return digest.hexdigest()[:40]
