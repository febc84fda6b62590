"""WeCom's callbacks: is it from them, for us, and what does it say?

Source: developer.work.weixin.qq.com, callback configuration and customer-contact events.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from connectors.accounts import Account
from connectors.callback_crypto import CallbackCipher, check_callback_signature
from connectors.payloads import parse_flat_xml
from connectors.reading import not_from_the_future, optional_text, text, whole_number
from connectors.webhooks import Refusal, Verified, WebhookRequest, read_or_keep
from connectors.wecom.settings import WecomSettings
from domain.canonical import ContactData, GroupData, Origin, TagData
from domain.canonical.announcing import announce_scan
from domain.events import Event
from domain.ids import canonical_json, content_digest, derived_id
from domain.problems import AuthenticationProblem, Text, ValidationProblem

REPLAY_WINDOW = timedelta(minutes=10)

CONTACT_EVENTS: Mapping[str, str] = {
    "add_external_contact": "contact.added",
    "add_half_external_contact": "contact.half_added",
    "edit_external_contact": "contact.updated",
    "del_external_contact": "contact.removed",
    "del_follow_user": "contact.lost",
    "transfer_fail": "contact.transfer_failed",
    "msg_audit_approved": "contact.archive_agreed",
}
GROUP_EVENTS: Mapping[str, str] = {"create": "group.created", "update": "group.updated", "dismiss": "group.dismissed"}
TAG_EVENTS: Mapping[str, str] = {
    "create": "tag.created",
    "update": "tag.updated",
    "delete": "tag.removed",
    "shuffle": "tag.updated",
}
_FAMILIES: Mapping[str, Mapping[str, str]] = {
    "change_external_contact": CONTACT_EVENTS,
    "change_external_chat": GROUP_EVENTS,
    "change_external_tag": TAG_EVENTS,
}


def verify_callback(request: WebhookRequest, account: Account) -> Verified:
    """The decrypted callback, once its signature, its time and its receiver are right; a GET asks for the echo."""
    settings = account.parse_settings(WecomSettings)
    cipher = CallbackCipher(settings.encoding_aes_key.get_secret_value(), settings.corp_id)
    is_echo = request.method.upper() == "GET"
    encrypted = request.query.get("echostr", "") if is_echo else parse_flat_xml(request.body).get("Encrypt", "")
    if not encrypted:
        raise ValidationProblem(Text("回调缺少密文", "The callback carries no ciphertext"), retryable=False)
    timestamp = request.query.get("timestamp", "")
    check_callback_signature(
        request.query.get("msg_signature", ""),
        settings.token.get_secret_value(),
        timestamp,
        request.query.get("nonce", ""),
        encrypted,
    )
    sent_at = _fresh(timestamp, request.received_at)
    payload = cipher.open(encrypted)
    if is_echo:
        return Verified("url_verification", payload, "", request.received_at, sent_at, echo=payload)
    return read_or_keep(request, payload, read_callback, sent_at)


def read_callback(kept: Verified) -> Verified:
    """What a callback says whose signature holds, opened."""
    fields = parse_flat_xml(kept.payload)
    # The documents say FromUserName + CreateTime; `sys` sends many in one second, so all fields together name a push.
    key = content_digest(canonical_json(fields))
    return Verified(_kind(fields), kept.payload, key, kept.received_at, kept.sent_at)


def uses_callback(kind: str) -> bool:
    """Whether callbacks of this kind become events."""
    family, _, change = kind.partition(".")
    return change in _FAMILIES.get(family, {})


def callback_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a callback; none for kinds Tandem has no use for."""
    if not uses_callback(record.kind):
        return []
    family, _, change = record.kind.partition(".")
    name = _FAMILIES[family][change]
    if family == "change_external_contact":
        return _contact_events(name, record, account)
    if family == "change_external_chat":
        return [_group_event(name, record, account)]
    return [_tag_event(name, record, account)]


def _contact_events(name: str, record: Verified, account: Account) -> list[Event]:
    """The change, and for somebody who came by a channel code that it was scanned."""
    fields = parse_flat_xml(record.payload)
    data = ContactData(
        **_origin(fields, record, account),
        external_userid=text(fields, "ExternalUserID"),
        userid=optional_text(fields, "UserID", limit=64),
        state=optional_text(fields, "State"),
        welcome_code=optional_text(fields, "WelcomeCode", limit=256),
        source=optional_text(fields, "Source", limit=64),
        fail_reason=optional_text(fields, "FailReason", limit=64),
    )
    subject = f"customer:{account.platform}/{data.external_userid}"
    told = _event(name, subject, data, record, account)
    scan = announce_scan(data) if name == "contact.added" else None
    return [told] if scan is None else [told, scan]


def _group_event(name: str, record: Verified, account: Account) -> Event:
    fields = parse_flat_xml(record.payload)
    change = optional_text(fields, "UpdateDetail", limit=64)
    members = whole_number(fields, "MemChangeCnt", 0) if "MemChangeCnt" in fields else 0
    data = GroupData(
        **_origin(fields, record, account),
        chat_id=text(fields, "ChatId"),
        change=change,
        joined_by=optional_text(fields, "JoinScene", limit=16),
        member_count_delta=-members if change == "del_member" else members,
    )
    return _event(name, f"group:{account.platform}/{data.chat_id}", data, record, account)


def _tag_event(name: str, record: Verified, account: Account) -> Event:
    fields = parse_flat_xml(record.payload)
    data = TagData(
        **_origin(fields, record, account),
        tag_id=text(fields, "Id"),
        kind="group" if fields.get("TagType") == "tag_group" else "tag",
    )
    return _event(name, f"tag:{account.platform}/{data.tag_id}", data, record, account)


def _origin(fields: Mapping[str, str], record: Verified, account: Account) -> dict[str, object]:
    created = whole_number(fields, "CreateTime")
    if not 0 < created < 4_102_444_800:
        raise ValidationProblem(Text("CreateTime 不是有效的时间", "CreateTime is no valid time"), retryable=False)
    happened = not_from_the_future(datetime.fromtimestamp(created, UTC), record.received_at, "CreateTime")
    # Milliseconds, as of a contact that was read: of two that tell of one moment, what was read later holds.
    return {"platform": account.platform, "account": account.slug, "version": created * 1000, "occurred_at": happened}


def _event(name: str, subject: str, data: Origin, record: Verified, account: Account) -> Event:
    return Event(
        id=derived_id(account.source, name, subject, record.dedupe_key),
        source=account.source,
        type=f"tandem.{name}",
        subject=subject,
        time=data.occurred_at,
        datacontenttype="application/json",
        data=data.model_dump(mode="json"),
    )


def _kind(fields: Mapping[str, str]) -> str:
    if fields.get("MsgType") != "event":
        return text(fields, "MsgType", limit=64)
    change = fields.get("ChangeType")
    event = text(fields, "Event", limit=64)
    return f"{event}.{change[:64]}" if change else event


def _fresh(timestamp: str, received_at: datetime) -> datetime:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 10):
        raise ValidationProblem(Text("回调的 timestamp 无效", "The callback's timestamp is not valid"), retryable=False)
    sent_at = datetime.fromtimestamp(int(timestamp), UTC)
    if abs(received_at - sent_at) > REPLAY_WINDOW:
        raise AuthenticationProblem(
            Text(
                "回调的时间与本机相差超过 10 分钟：可能是重放，也请检查服务器时钟",
                "The callback's time is more than 10 minutes off: a replay, or the server's clock is wrong",
            ),
            reason=Refusal.STALE,
            retryable=False,
        )
    return sent_at
