"""The connector of a caterers' platform, but for how its pushes are signed and wrapped."""

import hmac
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import ClassVar

from connectors.accounts import Account
from connectors.catering.client import CateringShop
from connectors.catering.goods import GOODS_KIND, goods_events
from connectors.catering.pushes import PULLED, events_of
from connectors.catering.wire import CateringWire
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.payloads import parse_json_object
from connectors.readable_streams import require_readable
from connectors.webhooks import PushAnswer, Refusal, Verified
from domain.events import Event
from domain.problems import AuthenticationProblem, ProblemError, Text


class CateringConnector(ABC):
    """Most of `connectors.registry.Connector`; a platform adds who it is, `verify`, `refuse`, and `open`."""

    wire: ClassVar[CateringWire]
    acknowledgement: ClassVar[bytes]
    hints: ClassVar[dict[ConnectionFault, Text]]

    @abstractmethod
    def open(self, account: Account, link: Link) -> CateringShop:
        """The client of one shop."""

    @abstractmethod
    def content(self, payload: bytes) -> bytes:
        """The record within a push, as JSON. Raises ValidationProblem."""

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, self.acknowledgement, "application/json")

    def uses(self, kind: str) -> bool:
        return kind in PULLED or kind == GOODS_KIND or kind in self.wire.pushes

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        if record.kind == GOODS_KIND:
            return goods_events(record, account, self.wire)
        if record.kind in PULLED:
            return events_of(PULLED[record.kind], parse_json_object(record.payload), self.wire, record, account)
        kind = self.wire.pushes.get(record.kind)
        if kind is None:
            return []
        return events_of(kind, parse_json_object(self.content(record.payload)), self.wire, record, account)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Reads a minute of orders and of refunds, and one dish, after a token where the platform has such."""
        try:
            shop = self.open(account, link)
            await require_readable(shop, link, tries=(shop.try_goods,))
        except ProblemError as error:
            return explain(error, self.hints)
        works = Text("连接正常，可以读取订单、退款与菜品", "It works: orders, refunds and dishes can be read")
        return ConnectionReport(True, works)

    def check_signature(self, given: str, right: str) -> None:
        """Raises AuthenticationProblem for a push that is not signed with the application's secret."""
        if not hmac.compare_digest(given.lower().encode(), right.lower().encode()):
            words = Text("推送签名不正确，请核对 app_secret", "Wrong push signature; check app_secret")
            raise AuthenticationProblem(words, reason=Refusal.SIGNATURE, retryable=False)

    def check_receiver(self, ours: bool) -> None:
        """Raises AuthenticationProblem for a push to another shop or application."""
        if not ours:
            words = Text("推送属于其他门店或应用", "The push belongs to another shop or application")
            raise AuthenticationProblem(words, reason=Refusal.RECEIVER, retryable=False)

    def check_age(self, sent_at: datetime, received_at: datetime) -> None:
        """Raises AuthenticationProblem for a push of another time than now."""
        if abs(received_at - sent_at) > self.wire.window:
            minutes = self.wire.window // timedelta(minutes=1)
            words = Text(f"推送的时间相差超过 {minutes} 分钟", f"The push's time is more than {minutes} minutes off")
            raise AuthenticationProblem(words, reason=Refusal.STALE, retryable=False)
