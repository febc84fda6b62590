"""WeChat Pay's notices: are they theirs, ours and fresh, and how did a transfer end?

Source: pay.weixin.qq.com, notices of API v3 [O].
"""

from datetime import UTC, datetime, timedelta

from connectors.accounts import Account
from connectors.payloads import parse_json_object
from connectors.reading import mapping, not_from_the_future, optional_minor, optional_text, rfc3339, state_of, text
from connectors.telling import tell, version_of
from connectors.webhooks import Refusal, Verified, WebhookRequest
from connectors.wechat_pay.client import STATES
from connectors.wechat_pay.keys import MerchantKeys
from connectors.wechat_pay.settings import WechatPaySettings
from domain.canonical.payouts import PayoutData, PayoutState
from domain.events import Event
from domain.problems import AuthenticationProblem, Text, ValidationProblem

REPLAY_WINDOW = timedelta(minutes=5)
TRANSFER_ENDED = "MCHTRANSFER.BILL.FINISHED"
_EVENTS: dict[PayoutState, str] = {"succeeded": "succeeded", "failed": "failed", "cancelled": "failed"}


def verify_notice(request: WebhookRequest, account: Account) -> Verified:
    """The opened notice, once its signature, its time and its merchant are right."""
    settings = account.parse_settings(WechatPaySettings)
    keys = MerchantKeys(settings)
    keys.check(request.headers, request.body)
    sent_at = _fresh(request.headers.get("wechatpay-timestamp", ""), request.received_at)
    notice = parse_json_object(request.body)
    payload = keys.open(mapping(notice.get("resource"), "resource"))
    contents = parse_json_object(payload)
    if (contents.get("mch_id") or contents.get("mchid")) != settings.mch_id:
        raise AuthenticationProblem(
            Text("通知属于其他商户", "The notice belongs to another merchant"),
            retryable=False,
            reason=Refusal.RECEIVER,
        )
    kind, number = text(notice, "event_type", limit=64), text(notice, "id", limit=128)
    return Verified(kind, payload, number, request.received_at, sent_at)


def uses_push(kind: str) -> bool:
    """Whether a notice of this kind becomes an event."""
    return kind == TRANSFER_ENDED


def notice_events(record: Verified, account: Account) -> list[Event]:
    """The event of a transfer that ended; none for other notices."""
    if record.kind != TRANSFER_ENDED:
        return []
    contents = parse_json_object(record.payload)
    happened = not_from_the_future(rfc3339(contents, "update_time"), record.received_at, "update_time")
    happened = happened or record.received_at
    state = state_of(STATES, contents, "state", "unknown")
    payout = PayoutData(
        platform=account.platform,
        account=account.slug,
        version=version_of(happened, state, full=True),
        occurred_at=happened,
        out_bill_no=text(contents, "out_bill_no", limit=32),
        payout_id=optional_text(contents, "transfer_bill_no", limit=64),
        state=state,
        amount_minor=optional_minor(contents, "transfer_amount"),
        fail_reason=optional_text(contents, "fail_reason", limit=256),
    )
    name = _EVENTS.get(state)
    if name is None:
        raise ValidationProblem(
            Text(f"转账通知的状态“{state}”不是终态", f"A notice of a finished transfer says {state}"), retryable=False
        )
    return [tell(f"payout.{name}", f"payout:{account.platform}/{payout.out_bill_no}", payout, record, account)]


def _fresh(timestamp: str, received_at: datetime) -> datetime:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 10):
        raise ValidationProblem(Text("通知的时间戳无效", "The notice's timestamp is not valid"), retryable=False)
    sent_at = datetime.fromtimestamp(int(timestamp), UTC)
    if abs(received_at - sent_at) > REPLAY_WINDOW:
        raise AuthenticationProblem(
            Text(
                "通知的时间与本机相差超过 5 分钟：可能是重放，也请检查服务器时钟",
                "The notice's time is more than 5 minutes off: a replay, or the server's clock is wrong",
            ),
            retryable=False,
            reason=Refusal.STALE,
        )
    return sent_at
