"""Breaks as people work through them: given to somebody, explained by one person, solved by another.

Nobody can make a difference vanish alone: whoever says why it is there is not who lets it go, and the database holds
that as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from domain.access import Actor, Permission, require_second_person
from domain.catalog.breaks import BreakLeft, BreaksLeftArguments, BreaksLeftOutput
from domain.money import HOME_CURRENCY
from domain.problems import ConflictProblem, NotFoundProblem, Text
from domain.settlement.approvals import ApprovalPolicy
from domain.settlement.bills import day_of
from domain.settlement.reconciliation import BreakKind
from services.payout_breaks import book_meaning, require_meaning
from storage.audit import AuditLog
from storage.breaks import BreakFilter, BreakRow, Breaks, Reason
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.payouts import Payouts
from storage.placements import Placements
from storage.unit_of_work import UnitOfWork
from storage.users import Users

AGES: Sequence[tuple[str, int | None]] = (("0-1", 1), ("2-3", 3), ("4-7", 7), ("8-30", 30), (">30", None))
"""By days since the bill's day; the last has no end."""


PATH = "/api/v1/settlement/breaks"
MOST_LEFT = 50
"""Breaks that a task lists; the path has all of them."""


@dataclass(frozen=True, slots=True)
class AgedBreaks:
    """What is not solved of an account and kind, by age. difference_minor: without signs, so that nothing hides behind
    something else."""

    account: str
    kind: BreakKind
    age: str
    breaks: int
    difference_minor: int


class BreakService:
    """Within the actor's scope: the accounts that they see."""

    def __init__(self, database: Database, policy: ApprovalPolicy | None = None) -> None:
        self._database = database
        self._policy = policy or ApprovalPolicy()

    async def list(self, actor: Actor, page: PageRequest, wanted: BreakFilter) -> Page[BreakRow]:
        """The oldest first; without a state those that are not solved."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            return await Breaks(work).search(actor.scope, page, wanted)

    async def show(self, actor: Actor, break_id: UUID) -> BreakRow:
        """Raises NotFoundProblem."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            return await _find(work, actor, break_id)

    async def left(self, request: BreaksLeftArguments) -> BreaksLeftOutput:
        """What of a day's breaks nobody has explained, for the flow that has them worked through."""
        account = f"{request.platform}/{request.account}"
        async with UnitOfWork(self._database) as work:
            unexplained, explained, first = await Breaks(work).left(account, request.day, MOST_LEFT)
        items = [
            BreakLeft(
                id=each.id,
                kind=each.kind,
                family=each.family,
                number=each.number,
                difference_minor=each.difference_minor,
                path=f"{PATH}/{each.id}",
            )
            for each in first
        ]
        path = f"{PATH}?account={account}&day={request.day}"
        return BreaksLeftOutput(open=unexplained, explained=explained, items=tuple(items), path=path)

    async def aged(self, actor: Actor) -> Sequence[AgedBreaks]:
        """What is not solved, by account, kind and age."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            today = day_of(work.now)
            sums = await Breaks(work).unsolved_by_day(actor.scope)
        ranks = {name: rank for rank, (name, _) in enumerate(AGES)}
        found: dict[tuple[str, BreakKind, int], tuple[int, int]] = {}
        for each in sums:
            key = (each.account, each.kind, ranks[age_of(each.day, today)])
            breaks, difference = found.get(key, (0, 0))
            found[key] = (breaks + each.breaks, difference + each.difference_minor)
        return [
            AgedBreaks(account, kind, AGES[rank][0], *found[account, kind, rank])
            for account, kind, rank in sorted(found)
        ]

    async def assign(self, actor: Actor, break_id: UUID, to: str | None, ticket: str | None = None) -> BreakRow:
        """Give it to somebody, or to nobody; note a ticket. Raises NotFoundProblem, ConflictProblem when solved."""
        actor.require(Permission.SETTLEMENTS_RUN)
        async with UnitOfWork(self._database) as work:
            row = await _unsolved(work, actor, break_id)
            if to is not None:
                user = await Users(work).require(to)
                if not user.active:
                    raise NotFoundProblem(Text(f"没有在职用户 {to}", f"There is no active user {to}"))
            row.assignee, row.changed_at = to, work.now
            row.ticket = ticket if ticket is not None else row.ticket
            await _record(work, actor, "break.assign", row, {"to": to, "ticket": ticket})
            return row

    async def explain(self, actor: Actor, break_id: UUID, reason: Reason, note: str) -> BreakRow:
        """Say why it is there; another person solves it then. Raises ConflictProblem when it is solved, or when
        what is said of a payout cannot be: that it was returned, or paid after all."""
        actor.require(Permission.SETTLEMENTS_RUN)
        async with UnitOfWork(self._database) as work:
            row = await _unsolved(work, actor, break_id)
            await require_meaning(work, row, reason)
            row.state, row.reason, row.note = "explained", reason, note
            row.explained_by, row.explained_at, row.changed_at = actor.login, work.now, work.now
            await _record(work, actor, "break.explain", row, {"reason": reason, "note": note})
            return row

    async def solve(self, actor: Actor, break_id: UUID, note: str | None = None) -> BreakRow:
        """Let an explained difference go. A payout that the bank returned is booked back with it, for the next batch to
        pay; one that was paid after all is taken off the payee's balance. Open breaks by which somebody else tells of
        the same money go with it.

        :raises AuthorizationProblem: for who explained it, or may not approve so much. :raises ConflictProblem: nobody
            explained it, or what is said of a payout cannot be any more.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        async with UnitOfWork(self._database) as work:
            row = await _explained(work, actor, break_id)
            # Bills are of the merchant's own currency.
            self._policy.require_within_limit(actor, abs(row.difference_minor), HOME_CURRENCY)
            booked, twins = await book_meaning(work, row)
            for each in twins:
                each.reason, each.note = row.reason, row.note
                each.explained_by, each.explained_at = row.explained_by, row.explained_at
            for each in (row, *twins):
                each.state, each.solved_by = "solved", actor.login
                each.solved_at = each.changed_at = work.now
                detail = {"note": note, "difference_minor": each.difference_minor, "reason": each.reason}
                detail |= {"booked": booked} if each is row else {"with": str(row.id)}
                await _record(work, actor, "break.solve", each, detail)
            return row

    async def refuse(self, actor: Actor, break_id: UUID, note: str | None = None) -> BreakRow:
        """Send an explanation back: the break is open again. Raises as `solve`, whatever the sum."""
        actor.require(Permission.PAYOUTS_APPROVE)
        async with UnitOfWork(self._database) as work:
            row = await _explained(work, actor, break_id)
            row.state, row.reason, row.explained_by, row.explained_at = "open", None, None, None
            row.note, row.changed_at = note, work.now
            await _record(work, actor, "break.refuse", row, {"note": note})
            return row


