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
    """Logins behind the version of the scheme, and behind the attribution that was in force from its period until it
    was frozen; of what is adjusted, since it was booked last, for that was approved."""
    before = await SettlementRuns(work).before(row.id) if row.purpose == "adjustment" else None
    booked = await Calculations(work).find(before) if before is not None else None
    begins = booked.frozen_at if booked is not None else None
    return await _behind(work, row.scheme, {row.version}, begins or _decided_from(row.start), row.frozen_at)


async def authors_of_balances(work: UnitOfWork, scheme: str) -> set[str]:
    """Logins behind everything that was booked of a scheme lately, and what was booked last."""
    booked = dict(await SettlementRuns(work).versions_booked(scheme, work.now - BALANCES_OF))
    last = await SettlementRuns(work).last_of_scheme(scheme)
    row = await Calculations(work).find(last) if last is not None else None
    if row is not None:
        booked[row.version] = min(row.start, booked.get(row.version, row.start))
    return await _behind(work, scheme, booked.keys(), _decided_from(min(booked.values()))) if booked else set()


def _decided_from(start: date) -> datetime:
    return datetime.combine(start - DECIDED_WITHIN, time.min, SHANGHAI)


async def _behind(
    work: UnitOfWork, scheme: str, versions: Iterable[str], begins: datetime, until: datetime | None = None
) -> set[str]:
    named = await Definitions(work).known([(SCHEME, "", scheme, each) for each in versions])
    found = list(named.values())
    for each in await Definitions(work).published(ATTRIBUTION, ONLY_NAME):
        if until is not None and each.uploaded_at > until:
            continue  # not even written then; when it was published says less, an older one may be put back in force
        found.append(each)
        if each.published_at is not None and each.published_at <= begins:
            break  # in force on that day; those before it were over
    return {login for each in found for login in _logins(each)}


def _logins(version: DefinitionVersion) -> list[str]:
    return [each for each in (version.author, version.published_by) if each]
