"""The parcels that Tandem holds, against those that the simulated world knows to be sent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from domain.events import rfc3339
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.accuracy.truth import Judged, listed_since

_PUSH_THEIRS = frozenset({"youzan", "douyin"})
"""Who tells a parcel in pushes too; the others tell it to whoever reads the order, as long as they list it."""


class HeldParcel(NamedTuple):
    """A parcel as Tandem holds it."""

    account: str
    order_id: str
    waybill: str


@dataclass(slots=True)
class Parcels(Judged):
    """Of parcels. made_up: stored ones that are in no truth, or stored twice."""

    made_up: list[str] = field(default_factory=list)


async def held_parcels(database: Database) -> list[HeldParcel]:
    """Every parcel that Tandem holds."""
    async with UnitOfWork(database) as work:
        found = await work.session.execute(text("SELECT account_id, order_id, waybill FROM shipments"))
        return [HeldParcel(*row) for row in found]


def compare_parcels(rows: Sequence[Mapping[str, Any]], held: Sequence[HeldParcel], now: datetime) -> Parcels:
    """The parcels of true orders of one platform: present, on their order, and no others.

    held: those of the same platform.
    """
    counted = Counter(held)
    true = [HeldParcel(f"{row['platform']}/{row['account']}", row["order_id"], row["waybill"]) for row in rows]
    named = {each for each in true if each.waybill}
    found = Parcels(made_up=[" ".join(each) for each, count in counted.items() if each not in named or count > 1])
    for row, parcel in zip(rows, true, strict=True):
        if not parcel.waybill:
            continue
        if not _in_reach(row, now):
            found.out_of_reach += 1
            continue
        found.true += 1
        found.here += parcel in counted
        if parcel not in counted:
            found.note(parcel.order_id, f"no parcel {parcel.waybill}")
    return found


def _in_reach(row: Mapping[str, Any], now: datetime) -> bool:
    platform = row["platform"]
    return platform in _PUSH_THEIRS or bool(row["updated_at"] >= rfc3339(listed_since(platform, now)))
