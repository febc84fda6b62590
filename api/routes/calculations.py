"""Settlements computed: asked for, watched, repeated. Nothing is booked by them."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.paging import PageOf, Paging, Word
from api.routing import router
from domain.access import Actor, Permission
from domain.settlement.days import Day
from domain.settlement.scheme import Cycle
from services.calculations import Wanted
from services.settlement_views import CalculationView

calculations = router("/api/v1/settlement/calculations", "settlement")

Looker = Annotated[Actor, requires(Permission.SETTLEMENTS_READ)]
Asker = Annotated[Actor, requires(Permission.SETTLEMENTS_RUN)]


class Given(BaseModel):
    """What a request may say, and nothing else."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """What an answer takes over from the fields of what a service returned."""

    model_config = ConfigDict(from_attributes=True)


class PeriodIn(Given):
    """A period of a scheme, by any day in it. cycle: the scheme's own when left out; payees with a cycle of their own
    are settled by it."""

    scheme: str = Field(min_length=1, max_length=64)
    day: Day
    cycle: Cycle | None = None


class CalculationIn(PeriodIn):
    """What is to be computed. version: when left out, the one published last whose days cover the period; one that is
    only uploaded may be tried. purpose: `what-if` tries a version on any period, whatever days it is for, by the input
    of what was booked last of it, if anything was; by that of another settlement or calculation, `input_of`; or by what
    counts today, `today`."""

    version: str | None = Field(default=None, max_length=64)
    purpose: Literal["preview", "what-if"] = "preview"
    input_of: UUID | None = None
    today: bool = False


class CalculationOut(Shown):
    """A calculation. start, end: Shanghai days, the end not included. digest: the same whenever it is computed anew
    from what was frozen. state: `asked`, `frozen`, `computed` or `failed`, then `problem` says why. repeats: of the
    purpose `repeat`, the calculation that it does again. left_out: how many orders of the period had no sales when it
    was frozen: `no-rate`, `no-lines`, or still `waiting`. input_of: of a what-if, the calculation whose frozen input it
    goes by."""

    id: UUID
    scheme: str
    version: str
    cycle: str
    start: date
    end: date
    purpose: str
    state: Literal["asked", "frozen", "computed", "failed"]
    asked_by: str
    asked_at: AwareDatetime
    frozen_at: AwareDatetime | None
    computed_at: AwareDatetime | None
    members: int | None
    left_out: dict[str, int] | None
    digest: str | None
    total_minor: int | None
    problem: dict[str, Any] | None
    repeats: UUID | None
    input_of: UUID | None


class ComponentSumOut(Shown):
    component: str
    title: str
    payees: int
    amount_minor: int


class PayeeSumOut(Shown):
    payee: str
    amount_minor: int


class DifferingPayeeOut(Shown):
    """What a component came to for a payee, and comes to when it is done again; null: nothing was earned."""

    payee: str
    component: str
    title: str
    before_minor: int | None
    now_minor: int | None


class RepeatOut(Shown):
    """of, digest, total_minor: of the calculation that is repeated. same: null until the repeat is computed. differing:
    how many payees have an earning that is another one; first: the first of these."""

    of: UUID
    digest: str | None
    total_minor: int | None
    same: bool | None
    differing: int | None
    first: list[DifferingPayeeOut]


class FrozenRateOut(Shown):
    """What a currency is worth on the last day of a calculation, as it was frozen. day, noted_by, noted_at: of what is
    noted for that day; now: what that is by now; before: as it was frozen for what was booked of the period last."""

    calculation: UUID
    currency: str
    rate: str
    day: date | None
    noted_by: str | None
    noted_at: AwareDatetime | None
    now: str | None
    before: str | None


class CalculationShown(BaseModel):
    """A calculation, how many of its parts are done, what its components come to, and who earned most. remarks: what is
    odd about it, such as a role that nobody has, or a period that was tried by a version which is not for it.
    repeat: of a repeat, how it compares with what it repeats. rates: the frozen ones, with who noted them."""

    calculation: CalculationOut
    parts_done: int
    parts: int
    components: list[ComponentSumOut]
    highest: list[PayeeSumOut]
    remarks: list[dict[str, str]]
    repeat: RepeatOut | None
    rates: list[FrozenRateOut]


@calculations.post("", status_code=status.HTTP_202_ACCEPTED, summary="试算 · Compute a settlement")
async def calculate(wanted: CalculationIn, actor: Asker, deps: Deps) -> CalculationShown:
    """冻结输入后分片计算，不记账；随时可由冻结的输入重算，结果一致。假设（`what-if`）在账期记过账时用记账那次的输入。

    What counts is frozen, then computed part by part. Nothing is booked; done again, it comes to the same digest. A
    what-if on a period that was booked goes by what was frozen for that.
    """
    return _shown(await deps.settlements.calculate(actor, Wanted(**wanted.model_dump())))


@calculations.get("", summary="查询核算 · List calculations")
async def list_calculations(
    actor: Looker, deps: Deps, page: Paging, scheme: Word | None = None
) -> PageOf[CalculationOut]:
    """最新的在前。· The newest first."""
    found: Any = await deps.settlement_views.list(actor, page, scheme=scheme)
    return PageOf[CalculationOut].model_validate(found)


@calculations.get("/{calculation_id}", summary="查看核算 · Show a calculation")
async def show_calculation(calculation_id: UUID, actor: Looker, deps: Deps) -> CalculationShown:
    """进度、各项合计、收入最高的收款人。· How far it is, sums by component, who earned most."""
    return _shown(await deps.settlement_views.show(actor, calculation_id))


@calculations.post(
    "/{calculation_id}/repeat", status_code=status.HTTP_202_ACCEPTED, summary="重算并比较 · Do a calculation again"
)
async def repeat_calculation(calculation_id: UUID, actor: Asker, deps: Deps) -> CalculationShown:
    """由同样的冻结输入另行重算，逐人比较；原来的一分不动。结果见答复中编号的 repeat。写入审计。

    From the same frozen numbers, beside the original, which stays as it is; `repeat` of the answer's calculation tells
    whether it comes to the same. Audited.
    """
    return _shown(await deps.settlements.repeat(actor, calculation_id))


def _shown(view: CalculationView) -> CalculationShown:
    return CalculationShown(
        calculation=CalculationOut.model_validate(view.row),
        parts_done=view.done,
        parts=view.of,
        components=[ComponentSumOut.model_validate(each) for each in view.components],
        highest=[PayeeSumOut.model_validate(each) for each in view.highest],
        remarks=[each.as_dict() for each in view.remarks],
        repeat=RepeatOut.model_validate(view.repeat) if view.repeat is not None else None,
        rates=[FrozenRateOut.model_validate(each) for each in view.rates],
    )
