"""Bills of the year's shops, as files: days that agree, and differences of every kind, some worked through."""

import io
from collections.abc import Sequence
from datetime import date, timedelta

from domain.access import Role
from domain.accounts import NewAccount
from domain.canonical import OrderData
from domain.ids import content_digest
from domain.money import major_from_minor
from domain.settlement.bill_rows import parse_columns
from domain.settlement.bills import day_of
from services.bills import BillService
from services.breaks import BreakService
from services.reconciliation import ReconciliationService
from storage.accounts import Accounts
from storage.breaks import BreakFilter
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import CONNECTORS

QIAN, WU = an_actor("qian", Role.FINANCE), an_actor("wu", Role.APPROVER)
SHOP = "youzan/flagship"
_COLUMNS = parse_columns(
    "columns: { number: 单号, amount: 金额, fee: 服务费, at: 时间 }\nevery: payment\n".encode(), "columns.yaml"
)
_NOBODY_S = 4_200


class YearBills:
    """What a shop's platform says of each month."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bills = BillService(database, CONNECTORS)
        self._breaks = BreakService(database)
        self._reconciliation = ReconciliationService(database)

    async def begin(self) -> None:
        """The shop is connected."""
        platform, _, slug = SHOP.partition("/")
        async with UnitOfWork(self._database) as work:
            await Accounts(work).add(NewAccount(platform=platform, slug=slug, name="旗舰店", credentials={}))

    async def month(self, first: date, told: Sequence[OrderData]) -> None:
        """Every day from the first sale of the month to the 26th: the first sale of all is five fen off, the second
        comes two days late, the third twice, the fourth never; the month's last day has an order that nobody knows."""
        sales = sorted((each for each in told if self._is_billed(each, first)), key=lambda each: each.order_id)
        billed: dict[date, list[str]] = {}
        for place, each in enumerate(sales):
            assert each.paid_at is not None
            assert each.paid_minor is not None
            day = day_of(each.paid_at) + timedelta(days=2 if place == 1 else 0)
            row = _row(each.order_id, each.paid_minor + (5 if place == 0 else 0), day)
            billed.setdefault(day, []).extend([row] * {2: 2, 3: 0}.get(place, 1))
        for number in range(1, 27):
            day = first.replace(day=number)
            rows = billed.pop(day, [])
            if number == 26:
                rows.append(_row(f"nobody-s-{first.month}", _NOBODY_S, day))
            await self._reconciled(day, rows)
        assert not billed
        await self._worked_through(first)

    def _is_billed(self, order: OrderData, first: date) -> bool:
        at = order.paid_at
        of_shop = f"{order.platform}/{order.account}" == SHOP and order.currency == "CNY"
        return of_shop and at is not None and (at.year, at.month, at.day <= 24) == (first.year, first.month, True)

    async def _reconciled(self, day: date, rows: Sequence[str]) -> None:
        content = "\n".join(["单号,金额,服务费,时间", *rows]).encode()
        digest = content_digest(content)
        await self._bills.take_file(QIAN, SHOP, day, _COLUMNS, io.BytesIO(content), digest=digest)
        await self._reconciliation.reconcile(QIAN, SHOP, day)

    async def _worked_through(self, first: date) -> None:
        """Of the month's breaks two are explained, and one of these is let go."""
        found = await self._breaks.list(QIAN, PageRequest(50), BreakFilter(SHOP, "open"))
        for place, each in enumerate(row for row in found.items if row.day.month == first.month):
            if place < 2:
                await self._breaks.explain(QIAN, each.id, "platform-error", "平台已确认 13698765432")
            if place == 0:
                await self._breaks.solve(WU, each.id)


def _row(number: str, amount_minor: int, day: date) -> str:
    return f"{number},{major_from_minor(amount_minor, 'CNY')},0,{day} 12:00:00"
