"""Reading a Youzan shop's coupons again: who took them, what they are worth, and whether they were used.

Pushes tell that a coupon was taken or used, and neither its worth nor its last day. The list goes by when a coupon was
taken, group by group, so a use that comes later is told by its push alone, or found by the nightly comparison, which
reads the whole list again.
Source: youzan.ump.coupon.search 3.0.0 and youzan.ump.coupon.consume.fetchlogs.get 3.0.2, as read in public SDKs [S].
That the newer version of the list names its people by yz_open_id is unverified [U].
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.accounts import Account
from connectors.listed_rows import listed_rows, row_payload
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.readable_streams import reading
from connectors.reading import (
    CHINA,
    anomaly,
    china_time,
    mapping,
    not_from_the_future,
    optional_mapping,
    optional_minor,
    optional_text,
    text,
    whole_number,
)
from connectors.webhooks import Verified
from connectors.youzan.gateway import PLATFORM, YouzanGateway
from connectors.youzan.settings import YouzanSettings
from domain.canonical import Buyer, CouponData
from domain.canonical.announcing import announce
from domain.events import Event, rfc3339
from domain.ids import content_digest
from domain.problems import Text

_REACHES_BACK = timedelta(days=90)
COUPONS = Stream("coupons", _REACHES_BACK, timedelta(seconds=60), compared=_REACHES_BACK)
PULLED_COUPON = "pulled.coupon"
BUYER_FIELD = "yz_open_id"
_WIDEST = timedelta(days=7)
_GROUPS, _LOGS = 100, 100
_MOST_GROUPS = 10_000
_TAKEN, _USED = 1, 2
"""As pushes rank what happened to a coupon (`connectors.youzan.coupons`)."""


class CouponBook:
    """The coupons of one shop. Made for a while of reading: which groups there are is asked once, and not for every
    page; a shop of a thousand groups would be asked ten times as often for them as for what was taken."""

    def __init__(self, gateway: YouzanGateway) -> None:
        self._gateway = gateway
        self._groups: Sequence[Mapping[str, Any]] | None = None

    async def pull(self, cursor: Cursor, until: datetime) -> PulledPage:
        """A page of what was taken from one group within a window. cursor: `since`, and within a window its end, the
        group and the page. See `connectors.pulling.Pullable.pull`."""
        oldest, settled = until - COUPONS.reaches_back, (until - COUPONS.lag).replace(microsecond=0)
        since = max(_instant(cursor.get("since")) or oldest, oldest).replace(microsecond=0)
        end = _instant(cursor.get("until")) or min(since + _WIDEST, settled)
        if end <= since:
            return PulledPage((), {"since": rfc3339(since)}, more=False)
        groups = [each for each in await self._listed() if not _is_over(each, since)]
        after = str(cursor.get("group") or "")
        group = next((each for each in groups if str(each.get("id")) >= after), None)
        if group is None:
            return PulledPage((), {"since": rfc3339(end)}, more=end < settled)
        name = str(group.get("id"))
        page = whole_number(cursor, "page", 1) if name == after else 1
        params = {
            "coupon_group_id": group.get("id"),
            "start_taked": _local(since),
            "end_taked": _local(end),
            "page_no": page,
            "page_size": _LOGS,
        }
        found = await self._gateway.call("youzan.ump.coupon.consume.fetchlogs.get", "3.0.2", params)
        rows = listed_rows(found, "fetchlogs", PLATFORM)
        records = [_record({"group": group, "log": row}, self._gateway.now()) for row in rows]
        window = {"since": rfc3339(since), "until": rfc3339(end)}
        if rows and page * _LOGS < whole_number(found, "total_results", 0):
            return PulledPage(records, {**window, "group": name, "page": page + 1}, more=True)
        following = next((str(each.get("id")) for each in groups if str(each.get("id")) > name), None)
        if following is not None:
            return PulledPage(records, {**window, "group": following, "page": 1}, more=True)
        return PulledPage(records, {"since": rfc3339(end)}, more=end < settled)

    async def try_reading(self) -> None:
        """Ask for one group and one coupon of it, for a connection test. Raises as `readable_streams.reading`."""
        with reading(Text("优惠券", "Coupons")):
            answer = await self._gateway.call("youzan.ump.coupon.search", "3.0.0", _asked_groups(1, 1))
            for group in map(optional_mapping, listed_rows(answer, "groups", PLATFORM)[:1]):
                if not group.get("id"):
                    continue
                now = self._gateway.now()
                span = {"start_taked": _local(now - timedelta(minutes=1)), "end_taked": _local(now)}
                params = {"coupon_group_id": group.get("id"), **span, "page_no": 1, "page_size": 1}
                await self._gateway.call("youzan.ump.coupon.consume.fetchlogs.get", "3.0.2", params)

    async def _listed(self) -> Sequence[Mapping[str, Any]]:
        """The groups of the shop, by their numbers."""
        if self._groups is None:
            found: list[Mapping[str, Any]] = []
            for page in range(1, _MOST_GROUPS // _GROUPS + 1):
                answer = await self._gateway.call("youzan.ump.coupon.search", "3.0.0", _asked_groups(page, _GROUPS))
                rows = listed_rows(answer, "groups", PLATFORM)
                found += map(optional_mapping, rows)
                if not rows or page * _GROUPS >= whole_number(answer, "total", 0):
                    break
            self._groups = sorted((each for each in found if each.get("id")), key=lambda row: str(row["id"]))
        return self._groups


def _asked_groups(page: int, size: int) -> Mapping[str, Any]:
    return {"group_type": "PROMOCARD", "page_no": page, "page_size": size}


def coupon_list_events(record: Verified, account: Account) -> list[Event]:
    """The event of one coupon in somebody's hands. Raises ValidationProblem."""
    body = parse_json_object(record.payload)
    group, log = mapping(body.get("group"), "group"), mapping(body.get("log"), "log")
    taken = china_time(log, "taked_at") or china_time(log, "created_at")
    used = china_time(log, "used_at") if whole_number(log, "is_used", 0) == 1 else None
    told = not_from_the_future(used or taken, record.received_at, "taked_at")
    if told is None:
        raise anomaly("taked_at", Text("缺失", "is missing"))
    batch = text(group, "id")
    coupon = CouponData(
        platform=account.platform,
        account=account.slug,
        version=int(told.timestamp()) * 10 + (_USED if used else _TAKEN),
        occurred_at=told,
        buyer=Buyer(buyer_id=optional_text(log, BUYER_FIELD, limit=128)),
        coupon_id=text(log, "promocard_id"),
        batch_id=batch,
        state="used" if used else "taken",
        source="live" if batch in account.parse_settings(YouzanSettings).live_coupons else None,
        value_minor=optional_minor(group, "denominations") or None,
        threshold_minor=optional_minor(group, "condition"),
        order_id=optional_text(log, "used_in_order_no", limit=64),
        expires_on=_last_day(group, taken),
    )
    return [announce(coupon, record.received_at)]


def _last_day(group: Mapping[str, Any], taken: datetime | None) -> Any:
    """The last day in China on which the coupon is good: the group's, or so many days after it was taken."""
    days = whole_number(group, "fixed_term", 0)
    if whole_number(group, "date_type", 1) != 1 and taken is not None and 0 < days < 10_000:
        begins = min(max(whole_number(group, "fixed_begin_term", 0), 0), 10_000)
        return (taken + timedelta(days=days + begins)).astimezone(CHINA).date()
    ends = china_time(group, "valid_end_time")
    return ends.astimezone(CHINA).date() if ends else None


def _is_over(group: Mapping[str, Any], since: datetime) -> bool:
    ends = china_time(group, "valid_end_time") if isinstance(group.get("valid_end_time"), str) else None
    return ends is not None and ends < since


def _record(row: Any, now: datetime) -> Verified:
    payload = row_payload(row, sort_keys=True)
    return Verified(PULLED_COUPON, payload, f"{PULLED_COUPON}/{content_digest(payload)}", now)


def _instant(value: Any) -> datetime | None:
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None


def _local(instant: datetime) -> str:
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
