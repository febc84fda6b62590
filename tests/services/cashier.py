"""A merchant's settlements and payouts by hand instead of by workflows; and a rail that answers as it is told to."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import pytest

from domain.settlement.payees import NewPayee, NewPayoutDetails
from domain.settlement.payouts import Rail
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.paying import Paying
from services.payout_forecast import falling
from services.payout_planning import PARTS, PayoutPlanning
from services.payout_rails import PayoutOrder, PayoutRail, RailAnswer
from services.payouts import BatchView, PayoutService, PayoutWish
from storage.definitions import Definitions
from storage.ledger import Ledger
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork
from tests.services.merchants import connect_merchant
from tests.services.test_calculations import Office, office
from tests.services.test_settlement_runs import QIAN, WU, Books

__all__ = ["office"]
PROMOTERS = PayoutWish(scheme="promoters")
TERMS = "  cap: '9000.00'\n"


class FakeRail:
    """A rail that remembers what it paid, and answers as it is told to. answers: by payee, the last one again."""

    certain_after_s: float | None = 480.0
    forgets = True

    def __init__(self, answers: Mapping[int, Sequence[RailAnswer | Exception]] | None = None) -> None:
        self.answers = {payee: list(some) for payee, some in (answers or {}).items()}
        self.paid: dict[str, int] = {}
        self.asked = Counter[str]()

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        return await self.ask(order)

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        self.asked[order.number] += 1
        some = self.answers.get(order.payee, [RailAnswer("paid", rail_number=f"R{order.number}")])
        answer = some.pop(0) if len(some) > 1 else some[0]
        if isinstance(answer, Exception):
            raise answer
        if answer.state == "paid":
            assert self.paid.setdefault(order.number, order.amount_minor) == order.amount_minor
        return answer


class Cashier(Books):
    """A merchant's settlements and payouts, done by hand instead of by workflows."""

    def __init__(self, office: Office, rails: Mapping[Rail, PayoutRail] | None = None) -> None:
        super().__init__(office)
        self.service = PayoutService(office.database, office.steps)
        self.planning = PayoutPlanning(office.database)
        self.rail = FakeRail()
        self.paying = Paying(office.database, rails or {"wechat-pay": self.rail})

    async def planned(self, wish: PayoutWish = PROMOTERS) -> BatchView:
        batch = await self.service.ask(QIAN, wish)
        for part in range(PARTS):
            await self.planning.plan_part(batch.id, part)
        await self.planning.finish_plan(batch.id)
        return await self.service.show(QIAN, batch.id)

    async def reserved(self, batch: UUID) -> None:
        await self.service.decide(WU, batch, approve=True)
        for part in range(PARTS):
            await self.planning.reserve_part(batch, part)
        await self.planning.finish_reserving(batch)

    async def pay(self, batch: UUID) -> BatchView:
        """As far as it goes now."""
        for first, last in await self.paying.chunks(batch):
            await self.paying.pay_chunk(batch, first, last)
        await self.service.unfinished(self.office.database.clock(), 10)
        return await self.service.show(QIAN, batch)

    async def paid(self) -> BatchView:
        view = await self.planned()
        await self.reserved(view.batch.id)
        return await self.pay(view.batch.id)

    async def accounts(self) -> dict[str, dict[str, int]]:
        """Balances by kind of account and payee; all of them together are nothing."""
        async with UnitOfWork(self.office.database) as work:
            balances = await Ledger(work).balances()
            codes = await Payees(work).codes({each.payee for each in balances if each.payee is not None})
        assert sum(each.balance_minor for each in balances) == 0
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for each in balances:
            if each.balance_minor:
                found[each.kind][codes.get(each.payee or 0, "")] = each.balance_minor
        return dict(found)

    async def foretold(self, version: str) -> dict[tuple[str, date | None], int]:
        """What falls due by a version of the scheme, by sort and day."""
        async with UnitOfWork(self.office.database) as work:
            found = await Definitions(work).get((SCHEME, "", self.scheme, version))
            assert found is not None
            rows = await falling(work, [scheme_of(found.properties)], None)
        return {(each.sort, each.due): each.amount for each in rows}

    async def payee(self, code: str, **details: str) -> int:
        await self.office.register.put(
            QIAN,
            [
                NewPayee(
                    code=code,
                    name=code,
                    role="city" if code[0] == "C" else "promoter",
                    details=NewPayoutDetails(**details),
                )
            ],
        )
        async with UnitOfWork(self.office.database) as work:
            return (await Payees(work).rows([code]))[code].id

    async def states(self, view: BatchView) -> dict[str, int]:
        return {each.state: each.payouts for each in view.sums}


@pytest.fixture
async def cashier(office: Office) -> Cashier:
    found = Cashier(office)
    await connect_merchant(office.database)
    for code in ("P1", "P2", "C1", "C2"):
        await found.payee(code, openid=f"o-{code}", real_name=f"名{code}")
    return found
