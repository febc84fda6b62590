"""A payee's account in a period, explained down to order lines."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel

from api.auth import requires
from api.deps import Deps
from api.paging import Paging
from api.routes.explanations import EarningOut, earning_out
from api.routes.settlement import PayeeCode
from api.routing import router
from domain.access import Actor, Permission
from domain.settlement.days import Day
from domain.settlement.payouts import Rail, State
from domain.settlement.scheme import Cycle
from services.payee_accounts import ExplainedEntry, PayeeAccount

payee_accounts = router("/api/v1/settlement/payees", "settlement")

Looker = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
OfDay = Annotated[Day, Query(description="账期内任一天 · any day of the period")]
OwnCycle = Annotated[
    Cycle | None,
    Query(description="哪种周期；不写则为收款人自己的或方案的 · by which cycle: the payee's own, else the scheme's"),
]
Scheme = Annotated[str, Query(min_length=1, max_length=64, description="方案名 · the scheme")]


class ChangeOut(BaseModel):
    """What a component comes to now, and came to when it was booked before."""

    before_minor: int
    change_minor: int
    earning: EarningOut


class PaidOut(BaseModel):
    number: str
    rail: Rail
    state: State


class EntryOut(BaseModel):
    """A transfer. day: the last of its period for what was earned or taken back, else the Shanghai day on which it was
    booked. given, taken: kinds of the accounts credited and debited. net_minor: what the payee has more by it, now or
    later, or owes less. start, end: of the period that was settled; calculation, before: what was booked for it, and
    what that took the place of."""

    day: date
    kind: str
    given: str
    taken: str
    amount_minor: int
    net_minor: int
    booked_at: AwareDatetime
    start: date | None
    end: date | None
    calculation: UUID | None
    before: UUID | None
    changes: list[ChangeOut]
    payout: PaidOut | None


class PayeeAccountOut(BaseModel):
    """What a payee had, what became of it in a period, and what they have: now, later, and less what they owe. The sums
    are of all `count` entries, whatever page is shown."""

    payee: str
    scheme: str
    currency: str
    cycle: Cycle
    start: date
    end: date
    closed_at: AwareDatetime | None
    opening_minor: int
    closing_minor: int
    count: int
    entries: list[EntryOut]
    next_cursor: str | None


@payee_accounts.get("/{code}/account", summary="解释收款人一期的账 · Explain a payee's account in a period")
async def explain_payee_account(
    code: PayeeCode, actor: Looker, deps: Deps, page: Paging, scheme: Scheme, day: OfDay, cycle: OwnCycle = None
) -> PayeeAccountOut:
    """期初、每笔账目（所得、调整、扣回直到订单行，付款到单号）、期末；收入计在账期末日，付款计在上海当日。

    Opening, every entry (what was earned, adjusted or taken back down to order lines, payouts by number), closing. What
    was earned is of its period's last day, what was paid of its Shanghai day.
    """
    return _shown(await deps.payee_accounts.explain(actor, scheme, day, code, cycle, page))


def _shown(account: PayeeAccount) -> PayeeAccountOut:
    return PayeeAccountOut(
        payee=account.payee,
        scheme=account.scheme,
        currency=account.currency,
        cycle=account.cycle,
        start=account.start,
        end=account.end,
        closed_at=account.closed_at,
        opening_minor=account.opening_minor,
        closing_minor=account.closing_minor,
        count=account.count,
        entries=[_entry(each) for each in account.entries],
        next_cursor=account.next_cursor,
    )


def _entry(told: ExplainedEntry) -> EntryOut:
    number, rail, state = told.payout or (None, None, None)
    entry = told.entry
    return EntryOut.model_validate(
        {
            **entry._asdict(),
            "start": told.start,
            "end": told.end,
            "calculation": told.calculation,
            "before": told.before,
            "changes": [
                {
                    "before_minor": each.before_minor,
                    "change_minor": each.change_minor,
                    "earning": earning_out(each.earning),
                }
                for each in told.changes
            ],
            "payout": None if number is None else {"number": number, "rail": rail, "state": state},
        }
    )
