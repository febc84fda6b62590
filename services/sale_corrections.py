"""Whose an order is, seen with its evidence, disputed and corrected: one person asks, another one decides."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from domain.access import Actor, Permission, require_second_person
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.attribution import Shares
from domain.settlement.exact import WEIGHT
from domain.settlement.payee_terms import holding_on
from services.order_standings import order_day
from services.payee_refusals import unknown_payees
from services.sale_problems import PROBLEMS
from storage.attributions import Attributed, Attributions
from storage.audit import AuditLog
from storage.engine import Database
from storage.orders import OrderName, OrderRow
from storage.paging import Page, PageRequest
from storage.payee_terms import PayeeTermBook
from storage.payees import PayeeRow, Payees
from storage.sale_corrections import SaleCorrectionRow, SaleCorrections, State
from storage.sale_queue import SaleQueue
from storage.sales import Sales
from storage.scoping import visible
from storage.unit_of_work import UnitOfWork

CORRECTION = "correction"
MOST_SHARES = 20


@dataclass(frozen=True, slots=True)
class Part:
    """A payee's part in an order, by code; share in ten-thousandths."""

    payee: str
    share: int


@dataclass(frozen=True, slots=True)
class Correction:
    """What is or was asked for. shares: the largest first, of equal ones who was written down first."""

    id: UUID
    account: str
    order_id: str
    role: str
    shares: Sequence[Part]
    reason: str
    state: State
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str | None

    @property
    def counted_for(self) -> str | None:
        """Whose all pieces and the deal are where several share the order: sums alone are split."""
        return self.shares[0].payee if len(self.shares) > 1 else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """That an order is or was a payee's, and why. evidence: `channel:live-7`, or the id of a correction."""

    role: str
    payee: str
    share: int
    way: str
    evidence: str
    rules: str | None
    decided_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class SoldLine:
    """What a line of the order comes to for a payee, on the day it counts for."""

    basis: str
    day: date
    payee: str
    line_id: str
    paid_minor: int
    kept_minor: int
    quantity: int
    orders: int


@dataclass(frozen=True, slots=True)
class SoldOrderView:
    """An order as settlement sees it. problem: why it has no sales, if something is missing."""

    account: str
    order_id: str
    is_first: bool | None
    problem: Text | None
    evidence: Sequence[Evidence]
    sales: Sequence[SoldLine]
    corrections: Sequence[Correction]


