"""Which exchange rates a calculation goes by, who noted them and when, and which are other ones since the period was
booked last: for who approves what comes of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.access import Actor, require_second_person
from domain.money import HOME_CURRENCY
from domain.problems import Text
from domain.settlement.scheme import Scheme
from services.booked_before import booked_before
from storage.calculation_tables import CalculationRow
from storage.calculations import rates_of
from storage.exchange_rates import ExchangeRateRow, ExchangeRates
from storage.sales import Sales
from storage.unit_of_work import UnitOfWork

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_SHOWN = 5
_PAID_BEFORE = timedelta(days=60)
"""How long before a period orders may have been paid that count in it: where they count once they are completed."""


@dataclass(frozen=True, slots=True)
class FrozenRate:
    """What a currency is worth on the last day of a calculation, as it was frozen. day, noted_by, noted_at: of what is
    noted for that day; now: what that is by now; before: as it was frozen for what was booked last."""

    calculation: UUID
    currency: str
    rate: str
    day: date | None
    noted_by: str | None
    noted_at: datetime | None
    now: str | None
    before: str | None


async def frozen_rates(work: UnitOfWork, row: CalculationRow) -> Sequence[FrozenRate]:
    """The rates of a calculation's last day, by currency; none where its scheme asks for none."""
    if not row.rates:
        return []
    last = row.end - timedelta(days=1)
    noted = await ExchangeRates(work).noted(sorted(row.rates), last, row.end)
    found = {currency: rates[-1] for currency, rates in noted.items()}
    before = await booked_before(work, row)
    then = rates_of(before) if before is not None else {}
    told = []
    for currency, rate in sorted(rates_of(row).items()):
        now = found.get(currency)
        told.append(
            FrozenRate(
                row.id,
                currency,
                plain(rate),
                now.day if now is not None else None,
                now.set_by if now is not None else None,
                now.set_at if now is not None else None,
                plain(now.rate) if now is not None else None,
                plain(then[currency]) if currency in then else None,
            )
        )
    return told


async def rates_in(work: UnitOfWork, scheme: Scheme, row: CalculationRow) -> Sequence[Text]:
    """A sentence on the frozen rates of the last day, one on those by which orders in each currency are converted, and
    one on what was noted of these since the period was booked last; nothing where there are none.

    Of a closed period that is adjusted only what is another one: the rest was approved when it was booked.
    """
    if row.frozen_at is None:
        return []
    frozen = await frozen_rates(work, row)
    adjusts = row.purpose == "adjustment"
    told = [_frozen(row, frozen)] if frozen and not adjusts else []
    told += [_otherwise(row, each) for each in frozen if each.before not in (None, each.rate)]
    told += [_noted_anew(row, each) for each in frozen if each.now not in (None, each.rate)]
    noted = await _daily_rates(work, scheme, row)
    if not noted:
        return told
    first = _first_day(scheme, row)
    told += [] if adjusts else [_daily(row, first, currency, rates) for currency, rates in noted.items()]
    before = await booked_before(work, row)
    since = before.frozen_at if before is not None else None
    new = [each for rates in noted.values() for each in rates if since is not None and each.set_at > since]
    return [*told, _new(row, new)] if new else told


async def refuse_own_rates(work: UnitOfWork, actor: Actor, scheme: Scheme, row: CalculationRow) -> None:
    """Returns when this person noted no rate that a calculation goes by since its period was booked last: what was
    booked by was approved by others then.

    :raises AuthorizationProblem: they did.
    """
    before = await booked_before(work, row)
    since = before.frozen_at if before is not None else None
    own = [
        each.currency
        for each in await frozen_rates(work, row)
        if each.noted_by == actor.login and each.before != each.rate
    ]
    noted = await _daily_rates(work, scheme, row)
    own += [
        currency
        for currency, rates in noted.items()
        if any(each.set_by == actor.login and (since is None or each.set_at > since) for each in rates)
    ]
    if own:
        what = Text(
            f"账期 {row.start} 按自己登记的汇率（{'、'.join(sorted(set(own)))}）折算，其结算",
            f"A settlement of the period from {row.start}, by rates that one noted oneself "
            f"({', '.join(sorted(set(own)))}),",
        )
        require_second_person(actor, [actor.login], what)


async def _daily_rates(
    work: UnitOfWork, scheme: Scheme, row: CalculationRow
) -> Mapping[str, Sequence[ExchangeRateRow]]:
    """By which orders that count are converted: those of the days on which they were paid; they may count later."""
    currencies = sorted(await Sales(work).currencies())
    return await ExchangeRates(work).noted(currencies, _first_day(scheme, row), row.end) if currencies else {}


