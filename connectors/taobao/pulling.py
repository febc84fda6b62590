"""What can be read again of a Taobao shop: its messages, and the increments of trades and refunds.

A batch of messages is confirmed by the next pull, when the caller has kept it; unconfirmed ones come again. Increments
go by windows of half an hour, which the platform prefers to its maximum of a day.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.errors import missing_in_answer
from connectors.page_windows import Window, WindowedReader
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import CHINA, mapping, optional_mapping, optional_text, text, whole_number
from connectors.taobao.gateway import PLATFORM, TaobaoGateway
from connectors.taobao.messages import REFUND_KIND, TRADE_KIND, as_payload, message_subject
from connectors.taobao.records import NUMBER_LIMIT, REFUND_FIELDS, TRADE_FIELDS
from connectors.webhooks import Verified
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem

MESSAGES = Stream("messages", reaches_back=timedelta(days=3))
# How far the increments run behind the messages is not published [U].
TRADES = Stream("orders", reaches_back=timedelta(days=90), lag=timedelta(minutes=2))
REFUNDS = Stream("refunds", reaches_back=timedelta(days=90), lag=timedelta(minutes=2))

_HALF_HOUR = timedelta(minutes=30)
_PAGE_SIZE = 50
_BATCH = 100
_AT_ONCE = 8


class TaobaoReader:
    """The streams of one shop."""

    def __init__(self, gateway: TaobaoGateway) -> None:
        self._gateway = gateway

    async def trade(self, tid: str) -> Mapping[str, Any]:
        """A trade with everything that Tandem keeps of it."""
        answer = await self._gateway.call("taobao.trade.fullinfo.get", {"fields": TRADE_FIELDS, "tid": tid})
        return mapping(answer.get("trade"), "trade")

    async def refund(self, refund_id: str) -> Mapping[str, Any]:
        """A refund with its version and phase."""
        answer = await self._gateway.call("taobao.refund.get", {"fields": REFUND_FIELDS, "refund_id": refund_id})
        return mapping(answer.get("refund"), "refund")

    async def pull_messages(self, cursor: Cursor) -> PulledPage:
        """The next batch of messages. cursor: `confirm`, the numbers of the batch before."""
        kept = [str(number) for number in cursor.get("confirm", ())]
        group = {"group_name": self._gateway.settings.message_group}
        if kept:
            confirmation = {**group, "s_message_ids": ",".join(kept)}
            await self._gateway.call_as_application("taobao.tmc.messages.confirm", confirmation)
        answer = await self._gateway.call_as_application(
            "taobao.tmc.messages.consume", {**group, "quantity": str(_BATCH)}
        )
        found = optional_mapping(answer.get("messages")).get("tmc_message") or []
        messages = [mapping(each, "messages") for each in found] if isinstance(found, list) else []
        mine = [message for message in messages if self._is_mine(message)]
        limit = asyncio.Semaphore(_AT_ONCE)
        records = await asyncio.gather(*(self._understood(message, limit) for message in mine))
        confirm = [text(message, "id") for message in mine]
        return PulledPage(records, {"confirm": confirm} if confirm else {}, more=len(messages) >= _BATCH)

    async def pull_changes(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of changed trades or refunds."""
        reader = WindowedReader(TRADES if stream == TRADES.name else REFUNDS, _HALF_HOUR, _PAGE_SIZE)
        increment = _TradeIncrement(self._gateway) if stream == TRADES.name else _RefundIncrement(self._gateway)
        return await reader.pull(cursor, until, increment.count, increment.read)

    def _is_mine(self, message: Mapping[str, Any]) -> bool:
        nick = self._gateway.settings.seller_nick
        return nick is None or optional_text(message, "user_nick", limit=128) in (None, nick)

    async def _understood(self, message: Mapping[str, Any], limit: asyncio.Semaphore) -> Verified:
        """The message with what it is about; alone when that cannot be read, so that it is kept with its reason."""
        topic, number = text(message, "topic", limit=128), text(message, "id")
        parts: dict[str, Any] = {name: message.get(name) for name in ("id", "topic", "pub_time", "content")}
        try:
            parts["content"] = content = parse_json_object(str(message.get("content") or "{}").encode())
            subject = message_subject(topic, content)
            if subject is not None:
                async with limit:
                    kind, name = subject
                    parts[kind] = await (self.trade(name) if kind == TRADE_KIND else self.refund(name))
        except (ValidationProblem, NotFoundProblem, AuthorizationProblem):
            pass
        return Verified(topic, as_payload(**parts), f"message:{number}", self._gateway.now())


class _Increment:
    """One interface that lists what changed within a window."""

    method: str
    fields: str
    listed: tuple[str, str]
    kind: str
    number: str

    def __init__(self, gateway: TaobaoGateway) -> None:
        self._gateway = gateway

    async def count(self, window: Window) -> int:
        """How many changes there are; counting is slow there, so only the first call of a window does."""
        answer = await self._ask(window, page=1, size=1, use_has_next=False)
        return whole_number(answer, "total_results")

    async def read(self, window: Window, page: int) -> Sequence[Verified]:
        """One page of changes."""
        answer = await self._ask(window, page=page, size=_PAGE_SIZE, use_has_next=True)
        outer, inner = self.listed
        rows = optional_mapping(answer.get(outer)).get(inner) or []
        if not isinstance(rows, list):
            raise missing_in_answer(PLATFORM, outer)
        now = self._gateway.now()
        return [self._record(mapping(row, outer), now) for row in rows]

    async def _ask(self, window: Window, *, page: int, size: int, use_has_next: bool) -> Mapping[str, Any]:
        return await self._gateway.call(
            self.method,
            {
                "fields": self.fields,
                "start_modified": _local(window.start),
                "end_modified": _local(window.end),
                "page_no": str(page),
                "page_size": str(size),
                "use_has_next": "true" if use_has_next else "false",
            },
        )

    def _record(self, row: Mapping[str, Any], now: datetime) -> Verified:
        number, modified = text(row, self.number, limit=NUMBER_LIMIT), optional_text(row, "modified", limit=32)
        return Verified(
            self.kind, as_payload(**{self.kind: row}), f"{self.kind}:{number}:{row.get('status')}:{modified}", now
        )


class _TradeIncrement(_Increment):
    method = "taobao.trades.sold.increment.get"
    fields = TRADE_FIELDS
    listed = ("trades", "trade")
    kind = TRADE_KIND
    number = "tid"


class _RefundIncrement(_Increment):
    method = "taobao.refunds.receive.get"
    fields = REFUND_FIELDS
    listed = ("refunds", "refund")
    kind = REFUND_KIND
    number = "refund_id"


def _local(instant: datetime) -> str:
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
