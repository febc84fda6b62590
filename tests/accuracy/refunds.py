"""The refunds that Tandem holds, against those that the simulated world knows to be true."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from domain.events import rfc3339
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.accuracy.truth import PUSHED, Judged, listed_since

_ONE_WORD_FOR_BOTH = frozenset({"jd", "wechat_store", "meituan", "eleme"})
"""Whose word for a refund that was refused is one, whether its goods had come back or not."""


class HeldRefund(NamedTuple):
    """A refund as Tandem holds it."""

    account: str
    refund_id: str
    order_id: str
    amount_minor: int | None
    status: str


@dataclass(slots=True)
class Refunds(Judged):
    """Of refunds. order: how many hang on their order. made_up: stored ones that are in no truth, or stored twice."""

    order: int = 0
    made_up: list[str] = field(default_factory=list)


async def held_refunds(database: Database) -> list[HeldRefund]:
    """Every refund that Tandem holds."""
    async with UnitOfWork(database) as work:
        found = await work.session.execute(
            text("SELECT account_id, refund_id, order_id, amount_minor, status FROM refunds")
        )
        return [HeldRefund(*row) for row in found]


def compare_refunds(rows: Sequence[Mapping[str, Any]], held: Sequence[HeldRefund], now: datetime) -> Refunds:
    """True refunds of one platform: present, of the right amount, in the right state, of the right order.

    held: those of the same platform.
    """
    here = {(each.account, each.refund_id): each for each in held}
    names = {_name(row) for row in rows}
    counted = Counter((each.account, each.refund_id) for each in held)
    found = Refunds(made_up=[" ".join(name) for name, count in counted.items() if name not in names or count > 1])
    for row in rows:
        if not _in_reach(row, now):
            found.out_of_reach += 1
            continue
        found.true += 1
        one = here.get(_name(row))
        if one is None:
            found.note(row["refund_id"], "missing")
            continue
        found.here += 1
        for what, told, truly in (
            ("amount", one.amount_minor, _amounts(row, now)),
            ("status", one.status, _statuses(row)),
            ("order", one.order_id, {row["order_id"]}),
        ):
            if told in truly:
                setattr(found, what, getattr(found, what) + 1)
            else:
                found.note(row["refund_id"], f"{what} {told}, truly {' or '.join(map(str, truly))}")
    return found


def _name(row: Mapping[str, Any]) -> tuple[str, str]:
    # JD numbers goods that come back by their service order.
    prefix = "afs-" if row["platform"] == "jd" and row["returns_goods"] else ""
    return f"{row['platform']}/{row['account']}", f"{prefix}{row['refund_id']}"


def _in_reach(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether its platform lists a true refund, or told of it; JD lists what was paid by when it was asked for."""
    platform = row["platform"]
    counts = row["created_at" if platform == "jd" else "modified_at"]
    return platform in PUSHED or bool(counts >= rfc3339(listed_since(platform, now)))


def _amounts(row: Mapping[str, Any], now: datetime) -> set[int | None]:
    """What its platform can have said: JD tells the sum of goods that come back once it is paid, and a push may tell
    none, which only the list mends."""
    is_short = row["modified_at"] < rfc3339(listed_since(row["platform"], now))
    is_unpaid = row["platform"] == "jd" and row["returns_goods"] and row["status"] != "refunded"
    return {row["amount_minor"], None} if is_short or is_unpaid else {row["amount_minor"]}


def _statuses(row: Mapping[str, Any]) -> set[str]:
    if row["status"] == "return_refused" and row["platform"] in _ONE_WORD_FOR_BOTH:
        return {"refused", "return_refused"}
    return {row["status"]}