def age_of(day: date, today: date) -> str:
    """The bucket of a day."""
    age = (today - day) // timedelta(days=1)
    return next(name for name, last in AGES if last is None or age <= last)


async def _find(work: UnitOfWork, actor: Actor, break_id: UUID, *, for_update: bool = False) -> BreakRow:
    row = await Breaks(work).find(break_id, actor.scope, for_update=for_update)
    if row is None:
        raise NotFoundProblem(Text(f"没有差异 {break_id}", f"There is no break {break_id}"))
    return row


async def _unsolved(work: UnitOfWork, actor: Actor, break_id: UUID) -> BreakRow:
    # Whoever ends a payout locks it before its breaks; so does whoever says by a break how it ended.
    if (number := await Breaks(work).payout_of(break_id)) is not None:
        await Payouts(work).find(number, for_update=True)
    row = await _find(work, actor, break_id, for_update=True)
    if row.state == "solved":
        raise ConflictProblem(Text("该差异已经解决", "This break is solved already"), state=row.state)
    return row


async def _explained(work: UnitOfWork, actor: Actor, break_id: UUID) -> BreakRow:
    row = await _unsolved(work, actor, break_id)
    if row.state != "explained" or row.explained_by is None:
        raise ConflictProblem(
            Text(
                "该差异还没有说明原因，请先由财务说明", "Nobody has explained this break yet; finance does that first"
            ),
            state=row.state,
        )
    require_second_person(actor, [row.explained_by], Text("差异", "A break"))
    return row


async def _record(work: UnitOfWork, actor: Actor, action: str, row: BreakRow, detail: Mapping[str, object]) -> None:
    place = (await Placements(work).of_accounts([row.account]))[row.account]
    await AuditLog(work).record(actor, action, f"break:{row.id}", detail, place)
