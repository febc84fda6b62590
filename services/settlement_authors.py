"""Who wrote and who published what a settlement, or a balance, was computed by: none of them approves it."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from domain.definitions import DefinitionVersion
from domain.settlement.attribution_reading import ATTRIBUTION, ONLY_NAME
from domain.settlement.scheme_reading import SCHEME
from services.order_standings import SHANGHAI
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.definitions import Definitions
from storage.settlement_runs import SettlementRuns
from storage.unit_of_work import UnitOfWork

DECIDED_WITHIN = timedelta(days=92)
"""How long before its period it may have been decided whose an order is that is completed in it."""
BALANCES_OF = timedelta(days=400)
"""What was booked so long ago may still be in a payout: a hold is a year at most."""


async def authors_of(work: UnitOfWork, row: CalculationRow) -> set[str]:
    """Logins behind the version of the scheme, and behind the attribution that was in force since its period."""
    return await _behind(work, row.scheme, {row.version}, row.start)


async def authors_of_balances(work: UnitOfWork, scheme: str) -> set[str]:
    """Logins behind everything that was booked of a scheme lately, and what was booked last."""
    booked = dict(await SettlementRuns(work).versions_booked(scheme, work.now - BALANCES_OF))
    last = await SettlementRuns(work).last_of_scheme(scheme)
    row = await Calculations(work).find(last) if last is not None else None
    if row is not None:
        booked[row.version] = min(row.start, booked.get(row.version, row.start))
    return await _behind(work, scheme, booked.keys(), min(booked.values())) if booked else set()


async def _behind(work: UnitOfWork, scheme: str, versions: Iterable[str], since: date) -> set[str]:
    named = await Definitions(work).known([(SCHEME, "", scheme, each) for each in versions])
    found = list(named.values())
    begins = datetime.combine(since - DECIDED_WITHIN, time.min, SHANGHAI)
    for each in await Definitions(work).published(ATTRIBUTION, ONLY_NAME):
        found.append(each)
        if each.published_at is not None and each.published_at <= begins:
            break  # in force on that day; those before it were over
    return {login for each in found for login in _logins(each)}


def _logins(version: DefinitionVersion) -> list[str]:
    return [each for each in (version.author, version.published_by) if each]
