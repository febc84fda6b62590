"""How an order stands when it is looked at: on which days it counts, whether it is its customer's first, what of it may
have gone back."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from domain.settlement.attribution import AttributionRules, Basis
from domain.settlement.selling import SoldLine, WentBack
from storage.attributions import Standing
from storage.first_orders import FirstOrders
from storage.orders import OrderRow
from storage.sale_queue import QueuedOrder
from storage.unit_of_work import UnitOfWork

SHANGHAI = ZoneInfo("Asia/Shanghai")
# Until it was asked how much went back, `refund_status` 4 of an order closed it, whatever was paid: of what is stored,
# refunds say what went back where they are known. Everywhere else an order is closed as a whole.
_CLOSED_BY_ANY_REFUND = frozenset({"pinduoduo"})


class OthersMisjudged(Exception):
    """Orders that are or are not their customers' first, by what was read since they were looked at."""

    def __init__(self, orders: set[int]) -> None:
        super().__init__()
        self.orders = orders


async def firsts_of(
    work: UnitOfWork, orders: Sequence[QueuedOrder], standings: Mapping[int, Standing], queued: Collection[int]
) -> Mapping[int, bool]:
    """Whether each order is its customer's first, as far as that can be said.

    :raises OthersMisjudged: one is it that was not, or the other way round, so that others of its customer have to be
        looked at, too; they are not yet `queued`.
    """
    keys = [each.key for each in orders]
    firsts = await FirstOrders(work).of(keys)
    turned = {
        each.identity_id
        for each in orders
        if each.identity_id is not None
        and each.key in firsts
        and firsts[each.key] != bool(standings.get(each.key, Standing()).is_first)
    }
    if turned:
        others = await FirstOrders(work).misjudged(turned, keys)
        if not others.issubset(queued):
            raise OthersMisjudged(others)
    return firsts


def counting_orders(
    rules: AttributionRules,
    orders: Sequence[QueuedOrder],
    standings: Mapping[int, Standing],
    firsts: Mapping[int, bool],
) -> tuple[list[QueuedOrder], dict[int, Standing]]:
    """Those of the orders that count, and how. What counted once is followed to its end, whatever the rules say since.

    standings: of those that were looked at before. firsts: whether they are their customers' first, where that is
    known.
    """
    days = {each.key: counted_days(each) for each in orders}
    found = [
        each for each in orders if each.key in standings or any(day >= rules.since for day in days[each.key].values())
    ]
    stand: dict[int, Standing] = {}
    for each in found:
        before = standings.get(each.key, Standing())
        # A day that it counts on stays, also when it is told otherwise later. Whether it is the first may turn out only
        # when an older one is read; of a customer who was erased it stays.
        stand[each.key] = before._replace(
            is_first=firsts.get(each.key, before.is_first),
            paid_on=before.paid_on or days[each.key].get("paid"),
            completed_on=before.completed_on or days[each.key].get("completed"),
        )
    return found, stand


def order_day(order: QueuedOrder | OrderRow) -> date:
    """The Shanghai day by which it is said whose an order is, and by whose rate it counts."""
    return _day(order.paid_at or order.created_at or order.told_at)


def began_at(order: QueuedOrder) -> datetime:
    return order.created_at or order.paid_at or order.told_at


def counted_days(order: QueuedOrder) -> dict[Basis, date]:
    """On which Shanghai days an order counts, by each way of counting that it has come to."""
    found: dict[Basis, date] = {}
    if order.paid_at is not None or order.status in ("paid", "shipped", "completed"):
        found["paid"] = order_day(order)
    if order.completed_at is not None or order.status == "completed":
        found["completed"] = _day(order.completed_at or order.told_at)
    return found


def is_closed(order: QueuedOrder, refunds: Sequence[WentBack]) -> bool:
    """Whether whatever was paid for an order went back, whether or not a refund tells of it."""
    says_any = order.account_id.partition("/")[0] in _CLOSED_BY_ANY_REFUND
    return order.status == "closed" and not (says_any and refunds)


def may_lack_refund(order: QueuedOrder, lines: Sequence[SoldLine], refunds: Sequence[WentBack]) -> bool:
    """Whether a refund that is not among these may take something off: not where all went back anyhow."""
    if order.status == "closed" and order.account_id.partition("/")[0] not in _CLOSED_BY_ANY_REFUND:
        return False
    paid = sum(each.total_minor for each in lines) if order.paid_minor is None else order.paid_minor
    return paid - (order.postage_minor or 0) > sum(each.amount_minor for each in refunds)


def _day(at: datetime) -> date:
    return at.astimezone(SHANGHAI).date()


def influencer_of(order: QueuedOrder) -> str | None:
    return f"{order.account_id.partition('/')[0]}/{order.influencer_id}" if order.influencer_id else None
