"""Until when money is held back: by the version that a period was settled by, whatever another one says since."""

from collections.abc import Mapping
from datetime import date, timedelta

from domain.settlement.scheme_reading import SCHEME, scheme_of
from storage.definitions import Definitions
from storage.payout_holds import PayoutHolds
from storage.unit_of_work import UnitOfWork


async def held_until(work: UnitOfWork, scheme: str, currency: str) -> Mapping[int, date]:
    """From which day on what is held of each period can be paid, by the period's number; without those that are
    released already and those in which nothing is booked. What adjustments of several versions are held in one
    period is held as long as the one says that holds it longest."""
    periods = await PayoutHolds(work).unreleased(scheme, currency)
    versions = await Definitions(work).known([(SCHEME, "", scheme, each) for each in {one.version for one in periods}])
    holds = {key[-1]: timedelta(days=scheme_of(each.properties).hold_days) for key, each in versions.items()}
    found: dict[int, date] = {}
    for each in periods:
        until = each.end + holds[each.version]
        found[each.period] = max(until, found.get(each.period, until))
    return found
