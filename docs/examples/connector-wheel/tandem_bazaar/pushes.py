"""Bazaar's pushes: is it from them, and what does it say?"""

import hmac
from datetime import timedelta

from connectors.accounts import Account
from connectors.payloads import parse_json_object
from connectors.reading import mapping, minor, optional_text, state_of, text, unix_time, whole_number
from connectors.webhooks import Refusal, Verified, WebhookRequest
from domain.canonical import Buyer, OrderData
from domain.canonical.announcing import announce
from domain.events import Event
from domain.problems import AuthenticationProblem, Text
from tandem_bazaar.wire import STATUSES, BazaarSettings, sign

WINDOW = timedelta(minutes=5)


def verify_push(request: WebhookRequest, account: Account) -> Verified:
    """The push, once its signature and its time are right; what it says is read later, from the inbox."""
    settings = account.parse_settings(BazaarSettings)
    time = request.headers.get("bazaar-time", "")
    right = sign(settings.secret, f"{time}\n{request.body.decode('utf-8', 'replace')}")
    if not hmac.compare_digest(request.headers.get("bazaar-sign", "").encode(), right.encode()):
        raise AuthenticationProblem(
            Text("推送签名不正确", "Wrong push signature"), reason=Refusal.SIGNATURE, retryable=False
        )
    sent_at = unix_time({"bazaar-time": time}, "bazaar-time")
    if sent_at is None or abs(request.received_at - sent_at) > WINDOW:
        raise AuthenticationProblem(
            Text("推送的时间不对", "The push's time is off"), reason=Refusal.STALE, retryable=False
        )
    body = parse_json_object(request.body)
    return Verified(text(body, "kind"), request.body, text(body, "id"), request.received_at, sent_at)


def push_events(record: Verified, account: Account) -> list[Event]:
    """The canonical event of an order; none for kinds that Tandem has no use for."""
    if record.kind != "order":
        return []
    order = mapping(parse_json_object(record.payload).get("order"), "order")
    data = OrderData(
        platform=account.platform,
        account=account.slug,
        version=whole_number(order, "revision"),
        order_id=text(order, "number"),
        status=state_of(STATUSES, order, "state", "unknown"),
        paid_minor=minor(order, "fen"),
        buyer=Buyer(buyer_id=optional_text(order, "buyer", limit=64)),
    )
    return [announce(data, record.received_at)]