class SaleCorrectionService:
    """Disputes about whose an order is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def order(self, actor: Actor, name: OrderName) -> SoldOrderView:
        """Whose an order is, why, and what it comes to. Raises NotFoundProblem."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            row = await _order(work, actor, name)
            history = await Attributions(work).history(row.id)
            standing = (await Attributions(work).standings([row.id])).get(row.id)
            days = set(standing.days.values()) if standing is not None else set()
            ever = {each.payee for each in history}
            sales = await Sales(work).told([row.id], days, ever) if days and ever else []
            corrections = await SaleCorrections(work).of_order(row.id)
            codes = await Payees(work).codes(ever | {payee for each in corrections for payee, _ in each.shares})
            return SoldOrderView(
                row.account_id or "",
                row.order_id,
                standing.is_first if standing is not None else None,
                PROBLEMS.get(standing.problem) if standing is not None and standing.problem is not None else None,
                [
                    Evidence(
                        each.role,
                        codes[each.payee],
                        each.share,
                        each.way,
                        each.evidence,
                        each.rules,
                        each.decided_at,
                        each.ended_at,
                    )
                    for each in history
                ],
                [
                    SoldLine(
                        of.basis,
                        of.day,
                        codes[of.payee],
                        of.line_id,
                        amounts.paid_minor,
                        amounts.kept_minor,
                        amounts.quantity,
                        amounts.orders,
                    )
                    for of, amounts in sales
                ],
                [_shown(each, codes) for each in corrections],
            )

    async def ask(self, actor: Actor, name: OrderName, role: str, shares: Sequence[Part], reason: str) -> Correction:
        """Ask that an order be these payees' in a role; nobody's when there are none.

        :raises NotFoundProblem: no such order or payee within the scope. :raises ValidationProblem: shares of more than
            the whole, a payee who was of another role on the order's day. :raises ConflictProblem: one waits already,
            or it is so, or a payee has the order in another role.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        _refuse_bad(shares)
        async with UnitOfWork(self._database) as work:
            row = await _order(work, actor, name)
            payees = await Payees(work).rows({each.payee for each in shares})
            seen = {code for code, payee in payees.items() if actor.sees(payee.placement)}
            if missing := {each.payee for each in shares} - seen:
                raise unknown_payees(sorted(missing))
            await _refuse_other_roles(work, payees.values(), role, order_day(row))
            wanted = sorted(((payees[each.payee].id, each.share) for each in shares), key=lambda one: (-one[1], one[0]))
            known = await _refuse_twice(work, row.id, role, {payee for payee, _ in wanted})
            if list(known.get(role, ())) == wanted:
                raise ConflictProblem(
                    Text("归属已经如此，无需更正", "It is so already: there is nothing to correct"),
                    order_id=row.order_id,
                )
            correction = SaleCorrectionRow(
                order_key=row.id,
                order_id=row.order_id,
                role=role,
                shares=[list(each) for each in wanted],
                reason=reason,
                state="asked",
                asked_by=actor.login,
                asked_at=work.now,
                unit_path=row.unit_path,
                account_id=row.account_id,
                customer_owner=row.customer_owner,
            )
            await SaleCorrections(work).add(correction)
            detail = {"role": role, "shares": {each.payee: each.share for each in shares}, "reason": reason}
            await AuditLog(work).record(actor, "sale.dispute", _target(correction), detail, row.placement)
            return _shown(correction, {row.id: code for code, row in payees.items()})

    async def decide(self, actor: Actor, correction_id: UUID, *, approve: bool, note: str | None = None) -> Correction:
        """Approve or refuse. What is approved counts from the next settlement on, for closed periods as an adjustment.

        :raises AuthorizationProblem: the one who asked. :raises ConflictProblem: it is decided already, or a payee has
            got the order in another role meanwhile.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        async with UnitOfWork(self._database) as work:
            row = await SaleCorrections(work).find(correction_id, actor.scope)
            if row is None:
                raise NotFoundProblem(Text(f"没有更正 {correction_id}", f"There is no correction {correction_id}"))
            if row.state != "asked":
                raise ConflictProblem(
                    Text(f"该更正已由 {row.decided_by} 处理", f"{row.decided_by} has decided it already"),
                    state=row.state,
                )
            require_second_person(actor, [row.asked_by], Text("归属更正", "A correction of whose an order is"))
            row.state = "approved" if approve else "refused"
            row.decided_by, row.decided_at, row.note = actor.login, work.now, note
            if approve:
                # Whoever else decides of this order waits here, and sees what became of it.
                await SaleQueue(work).add_keys([row.order_key])
                await _refuse_twice(work, row.order_key, row.role, {payee for payee, _ in row.shares})
                parts = [
                    Attributed(row.role, payee, share, CORRECTION, str(row.id), None) for payee, share in row.shares
                ]
                await Attributions(work).correct(row.order_key, row.role, parts)
            action = "sale.correct" if approve else "sale.dispute-refused"
            await AuditLog(work).record(actor, action, _target(row), {"note": note}, row.placement)
            codes = await Payees(work).codes({payee for payee, _ in row.shares})
            return _shown(row, codes)

    async def list(self, actor: Actor, page: PageRequest, *, state: State | None = None) -> Page[Correction]:
        """Corrections, the oldest first."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            found = await SaleCorrections(work).search(actor.scope, page, state=state)
            codes = await Payees(work).codes({payee for each in found.items for payee, _ in each.shares})
            return Page([_shown(each, codes) for each in found.items], found.next_cursor)


async def _order(work: UnitOfWork, actor: Actor, name: OrderName) -> OrderRow:
    named = (col(OrderRow.account_id) == name[0], col(OrderRow.order_id) == name[1])
    row = (await work.session.scalars(select(OrderRow).where(*named, visible(OrderRow, actor.scope)))).first()
    if row is None:
        raise NotFoundProblem(
            Text(
                f"没有订单 {name[0]} {name[1]}，或不在您的数据范围内",
                f"There is no order {name[1]} of {name[0]} within your data scope",
            )
        )
    return row


def _shown(row: SaleCorrectionRow, codes: dict[int, str]) -> Correction:
    return Correction(
        row.id,
        row.account_id or "",
        row.order_id,
        row.role,
        [Part(codes[payee], share) for payee, share in row.shares],
        row.reason,
        row.state,
        row.asked_by,
        row.asked_at,
        row.decided_by,
        row.decided_at,
        row.note,
    )


def _refuse_bad(shares: Sequence[Part]) -> None:
    if len(shares) > MOST_SHARES or len({each.payee for each in shares}) < len(shares):
        raise ValidationProblem(
            Text(f"最多 {MOST_SHARES} 位收款人，每位一次", f"{MOST_SHARES} payees at most, each of them once")
        )
    if sum(each.share for each in shares) > WEIGHT or any(each.share < 1 for each in shares):
        raise ValidationProblem(
            Text("份额都要大于零，合计不超过 100%", "Every share is more than nothing, and all together 100% at most")
        )


async def _refuse_other_roles(work: UnitOfWork, payees: Collection[PayeeRow], role: str, day: date) -> None:
    """Returns when these payees were of a role on a day, as `services.selling` finds whose an order is."""
    terms = await PayeeTermBook(work).of([each.id for each in payees])
    for each in payees:
        its = holding_on(terms[each.id], day).role
        if its != role:
            raise ValidationProblem(
                Text(
                    f"收款人 {each.code} 在订单当天（{day}）的角色是 {its}，不是 {role}",
                    f"On the day of the order, {day}, the payee {each.code} was of the role {its}, not {role}",
                )
            )


async def _refuse_twice(work: UnitOfWork, order: int, role: str, payees: Collection[int]) -> Mapping[str, Shares]:
    """Whose an order is, by role, where none of these payees has it in another one: it would count twice for them."""
    owners = (await Attributions(work).known([order])).owners.get(order, {})
    for other, shares in owners.items():
        if other != role and (twice := {payee for payee, _ in shares} & set(payees)):
            code = min((await Payees(work).codes(twice)).values())
            raise ConflictProblem(
                Text(
                    f"收款人 {code} 已以角色 {other} 持有该订单，再以 {role} 持有会重复计算；请先更正 {other} 的归属",
                    f"The payee {code} has the order as {other} already, and as {role} it would count twice: correct "
                    f"whose it is as {other} first",
                )
            )
    return owners


def _target(row: SaleCorrectionRow) -> str:
    return f"order:{row.account_id}/{row.order_id}"
