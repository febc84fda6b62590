"""Books of a few entries, made by hand: payees, periods, transfers, batches and payouts, just as a test says."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

from domain.settlement.payees import NewPayee
from domain.settlement.payouts import Omission, Rail, State, Terms
from domain.settlement.periods import period_of
from domain.settlement.scheme import Cycle
from services.payees import PayeeRegister
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from storage.ledger import AccountKind, Ledger, LedgerAccount, Transfer
from storage.paging import PageRequest
from storage.payees import Payees
from storage.payout_batches import PayoutBatchRow
from storage.payouts import OmissionRow, PayoutRow
from storage.sales import part_of
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.reports.year_bills import QIAN


class ByHand:
    """Entries, each booked at once."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._payees: Mapping[str, int] = {}
        self._count = 0

    async def people(self, *codes: str) -> None:
        """Payees of these codes."""
        new = [NewPayee(code=code, name=f"名{code}", role="promoter") for code in codes]
        await PayeeRegister(self.database).put(QIAN, new)
        async with UnitOfWork(self.database) as work:
            self._payees = {code: row.id for code, row in (await Payees(work).rows(codes)).items()}

    async def period(self, scheme: str, day: date, cycle: Cycle = "month") -> int:
        """The period that a day is in."""
        async with UnitOfWork(self.database) as work:
            return (await SettlementPeriods(work).open(scheme, cycle, *period_of(cycle, day), "CNY")).id

    async def book(
        self,
        period: int,
        code: str,
        debit: AccountKind,
        credit: AccountKind,
        amount: int,
        kind: str,
        source: str = "hand",
    ) -> None:
        """A transfer between accounts of a payee, or one of the merchant's."""
        transfer = Transfer(
            uuid4(), period, self._account(debit, code), self._account(credit, code), amount, "CNY", kind, source
        )
        async with UnitOfWork(self.database) as work:
            await Ledger(work).book([transfer])

    def _account(self, kind: AccountKind, code: str) -> LedgerAccount:
        of_payee = kind in ("payable", "held", "receivable", "paying")
        return LedgerAccount(kind, self._payees[code] if of_payee else None)

    async def batch(
        self, scheme: str, period: int, day: date, *, omitted: Mapping[str, Omission] | None = None
    ) -> PayoutBatchRow:
        """A batch that is being paid, and who it leaves out."""
        row = PayoutBatchRow(
            id=uuid4(),
            scheme=scheme,
            currency="CNY",
            period=period,
            day=day,
            state="paying",
            terms=Terms().model_dump(mode="json"),
            asked_by="qian",
            asked_at=_noon(day),
        )
        async with UnitOfWork(self.database) as work:
            work.session.add(row)
            await work.session.flush()
            for code, reason in (omitted or {}).items():
                payee = self._payees[code]
                omission = OmissionRow(
                    batch=row.id, payee=payee, part=part_of(payee), reason=reason, amount_minor=1, offset_minor=0
                )
                work.session.add(omission)
        return row

    async def payout(
        self,
        batch: PayoutBatchRow,
        code: str,
        amount: int,
        state: State,
        *,
        ended_at: datetime | None = None,
        rail: Rail = "bank",
        **more: Any,
    ) -> str:
        """A payout that was reserved; its number. What its end books is booked apart."""
        self._count += 1
        payee, number = self._payees[code], f"P{self._count:031}"
        values: dict[str, Any] = {"pay_on": batch.day, "reason": None, **more}
        async with UnitOfWork(self.database) as work:
            work.session.add(
                PayoutRow(
                    batch=batch.id,
                    part=part_of(payee),
                    number=number,
                    payee=payee,
                    rail=rail,
                    amount_minor=amount,
                    offset_minor=0,
                    currency="CNY",
                    state=state,
                    next_at=_noon(batch.day),
                    created_at=_noon(batch.day),
                    changed_at=ended_at or _noon(batch.day),
                    ended_at=ended_at,
                    **values,
                )
            )
        await self.book(batch.period, code, "payable", "paying", amount, "payout-reserved", f"payout/{number}")
        return number

    async def rows(self, name: str, wanted: Wanted) -> Sequence[Mapping[str, Any]]:
        """All rows of a report."""
        page = await ReportService(self.database).page(QIAN, name, wanted, PageRequest(200))
        return page.rows.items


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
