"""What a calculation, or a settlement, gives to each payee, booked or not yet: page after page, or as a file."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse

from api.deps import Deps
from api.masking import UnmaskPayeesFor, disclose
from api.paging import PageOf, Paging
from api.routes.calculations import Looker, Shown
from api.routes.settlement_reports import Format, Language, attached, binary
from api.routing import router
from domain.access import Actor
from domain.settlement.given import Books, Reason
from services.calculation_payees import Asked, Sort
from services.report_files import MEDIA_TYPES
from storage.paging import PageRequest

given_payees = router("/api/v1/settlement", "settlement")

Changed = Annotated[bool, Query(description="只列与此前不同的 · only those who get another sum than before")]
Sorted = Annotated[
    Sort,
    Query(
        description="payee 为固定次序；change 先列变化最大的，每页都要看全部 · payee: one fixed order; change: whose "
        "sum changes most first, for which each page looks at everybody"
    ),
]
_CSV = "收款人,姓名,账期,币种,提成,合计,此前已记,差额\r\nP-1,李**,2026-11-01,CNY,10.00,10.00,15.00,-5.00\r\n"
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _CSV},
            **binary(MEDIA_TYPES["xlsx"], "PK…")[200]["content"],
        }
    }
}


class ComponentGivenOut(Shown):
    """What a component gives, and gave before; null: nothing was earned by it."""

    component: str
    title: str
    amount_minor: int | None
    before_minor: int | None


class PayeeGivenOut(Shown):
    """What a payee is given by a calculation of the Shanghai days from start, end not included. before_minor: what was
    booked of these days before; difference_minor: what is booked when it is approved, and `books` as what. reasons:
    what is not as it was before: `first` (nothing was booked), `counted` (orders, refunds, deeds, earnings below),
    `standing` (role, uplines), `version`, `rates`, `scores`."""

    calculation: UUID
    start: date
    end: date
    payee: str
    payee_name: str
    currency: str
    components: list[ComponentGivenOut]
    total_minor: int
    before_minor: int
    difference_minor: int
    books: Books | None
    reasons: list[Reason]


class _Wanted:
    """What every route here takes beside whose payees are meant."""

    def __init__(
        self,
        page: Paging,
        unmask_for: UnmaskPayeesFor,
        changed: Changed = False,
        sort: Sorted = "payee",
        format: Format = "json",  # noqa: A002 - the parameter's own name
        language: Language = "zh",
    ) -> None:
        self.page: PageRequest = page
        self.unmask_for: str | None = unmask_for
        self.changed, self.sort, self.format, self.language = changed, sort, format, language


Wanted = Annotated[_Wanted, Depends(_Wanted)]


@given_payees.get(
    "/calculations/{calculation_id}/payees",
    summary="一次核算给每位收款人多少 · What a calculation gives to each payee",
    response_model=PageOf[PayeeGivenOut],
    responses=_FILES,
)
async def list_calculation_payees(
    calculation_id: UUID, wanted: Wanted, actor: Looker, deps: Deps, request: Request
) -> PageOf[PayeeGivenOut] | StreamingResponse:
    """逐项金额、合计、该账期此前已记的、差额与原因；试算与待批准的也有。JSON 逐页，CSV 与 XLSX 为全部，写入审计。
    姓名打码，付款与复核的人写明原因可看明文。

    By component, in all, what was booked of the period before, the difference, and why; of previews, and of what waits
    for approval. JSON page after page; CSV and XLSX are everybody, and audited. Names are in clear for who pays or
    approves, with a reason.
    """
    asked = Asked("calculation", calculation_id, wanted.changed, wanted.sort)
    return await _answer(asked, wanted, actor, deps, request)


@given_payees.get(
    "/runs/{settlement_id}/payees",
    summary="一次结算给每位收款人多少 · What a settlement gives to each payee",
    response_model=PageOf[PayeeGivenOut],
    responses=_FILES,
)
async def list_settlement_payees(
    settlement_id: UUID, wanted: Wanted, actor: Looker, deps: Deps, request: Request
) -> PageOf[PayeeGivenOut] | StreamingResponse:
    """与一次核算的相同，含本期与被调整的已关闭账期：差额合计就是这次结算要记的数。

    As of a calculation, of its own period and of closed ones that it adjusts: the differences come to what it books.
    """
    asked = Asked("settlement-run", settlement_id, wanted.changed, wanted.sort)
    return await _answer(asked, wanted, actor, deps, request)


async def _answer(
    asked: Asked, wanted: _Wanted, actor: Actor, deps: Deps, request: Request
) -> PageOf[PayeeGivenOut] | StreamingResponse:
    if wanted.format == "json":
        found = disclose(request, await deps.given_payees.page(actor, asked, wanted.page, unmask_for=wanted.unmask_for))
        rows: Any = found.rows
        return PageOf[PayeeGivenOut].model_validate(rows)
    made = disclose(
        request,
        await deps.given_files.export(
            actor, asked, wanted.format, unmask_for=wanted.unmask_for, locale=wanted.language
        ),
    )
    return StreamingResponse(made.chunks(), media_type=made.media_type, headers=attached(made.name))
