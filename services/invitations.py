"""Invitations: who brought a customer, said by people and by whoever keeps a merchant's shares and group purchases.

An order that came by no code is its buyer's inviter's where the attribution says so: of the payee at the upper end of
the chain, from the buyer to whoever invited them, and on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.access import Actor, Permission
from domain.canonical.records import FUTURE_TOLERANCE
from domain.events import rfc3339
from domain.problems import NotFoundProblem, Text, ValidationProblem
from domain.settlement.bills import day_of
from services.attribution_book import AttributionBook
from storage.audit import AuditLog
from storage.customer_scope import require_customer
from storage.engine import Database
from storage.identities import Identities
from storage.invitations import InvitationRow, Invitations
from storage.payees import Payees
from storage.sale_queue import SaleQueue
from storage.unit_of_work import UnitOfWork

LONGEST_SOURCE = 200
MOST_AT_ONCE = 2_000
"""Orders of whoever is invited and of those whom they invited, and these people themselves; where there are more of
either, all orders are looked at."""


@dataclass(frozen=True, slots=True)
class Inviter:
    """Who invited: a payee by code, or a customer."""

    payee: str | None = None
    customer: UUID | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """As people see it. counts: whether it is the first, by which orders are somebody's."""

    inviter: Inviter
    at: datetime
    source: str
    recorded_at: datetime
    made_by: str
    counts: bool


class InvitationService:
    """Raises AuthorizationProblem without the permission, NotFoundProblem for customers out of the actor's scope."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._book = AttributionBook()

    async def of_customer(self, actor: Actor, customer_id: UUID) -> Sequence[Invitation]:
        """Who invited a customer, the first first."""
        actor.require(Permission.PAYEES_READ)
        async with UnitOfWork(self._database) as work:
            return await _shown(work, await require_customer(work, customer_id, actor.scope))

    async def record(
        self, actor: Actor, customer_id: UUID, inviter: Inviter, at: datetime, source: str
    ) -> Sequence[Invitation]:
        """Write down who invited a customer; all that are known then. Said twice, it is one. The customer's orders, and
        those of whom they invited, are looked at again.

        :raises ValidationProblem: no inviter or two, oneself, no source, a time that is still to come, a customer
            without keys. :raises NotFoundProblem: there is no such payee or customer.
        """
        actor.require(Permission.PAYEES_MANAGE)
        how = source.strip()
        async with UnitOfWork(self._database) as work:
            customer = await require_customer(work, customer_id, actor.scope)
            _refuse(inviter, at, how, work.now)
            row = InvitationRow(identity_id=await _key_of(work, customer), at=at, source=how, made_by=actor.login)
            if inviter.customer is not None:
                other = await require_customer(work, inviter.customer, actor.scope)
                if other == customer:
                    raise ValidationProblem(Text("客户不能邀请自己", "Nobody invites themselves"))
                row.by_identity_id = await _key_of(work, other)
            else:
                found = await Payees(work).find(inviter.payee or "", actor.scope)
                if found is None:
                    raise NotFoundProblem(Text(f"没有收款人 {inviter.payee}", f"There is no payee {inviter.payee}"))
                row.payee = found.id
            if await Invitations(work).add(row):
                await self._look_again(work, customer, at)
                by = inviter.payee or f"customer:{inviter.customer}"
                detail = {"by": by, "at": rfc3339(at), "source": how}
                await AuditLog(work).record(actor, "customer.invited", f"customer:{customer}", detail)
            shown = await _shown(work, customer)
        # An order that was told meanwhile may have been looked at before anybody could see this. Also when it is said
        # again: whoever said it first may have died before.
        async with UnitOfWork(self._database) as work:
            await self._look_again(work, customer, at)
        return shown

    async def _look_again(self, work: UnitOfWork, customer: UUID, at: datetime) -> None:
        rules = await self._book.current(work)
        if rules is None or not rules.most_invitations:
            return
        since = max(rules.since, day_of(at))
        if not await SaleQueue(work).add_invited(customer, rules.most_invitations - 1, since, MOST_AT_ONCE):
            await SaleQueue(work).ask_for_sweep(since, "invitations")


def _refuse(inviter: Inviter, at: datetime, source: str, now: datetime) -> None:
    if (inviter.payee is None) == (inviter.customer is None):
        raise ValidationProblem(
            Text("邀请人写 payee 或 customer，二者其一", "Name who invited by `payee` or by `customer`, one of the two")
        )
    if not source or len(source) > LONGEST_SOURCE:
        raise ValidationProblem(
            Text(
                f"请写明来源（如何得知的），最多 {LONGEST_SOURCE} 字",
                f"Say how it is known (the source), in at most {LONGEST_SOURCE} characters",
            )
        )
    if at > now + FUTURE_TOLERANCE:
        raise ValidationProblem(Text("时间不能晚于现在", "The time must not lie in the future"), at=str(at))


async def _key_of(work: UnitOfWork, customer: UUID) -> int:
    """The key of a customer that most surely stays theirs when customers merge or split."""
    keeper = await Identities(work).keeper(customer)
    if keeper is None:
        raise ValidationProblem(Text("这位客户没有任何标识", "This customer has no key at all"))
    return keeper


async def _shown(work: UnitOfWork, customer: UUID) -> Sequence[Invitation]:
    rows = await Invitations(work).of_customer(customer)
    codes = await Payees(work).codes({row.payee for row in rows if row.payee is not None})
    customers = await Invitations(work).customers_of({row.by_identity_id for row in rows if row.by_identity_id})
    return [
        Invitation(
            Inviter(
                codes[row.payee] if row.payee is not None else None,
                customers.get(row.by_identity_id) if row.by_identity_id is not None else None,
            ),
            row.at,
            row.source,
            row.recorded_at,
            row.made_by,
            counts=number == 0,
        )
        for number, row in enumerate(rows)
    ]
