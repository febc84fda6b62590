"""What people do around buying, as rows of one table."""

from datetime import datetime
from typing import Any

from domain.canonical import (
    CartData,
    ChatData,
    ContactData,
    CouponData,
    FollowerData,
    LifeEventData,
    MemberData,
    ScanData,
    VisitData,
)
from domain.canonical.origin import Origin
from domain.ids import canonical_json, short_digest
from domain.money import HOME_CURRENCY
from domain.tags.topics import topics_of

Row = tuple[tuple[str, ...], dict[str, Any]]


def _row(data: Origin, at: datetime, kind: str, key: str, **values: Any) -> Row:
    personal = {name: value for name, value in values.pop("personal", {}).items() if value is not None}
    details = {name: value for name, value in values.pop("details", {}).items() if value is not None}
    return (data.account_id, kind, key), {
        "occurred_at": data.occurred_at or at,
        "name": None,
        "state": None,
        "channel": None,
        "item_id": None,
        "category": None,
        "amount_minor": None,
        **values,
        "details": details,
        "personal": personal or None,
    }


def _foreign(currency: str) -> str | None:
    return None if currency == HOME_CURRENCY else currency


def chat_row(data: ChatData, at: datetime) -> Row:
    """A message. name: `in` or `out`. Of its text only what it is about stands in clear."""
    return _row(
        data,
        at,
        "chat",
        data.message_id,
        name=data.direction,
        state=data.form,
        details={"userid": data.userid, "topics": topics_of(data.text) or None},
        personal={"text": data.text},
    )


def scan_row(data: ScanData, at: datetime) -> Row:
    """A scan. channel: the code."""
    return _row(data, at, "scan", data.scan_id, channel=data.code, details={"place": data.place})


def visit_row(data: VisitData, at: datetime) -> Row:
    """A visit. name: what was done."""
    return _row(
        data,
        at,
        "visit",
        data.visit_id,
        name=data.name,
        channel=data.channel,
        item_id=data.item_id,
        category=data.category,
        details=data.attributes,
    )


def cart_row(data: CartData, at: datetime) -> Row:
    """A cart. currency in details: unless it is the merchant's own."""
    items = [{"item_id": line.item_id, "quantity": line.quantity} for line in data.lines]
    return _row(
        data,
        at,
        "cart",
        data.cart_id,
        state=data.state,
        amount_minor=data.total_minor,
        item_id=data.lines[0].item_id if data.lines else None,
        category=data.lines[0].category if data.lines else None,
        details={"items": items or None, "currency": _foreign(data.currency)},
    )


def coupon_row(data: CouponData, at: datetime) -> Row:
    """A coupon in somebody's hands. channel: where they took it. currency in details: as of a cart."""
    return _row(
        data,
        at,
        "coupon",
        data.coupon_id,
        name=data.batch_id,
        state=data.state,
        channel=data.source,
        amount_minor=data.value_minor,
        details={
            "threshold_minor": data.threshold_minor,
            "order_id": data.order_id,
            "expires_on": data.expires_on.isoformat() if data.expires_on else None,
            "currency": _foreign(data.currency),
        },
        personal={"code": data.code},
    )


def life_row(data: LifeEventData, at: datetime) -> Row:
    """A stage of life."""
    due_on = data.due_on.isoformat() if data.due_on else None
    return _row(data, at, "life", data.event_id, name=data.name, details={**data.attributes, "due_on": due_on})


def contact_row(data: ContactData, at: datetime) -> Row:
    """A contact of one member of staff. channel: the code they came by. `seen` in details: what was read of them, so
    that reading the same again is known without decrypting anything."""
    details: dict[str, Any] = {
        "tags": None if data.tags is None else list(data.tags),
        "tag_ids": None if data.tag_ids is None else list(data.tag_ids),
        "add_way": data.add_way,
        "seen": contact_seen(data),
    }
    return _row(
        data,
        at,
        "contact",
        f"{data.external_userid}/{data.userid or ''}",
        name=data.userid,
        channel=data.state,
        details=details,
        personal={"name": data.name},
    )


def contact_seen(data: ContactData) -> str | None:
    """A short digest of a contact that was read, None when a push merely named them. Of phones it knows how many."""
    if data.tags is None:
        return None
    said = (data.unionid, data.state, data.add_way, data.tag_ids, data.tags, len(data.phones), str(data.occurred_at))
    return short_digest(canonical_json(said))


def follower_row(data: FollowerData, at: datetime) -> Row:
    """A follower of an Official Account."""
    return _row(
        data,
        at,
        "follow",
        data.openid,
        state="following" if data.following else "left",
        channel=data.scene,
        personal={"nickname": data.nickname},
    )


def member_row(data: MemberData, at: datetime) -> Row:
    """What is known of a member. The key is empty when only a phone names them: a number must not stand in clear."""
    key = data.member_id or data.buyer_id or data.unionid or data.openid or data.device or ""
    birthday = data.birthday.isoformat() if data.birthday else None
    return _row(
        data,
        at,
        "member",
        key,
        name=data.grade,
        details=data.attributes,
        personal={"name": data.name, "nickname": data.nickname, "birthday": birthday},
    )
