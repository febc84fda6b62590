"""What can be read again of a Taobao shop: its messages, and the increments of trades and refunds.

A batch of messages is confirmed by the next pull, when the caller has kept it; unconfirmed ones come again. The group
may hold messages of other shops of the application: those are neither kept nor confirmed, as a shop does not know which
others are connected. So that those of one that is not do not keep it busy for ever, it looks past some batches of them
and then waits for its next turn; so it does where it had to ask whose messages are, and none was its own. Increments go
by windows of half an hour, which the platform prefers, and of up to its maximum of a day where little changed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from connectors.listed_rows import listed_record, listed_rows
from connectors.page_windows import Window, WindowedReader
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import CHINA, mapping, optional_mapping, whole_number
from connectors.single_reads import Found, read_each
from connectors.taobao.codes import ANOTHERS_TRADE
from connectors.taobao.gateway import PLATFORM, TaobaoGateway
from connectors.taobao.messages import REFUND_KIND, TRADE_KIND, as_payload, message_subject
from connectors.taobao.records import REFUND_FIELDS, TRADE_FIELDS
from connectors.webhooks import Verified
from domain.problems import ProblemError, ValidationProblem

# Nothing tells sooner that somebody wants their money back; one that has nothing new costs one short call. In the three
# seconds that are left of each stroke the last call is answered, so that the next stroke finds nobody at work.
MESSAGES = Stream(
    "messages",
    reaches_back=timedelta(days=3),
    read_every=timedelta(seconds=30),
    asked_again=timedelta(seconds=27),
    compared=timedelta(),
)
# How far the increments run behind the messages is not published [U].
TRADES = Stream("orders", reaches_back=timedelta(days=90), lag=timedelta(minutes=2))
REFUNDS = Stream("refunds", reaches_back=timedelta(days=90), lag=timedelta(minutes=2))

_WIDEST, _NARROW = timedelta(days=1), timedelta(minutes=30)
_PAGE_SIZE = 50
_BATCH = 100
_MOST_BATCHES_OF_OTHERS = 5
"""One after the other. What is not confirmed is told again for days, and each that names no shop costs a question."""
_AT_ONCE = 16
_LONGEST_TOPIC = 128

log = structlog.get_logger(__name__)


class TaobaoReader:
    """The streams of one shop."""

    def __init__(self, gateway: TaobaoGateway) -> None:
        self._gateway = gateway
        # Messages are what pushes are elsewhere: in bulk, a shop that has more of them a second than requests in bulk
        # would fall behind in the very hours that flows wait for them.
        self._awaited = gateway.awaited()

    async def trade(self, tid: str) -> Mapping[str, Any]:
        """A trade with everything that Tandem keeps of it."""
        answer = await self._awaited.call("taobao.trade.fullinfo.get", {"fields": TRADE_FIELDS, "tid": tid})
        return mapping(answer.get("trade"), "trade")

    async def refund(self, refund_id: str) -> Mapping[str, Any]:
        """A refund with its version and phase."""
        answer = await self._awaited.call("taobao.refund.get", {"fields": REFUND_FIELDS, "refund_id": refund_id})
        return mapping(answer.get("refund"), "refund")

    async def pull_messages(self, cursor: Cursor) -> PulledPage:
        """The next batch of messages. cursor: `confirm`, the numbers of the batch before; `others`, how many batches in
        a row were other shops' alone."""
        done = [str(number) for number in cursor.get("confirm", ())]
        group = {"group_name": self._gateway.settings.message_group}
        if done:
            confirmation = {**group, "s_message_ids": ",".join(done)}
            await self._gateway.call_as_application("taobao.tmc.messages.confirm", confirmation)
        answer = await self._gateway.call_as_application(
            "taobao.tmc.messages.consume", {**group, "quantity": str(_BATCH)}
        )
        found = listed_rows(optional_mapping(answer.get("messages")), "tmc_message", PLATFORM)
        mine = await self._addressed_to_me([optional_mapping(message) for message in found])
        subjects = [_subject_of(message) for message in mine]
        told = await self._read_subjects([subject for subject in subjects if subject is not None])
        kept = [each for each in zip(mine, subjects, strict=True) if not _is_anothers(each[1], told)]
        if len(kept) < len(found):
            log.info("messages are left to other shops", **group, count=len(found) - len(kept))
        records = [self._record(message, subject, told) for message, subject in kept]
        is_full = len(found) >= _BATCH
        if kept:
            return PulledPage(records, {"confirm": [str(message["id"]) for message, _ in kept]}, more=is_full)
        others = whole_number(cursor, "others", 0) + 1
        if is_full and others < _MOST_BATCHES_OF_OTHERS:
            return PulledPage(records, {"others": others}, more=True)
        if is_full:
            log.warning("messages of other shops are in the way: give the connected ones a group of their own", **group)
        # Those that name another shop cost no question.
        return PulledPage(records, {}, more=False, in_vain=bool(mine) or is_full or others > 1)

    async def pull_changes(self, stream: Stream, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of changed trades or refunds."""
        reader = WindowedReader(stream, _WIDEST, _PAGE_SIZE, narrow=_NARROW)
        increment = _TradeIncrement(self._gateway) if stream is TRADES else _RefundIncrement(self._gateway)
        return await reader.pull(cursor, until, increment.first_page, increment.read)

    async def _addressed_to_me(self, messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Those that name this shop or none; one without a number cannot be confirmed, and comes again."""
        if not any(message.get("user_nick") for message in messages):
            return [message for message in messages if message.get("id")]
        nick = self._gateway.settings.seller_nick or await self._gateway.seller_nick()
        return [each for each in messages if each.get("id") and each.get("user_nick") in (None, "", nick)]

    async def _read_subjects(self, subjects: Sequence[tuple[str, str]]) -> Mapping[str, Found]:
        """The trades and refunds that messages are about; a message whose own cannot be read tells its stage alone."""

        async def read(subject: str) -> Mapping[str, Any]:
            kind, _, number = subject.partition(":")
            return await (self.trade(number) if kind == TRADE_KIND else self.refund(number))

        return await read_each([":".join(each) for each in subjects], read, at_once=_AT_ONCE, else_known=True)

    def _record(
        self, message: Mapping[str, Any], subject: tuple[str, str] | None, told: Mapping[str, Found]
    ) -> Verified:
        topic = str(message.get("topic"))[:_LONGEST_TOPIC]
        parts: dict[str, Any] = {name: message.get(name) for name in ("id", "topic", "pub_time", "content")}
        content = _content_of(message)
        if content is not None:
            parts["content"] = content
        row = None if subject is None else told[":".join(subject)]
        if subject is not None and isinstance(row, Mapping):
            parts[subject[0]] = row
        return Verified(topic, as_payload(**parts), f"message:{message['id']}", self._gateway.now())


def _content_of(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a message says, None when it cannot be read."""
    try:
        return parse_json_object(str(message.get("content") or "{}").encode())
    except ValidationProblem:
        return None


def _is_anothers(subject: tuple[str, str] | None, told: Mapping[str, Found]) -> bool:
    """Whether the platform says that what a message is about belongs to another shop, whatever shop it names."""
    found = None if subject is None else told[":".join(subject)]
    return isinstance(found, ProblemError) and found.problem.as_dict().get("platform_code") == ANOTHERS_TRADE


def _subject_of(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a message is about, None when it says all, or nothing that can be understood."""
    content = _content_of(message)
    try:
        return None if content is None else message_subject(str(message.get("topic"))[:_LONGEST_TOPIC], content)
    except ValidationProblem:
        return None


class _Increment:
    """One interface that lists what changed within a window."""

    method: str
    fields: str
    listed: tuple[str, str]
    kind: str
    number: str

    def __init__(self, gateway: TaobaoGateway) -> None:
        self._gateway = gateway

    async def first_page(self, window: Window) -> tuple[int, Sequence[Verified]]:
        """See `FirstPage`; counting is slow there, so only the first call of a window does."""
        answer = await self._ask(window, page=1, use_has_next=False)
        return whole_number(answer, "total_results"), self._records(answer)

    async def read(self, window: Window, page: int) -> Sequence[Verified]:
        """One page of changes."""
        return self._records(await self._ask(window, page=page, use_has_next=True))

    def _records(self, answer: Mapping[str, Any]) -> Sequence[Verified]:
        outer, inner = self.listed
        now = self._gateway.now()
        rows = listed_rows(optional_mapping(answer.get(outer)), inner, PLATFORM)
        told_apart_by = (self.number, "status", "modified")
        return [listed_record(self.kind, row, told_apart_by, now, within=self.kind) for row in rows]

    async def _ask(self, window: Window, *, page: int, use_has_next: bool) -> Mapping[str, Any]:
        return await self._gateway.call(
            self.method,
            {
                "fields": self.fields,
                "start_modified": _local(window.start),
                "end_modified": _local(window.end),
                "page_no": str(page),
                "page_size": str(_PAGE_SIZE),
                "use_has_next": "true" if use_has_next else "false",
            },
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
