"""Why a payee's sum in a calculation is what it is: rule and base of each component, and all that is behind it."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from pydantic import AwareDatetime, BaseModel

from api.deps import Deps
from api.paging import PageOf, Paging
from api.routes.calculations import Looker, Shown
from api.routes.settlement import PayeeCode
from api.routing import router
from services.earning_explanations import ExplainedEarning
from services.settlement_views import EarningName

explanations = router("/api/v1/settlement/calculations/{calculation_id}/payees", "settlement")

Component = Annotated[str, Path(max_length=40, examples=["sales"])]
Before = Annotated[
    UUID | None,
    Query(description="与哪一次核算比较，只列其后的 · the calculation to compare with: only what came since"),
]


class LineOut(Shown):
    """An order line and what it counts of the component's base, refunds taken off. payee: who sold it. amount_minor:
    what the line comes to, where each line is rounded by itself."""

    account: str
    order_id: str
    line_id: str
    counted: str
    payee: str
    amount_minor: int | None


class FactOut(Shown):
    """A visit, a review, a booking or a score. counts: of a score only the last one does."""

    name: str
    day: date
    amount: int
    key: str
    counts: bool
    noted_at: AwareDatetime
    noted_by: str


class BelowOut(Shown):
    """What somebody so many levels below earned. before_minor: in the calculation that this is compared with."""

    payee: str
    level: int
    amount_minor: int
    before_minor: int | None


class EarningOut(BaseModel):
    """Why a component comes to what it does, with the first of what is behind it.

    lines, facts: all that count, or with is_difference what came since the calculation before. below: of what others
    earned, who they are. Where a cursor is given, the list goes on at
    `/settlement/calculations/{calculation}/payees/{code}/components/{component}/lines`, `facts` or `below`, with
    `before` where there is one.
    """

    calculation: UUID
    before: UUID | None
    component: str
    title: str
    rule: dict[str, str]
    base: str
    amount_minor: int
    is_difference: bool
    lines: list[LineOut]
    lines_cursor: str | None
    facts: list[FactOut]
    facts_cursor: str | None
    below: list[BelowOut]
    below_cursor: str | None


class ExplanationOut(BaseModel):
    """A payee's sum, component by component, down to order lines."""

    payee: str
    currency: str
    amount_minor: int
    earnings: list[EarningOut]


@explanations.get("/{code}", summary="解释一位收款人的结果 · Explain a payee's sum")
async def explain_calculation(calculation_id: UUID, code: PayeeCode, actor: Looker, deps: Deps) -> ExplanationOut:
    """逐项的规则、基数、金额，直到每一行订单、每次到店。· Rule, base and amount of each, down to lines and facts."""
    found = await deps.settlement_views.explain(actor, calculation_id, code)
    return ExplanationOut(
        payee=found.payee,
        currency=found.currency,
        amount_minor=found.amount_minor,
        earnings=[earning_out(each) for each in found.earnings],
    )


@explanations.get("/{code}/components/{component}/lines", summary="一项背后的订单行 · Order lines behind a component")
async def list_counted_lines(
    calculation_id: UUID,
    code: PayeeCode,
    component: Component,
    actor: Looker,
    deps: Deps,
    page: Paging,
    before: Before = None,
) -> PageOf[LineOut]:
    """全部订单行，按订单。· Every line, by order."""
    named = EarningName(calculation_id, code, component, before)
    found: Any = await deps.settlement_views.lines(actor, named, page)
    return PageOf[LineOut].model_validate(found)


@explanations.get(
    "/{code}/components/{component}/facts", summary="一项背后的到店、评价、预约与考核分 · Facts behind a component"
)
async def list_counted_facts(
    calculation_id: UUID,
    code: PayeeCode,
    component: Component,
    actor: Looker,
    deps: Deps,
    page: Paging,
    before: Before = None,
) -> PageOf[FactOut]:
    """按记录先后。· In the order in which they were noted."""
    named = EarningName(calculation_id, code, component, before)
    found: Any = await deps.settlement_views.facts(actor, named, page)
    return PageOf[FactOut].model_validate(found)


@explanations.get("/{code}/components/{component}/below", summary="一项背后的下级收入 · Who below earned what")
async def list_earned_below(
    calculation_id: UUID,
    code: PayeeCode,
    component: Component,
    actor: Looker,
    deps: Deps,
    page: Paging,
    before: Before = None,
) -> PageOf[BelowOut]:
    """收入高的在前。· Who earned most first."""
    named = EarningName(calculation_id, code, component, before)
    found: Any = await deps.settlement_views.below(actor, named, page)
    return PageOf[BelowOut].model_validate(found)


def earning_out(told: ExplainedEarning) -> EarningOut:
    """As the API shows it."""
    return EarningOut(
        calculation=told.calculation,
        before=told.before,
        component=told.component,
        title=told.title,
        rule=told.rule.as_dict(),
        base=told.base,
        amount_minor=told.amount_minor,
        is_difference=told.is_difference,
        lines=[LineOut.model_validate(each) for each in told.lines],
        lines_cursor=told.lines_cursor,
        facts=[FactOut.model_validate(each) for each in told.facts],
        facts_cursor=told.facts_cursor,
        below=[BelowOut.model_validate(each) for each in told.below],
        below_cursor=told.below_cursor,
    )