def _first_day(scheme: Scheme, row: CalculationRow) -> date:
    return row.start if scheme.counts == "paid" else row.start - _PAID_BEFORE


def plain(rate: Decimal) -> str:
    """A rate as people write it."""
    return format(rate.normalize(), "f")


def _frozen(row: CalculationRow, frozen: Sequence[FrozenRate]) -> Text:
    zh, en = [], []
    for each in frozen:
        rate = f"1 {each.currency} = {each.rate} {HOME_CURRENCY}"
        # Whoever noted another one since noted this one no more.
        if each.noted_by is None or each.noted_at is None or each.now != each.rate:
            zh.append(rate)
            en.append(rate)
            continue
        zh.append(f"{rate}（{each.day} 起，{each.noted_by} 于 {_at(each.noted_at)} 登记）")
        en.append(f"{rate} (from {each.day} on, noted by {each.noted_by} at {_at(each.noted_at)})")
    return Text(
        f"账期 {row.start} 冻结的期末汇率：{'；'.join(zh)}",
        f"Rates of the last day that are frozen for the period from {row.start}: {'; '.join(en)}",
    )


def _otherwise(row: CalculationRow, rate: FrozenRate) -> Text:
    return Text(
        f"账期 {row.start} 的期末汇率与上次记账时不同：{rate.currency} {rate.before} → {rate.rate}",
        f"Of the period from {row.start} the rate of the last day is another one than was booked by last: "
        f"{rate.currency} {rate.before} → {rate.rate}",
    )


def _noted_anew(row: CalculationRow, rate: FrozenRate) -> Text:
    return Text(
        f"账期 {row.start} 冻结之后，{rate.currency} 的期末汇率被 {rate.noted_by} 改登为 {rate.now}，这次仍按 "
        f"{rate.rate}；要按新的，请拒绝这次，再结算一次",
        f"After the period from {row.start} was frozen, {rate.noted_by} noted {rate.now} for {rate.currency} on its "
        f"last day; this goes by {rate.rate}. To go by the new one, refuse this and settle once more",
    )


def _daily(row: CalculationRow, first: date, currency: str, rates: Sequence[ExchangeRateRow]) -> Text:
    """Who noted how many of the rates by which orders of a currency are converted, the latest last."""
    by: Mapping[str, list[ExchangeRateRow]] = defaultdict(list)
    for each in rates:
        by[each.set_by].append(each)
    people = sorted(by, key=lambda name: (-len(by[name]), name))
    latest = {name: _at(max(each.set_at for each in by[name])) for name in people}
    lowest, highest = plain(min(each.rate for each in rates)), plain(max(each.rate for each in rates))
    span = lowest if lowest == highest else f"{lowest} – {highest}"
    zh = "；".join(f"{name} {len(by[name])} 条，最近于 {latest[name]}" for name in people[:_SHOWN])
    en = "; ".join(f"{len(by[name])} by {name}, the latest at {latest[name]}" for name in people[:_SHOWN])
    more = len(people) - _SHOWN
    return Text(
        f"账期 {row.start} 的 {currency} 订单按付款日折算，{first} 起适用 {len(rates)} 条汇率（{span}）：{zh}"
        f"{f'；另有 {more} 位' if more > 0 else ''}",
        f"Orders in {currency} of the period from {row.start} are converted by the rate of the day they were paid, of "
        f"which {len(rates)} are for the days from {first} on ({span}): "
        f"{en}{f'; and by {more} more' if more > 0 else ''}",
    )


def _new(row: CalculationRow, new: Sequence[ExchangeRateRow]) -> Text:
    shown = sorted(new, key=lambda each: each.set_at, reverse=True)[:_SHOWN]
    count = len(new)
    zh = "、".join(f"{each.day} {each.currency} {plain(each.rate)}（{each.set_by}）" for each in shown)
    en = ", ".join(f"{each.day} {each.currency} {plain(each.rate)} ({each.set_by})" for each in shown)
    more = count > len(shown)
    return Text(
        f"账期 {row.start} 上次记账以来，新登或改登了 {count} 条汇率：{zh}{' 等' if more else ''}",
        f"Since the period from {row.start} was booked last, {count} rates were noted or changed: {en}"
        f"{' and others' if more else ''}",
    )


def _at(instant: datetime) -> str:
    return f"{instant.astimezone(_SHANGHAI):%Y-%m-%d %H:%M}"
