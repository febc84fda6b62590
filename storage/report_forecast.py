"""What payees have, are owed and owe by a scheme at this moment, for the forecast of what falls due."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple

from sqlalchemy import select, text
from sqlmodel import col

from storage.payout_balances import ADJUSTED
from storage.report_texts import filled
from storage.settlement_periods import SettlementPeriodRow
from storage.unit_of_work import Repository

_AT_ONCE = 2_000
Where = Literal["payable", "held", "paying", "owed", "repaid"]


class Held(NamedTuple):
    """Of a payee. where: the account, or a side of what is owed back. day: until when it is held, when it is paid, the
    last one of the period that it was taken back in. cycle: that what was taken back had been earned by."""

    payee: int
    where: Where
    day: date | None
    cycle: str
    amount_minor: int


class ForecastRows(Repository):
    """Of one scheme and currency."""

    async def currencies(self, scheme: str) -> Sequence[str]:
        """The currencies of a scheme's periods."""
        row = SettlementPeriodRow
        statement = select(col(row.currency)).where(col(row.scheme) == scheme).distinct().order_by(col(row.currency))
        return (await self.session.scalars(statement)).all()

    async def held(
        self, scheme: str, currency: str, until: Mapping[int, date], payee: int | None
    ) -> AsyncIterator[Sequence[Held]]:
        """What each payee has, payee after payee, all that is one's together. until: when the holds of periods are
        over; others hold nothing back."""
        holds = {"periods": list(until), "until": list(until.values())}
        values = {"scheme": scheme, "currency": currency, **holds, "payee": payee}
        found = await self.session.stream(text(_HELD), values, execution_options={"yield_per": _AT_ONCE})
        together: list[Held] = []
        async for row in found:
            each = Held(*row)
            if together and together[0].payee != each.payee:
                yield together
                together = []
            together.append(each)
        if together:
            yield together


_HELD = filled(
    """
    WITH periods AS (
        SELECT id, cycle, "end" - 1 AS last_day, coalesce(hold.until, "end") AS held_until,
            EXISTS (SELECT FROM settlement_releases r WHERE r.period = p.id) AS released
        FROM settlement_periods p
        LEFT JOIN unnest(CAST(:periods AS integer[]), CAST(:until AS date[])) AS hold(period, until)
            ON hold.period = p.id
        WHERE scheme = :scheme AND currency = :currency
    ), moves AS (
        SELECT a.payee, a.kind AS account, t.kind AS transfer, t.source, p.cycle, p.last_day, p.held_until, p.released,
            side.sign * t.amount_minor AS amount
        FROM transfers t
        JOIN periods p ON p.id = t.period
        CROSS JOIN LATERAL (VALUES (t.credit, 1), (t.debit, -1)) side(account, sign)
        JOIN ledger_accounts a ON a.id = side.account
        WHERE a.kind IN ('payable', 'held', 'receivable', 'paying')
            AND (CAST(:payee AS integer) IS NULL OR a.payee = CAST(:payee AS integer))
    ), adjusted AS (
        {adjusted}
    )
    SELECT payee, 'payable' AS where_it_is, CAST(NULL AS date) AS day, '' AS cycle, sum(amount)::bigint FROM moves
    WHERE account = 'payable' OR (account = 'held' AND (released OR transfer = 'release'))
    GROUP BY payee HAVING sum(amount) <> 0
    UNION ALL
    SELECT payee, 'held', held_until, '', sum(amount)::bigint FROM moves
    WHERE account = 'held' AND NOT released AND transfer <> 'release' GROUP BY payee, held_until HAVING sum(amount) <> 0
    UNION ALL
    SELECT m.payee, 'paying', p.pay_on, '', sum(m.amount)::bigint FROM moves m
    LEFT JOIN payouts p ON m.source = 'payout/' || p.number
    WHERE m.account = 'paying' GROUP BY m.payee, p.pay_on HAVING sum(m.amount) <> 0
    UNION ALL
    SELECT m.payee, 'owed', m.last_day, coalesce(adjusted.cycle, m.cycle), sum(-m.amount)::bigint FROM moves m
    LEFT JOIN adjusted ON adjusted.source = m.source
    WHERE m.account = 'receivable' AND m.amount < 0 GROUP BY 1, 3, 4
    UNION ALL
    SELECT payee, 'repaid', NULL, '', sum(amount)::bigint FROM moves
    WHERE account = 'receivable' AND amount > 0 GROUP BY payee
    ORDER BY 1, 2, 3
""",
    adjusted=ADJUSTED,
)
