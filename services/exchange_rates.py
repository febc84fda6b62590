"""What other currencies are worth, as finance notes it day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from domain.access import Actor, Permission
from domain.money import HOME_CURRENCY
from domain.problems import Text, ValidationProblem
from domain.settlement.days import require_day
from storage.audit import AuditLog
from storage.engine import Database
from storage.exchange_rates import ExchangeRates
from storage.sale_queue import SaleQueue
from storage.unit_of_work import UnitOfWork

MOST_AT_ONCE = 1_000
_FINEST = Decimal(1).scaleb(-10)
_LARGEST = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of the merchant's currency for one unit of `currency`, as a plain decimal, from a Shanghai day on."""

    currency: str
    day: date
    rate: str


class ExchangeRateService:
    """Rates by currency and day. One holds until the next, for ten days at most."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, actor: Actor, rates: Sequence[Rate]) -> None:
        """Note rates. Orders of the days that they hold for are looked at: those that waited, and those that another
        rate was noted for before. Raises ValidationProblem for what is none."""
        actor.require(Permission.SETTLEMENTS_RUN)
        if not 1 <= len(rates) <= MOST_AT_ONCE:
            raise ValidationProblem(Text(f"一次 1 到 {MOST_AT_ONCE} 条", f"1 to {MOST_AT_ONCE} at once"))
        read = {(each.currency, require_day(each.day)): _rate(each) for each in rates}
        async with UnitOfWork(self._database) as work:
            await ExchangeRates(work).set(read, actor.login)
            spans = await ExchangeRates(work).spans(read.keys())
            await SaleQueue(work).add_paid_in(*zip(*spans, strict=True))
            shown = [{"currency": each.currency, "day": str(each.day), "rate": each.rate} for each in rates]
            await AuditLog(work).record(actor, "exchange-rate.set", "exchange-rates", {"rates": shown})

    async def on(self, actor: Actor, currency: str, day: date) -> Decimal | None:
        """The rate that holds on a day, None where there is none."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            return (await ExchangeRates(work).on([(currency, day)])).get((currency, day))


def _rate(given: Rate) -> Decimal:
    try:
        rate = Decimal(given.rate)
        fits = rate.is_finite() and 0 < rate < _LARGEST and rate == rate.quantize(_FINEST)
    except InvalidOperation:
        fits = False
    if not fits or given.currency == HOME_CURRENCY:
        raise ValidationProblem(
            Text(
                f"{given.currency} 在 {given.day} 的汇率“{given.rate[:30]}”不正确："
                f"写 1 单位外币合多少 {HOME_CURRENCY}，大于零，最多十位小数",
                f"“{given.rate[:30]}” is no rate of {given.currency} on {given.day}: write how many {HOME_CURRENCY} "
                "one unit of another currency is, more than nothing, with ten decimals at most",
            ),
            currency=given.currency,
            day=str(given.day),
        )
    return rate
