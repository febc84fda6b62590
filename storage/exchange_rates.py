"""What a currency is worth in the merchant's own, day by day."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Numeric, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from storage.bulk import fetch
from storage.tables import Table, instant
from storage.unit_of_work import Repository

HOLDS_FOR = timedelta(days=10)
"""How long a rate holds when none follows: longer than the markets' longest holiday."""


class ExchangeRateRow(Table, table=True):
    """Units of the merchant's currency for one unit of another, from a Shanghai day on."""

    __tablename__ = "exchange_rates"
    currency: str = Field(primary_key=True, max_length=3)
    day: date = Field(primary_key=True)
    rate: Decimal = Field(sa_type=Numeric(20, 10), nullable=False)
    set_at: datetime = instant()
    set_by: str


class ExchangeRates(Repository):
    """Rates by currency and day."""

    async def set(self, rates: Mapping[tuple[str, date], Decimal], by: str) -> None:
        """Note rates; one said again counts anew."""
        row = ExchangeRateRow
        values = [
            {"currency": currency, "day": day, "rate": rate, "set_at": self.now, "set_by": by}
            for (currency, day), rate in sorted(rates.items())
        ]
        if values:
            statement = insert(row).values(values)
            new = statement.excluded
            changes = {"rate": new.rate, "set_at": new.set_at, "set_by": new.set_by}
            await self.session.execute(
                statement.on_conflict_do_update(index_elements=["currency", "day"], set_=changes)
            )

    async def noted(self, currencies: Sequence[str], start: date, end: date) -> Mapping[str, Sequence[ExchangeRateRow]]:
        """The rates by currency, by day, that are for any of the days `[start, end)`: those of the days, and the last
        one before them while it holds."""
        row = ExchangeRateRow
        within = (col(row.day) > start - HOLDS_FOR, col(row.day) < end)
        statement = select(row).where(col(row.currency).in_(currencies), *within)
        found: dict[str, list[ExchangeRateRow]] = {}
        for each in await self.session.scalars(statement.order_by(col(row.currency), col(row.day))):
            rates = found.setdefault(each.currency, [])
            if each.day <= start:
                rates.clear()
            rates.append(each)
        return found

    async def spans(self, rates: Collection[tuple[str, date]]) -> list[tuple[str, date, date]]:
        """For how long each of these rates holds: currency, its day, and the first day that it is not for."""
        if not rates:
            return []
        named = sorted(rates)
        values = {
            "currencies": [currency for currency, _ in named],
            "days": [day for _, day in named],
            "holds": HOLDS_FOR.days,
        }
        return [(currency, start, end) for currency, start, end in await fetch(self.work, _SPANS, values)]

    async def on(self, wanted: Collection[tuple[str, date]]) -> dict[tuple[str, date], Decimal]:
        """The rate of each currency and day that there is one for: of that day, or the last before it that holds."""
        if not wanted:
            return {}
        named = sorted(wanted)
        values = {
            "currencies": [currency for currency, _ in named],
            "days": [day for _, day in named],
            "holds": HOLDS_FOR.days,
        }
        return {(currency, day): rate for currency, day, rate in await fetch(self.work, _ON, values)}


_SPANS = """
    SELECT named.currency, named.day, least(named.day + %(holds)b::integer, min(r.day))
    FROM unnest(%(currencies)b::text[], %(days)b::date[]) AS named (currency, day)
    LEFT JOIN exchange_rates r ON r.currency = named.currency AND r.day > named.day
    GROUP BY named.currency, named.day
"""
_ON = """
    SELECT wanted.currency, wanted.day, found.rate
    FROM unnest(%(currencies)b::text[], %(days)b::date[]) AS wanted (currency, day)
    CROSS JOIN LATERAL (
        SELECT rate FROM exchange_rates r
        WHERE r.currency = wanted.currency AND r.day <= wanted.day AND r.day > wanted.day - %(holds)b::integer
        ORDER BY r.day DESC LIMIT 1
    ) AS found
"""
