"""A calculation beside a real settlement, or beside another calculation."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

from api.deps import Deps
from api.routes.calculations import CalculationOut, Looker, Shown
from api.routing import router
from services.calculation_comparisons import LARGEST_SHOWN, MOST_SHOWN, Comparison

calculation_comparisons = router("/api/v1/settlement/calculations", "settlement")

Beside = Annotated[
    UUID | None,
    Query(
        description="与哪次结算或核算比较；不写则为它所用输入的那次，否则为该账期最近一次记账的 · which settlement or "
        "calculation; else that whose input it goes by, else what was booked last"
    ),
]
Largest = Annotated[int, Query(ge=0, le=MOST_SHOWN, description="列出变化最大的几位 · how many payees are named")]


class ComponentChangeOut(Shown):
    """What a component comes to, and for how many payees, in the one and in the other."""

    component: str
    title: str
    before_payees: int
    now_payees: int
    before_minor: int
    now_minor: int


class PayeeChangeOut(Shown):
    """What a payee gets in all."""

    payee: str
    before_minor: int
    now_minor: int


class ComparisonOut(BaseModel):
    """`now` beside `before`. gaining, losing: how many payees get more or less, and gained_minor, lost_minor, how much
    altogether; unchanged: how many earn the same. same_input: whether both go by what was frozen once; where not, what
    came in between is in the difference, which `remarks` say. largest: for whom it changes most."""

    before: CalculationOut
    now: CalculationOut
    currency: str
    same_input: bool
    components: list[ComponentChangeOut]
    gaining: int
    gained_minor: int
    losing: int
    lost_minor: int
    unchanged: int
    largest: list[PayeeChangeOut]
    remarks: list[dict[str, str]]


@calculation_comparisons.get("/{calculation_id}/comparison", summary="核算对比 · Compare two calculations")
async def compare_calculations(
    calculation_id: UUID, actor: Looker, deps: Deps, beside: Beside = None, largest: Largest = LARGEST_SHOWN
) -> ComparisonOut:
    """假设与实际并列：各项与合计，多得、少得、不变各几位、多少钱，变化最大的几位。须为同一方案、同一账期。

    What-if beside the real one: by component and in all, how many payees get more, less or the same, how much, and for
    whom it changes most. Of one scheme and period.
    """
    return _shown(await deps.calculation_comparer.compare(actor, calculation_id, beside, largest))


def _shown(found: Comparison) -> ComparisonOut:
    return ComparisonOut(
        before=CalculationOut.model_validate(found.before),
        now=CalculationOut.model_validate(found.now),
        currency=found.currency,
        same_input=found.same_input,
        components=[ComponentChangeOut.model_validate(each) for each in found.components],
        gaining=found.gaining,
        gained_minor=found.gained_minor,
        losing=found.losing,
        lost_minor=found.lost_minor,
        unchanged=found.unchanged,
        largest=[PayeeChangeOut.model_validate(each) for each in found.largest],
        remarks=[each.as_dict() for each in found.remarks],
    )
