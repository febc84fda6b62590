"""What the callbacks and lists of an Official Account say: who follows, scans, clicks and writes.

Source: developers.weixin.qq.com, receiving events and messages [O].
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from connectors.accounts import Account
from connectors.official_account.client import read_follower
from connectors.official_account.followers import FOLLOWERS, VERSION_BEFORE
from connectors.payloads import parse_json_object
from connectors.reading import not_from_the_future, optional_text, text, whole_number
from connectors.telling import tell
from connectors.webhooks import Verified
from connectors.wechat.callbacks import created_at, read_fields
from domain.canonical import Buyer, ChatData, FollowerData, ScanData, VisitData
from domain.events import Event
from domain.ids import derived_id

# A code's name stands behind this in the event of one who begins to follow by it.
SCENE_PREFIX = "qrscene_"
_FORMS: Mapping[str, Literal["text", "image", "voice", "video", "card"]] = {
    "text": "text",
    "image": "image",
    "voice": "voice",
    "video": "video",
    "shortvideo": "video",
    "link": "card",
}


def uses_push(kind: str) -> bool:
    """Whether a callback of this kind becomes an event."""
    return kind in _FORMS or kind in ("subscribe", "unsubscribe", "SCAN", "CLICK", "VIEW")


def account_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a callback or of a follower that was read; none for kinds Tandem has no use for."""
    if record.kind == FOLLOWERS:
        return _listed_follower(record, account)
    fields = read_fields(record.payload)
    match record.kind:
        case "subscribe":
            return _subscribed(fields, record, account)
        case "unsubscribe":
            return [_follower(fields, None, record, account, following=False)]
        case "SCAN":
            return [_scan(fields, text(fields, "EventKey", limit=64), record, account)]
        case "CLICK" | "VIEW":
            return [_visit(fields, record, account)]
        case kind if kind in _FORMS:
            return [_chat(fields, _FORMS[kind], record, account)]
    return []


def _subscribed(fields: Mapping[str, str], record: Verified, account: Account) -> list[Event]:
    scene = optional_text(fields, "EventKey", limit=128)
    code = scene.removeprefix(SCENE_PREFIX) if scene and scene.startswith(SCENE_PREFIX) else None
    follower = _follower(fields, code, record, account, following=True)
    return [follower, _scan(fields, code, record, account)] if code else [follower]


def _follower(
    fields: Mapping[str, str], scene: str | None, record: Verified, account: Account, *, following: bool
) -> Event:
    happened = created_at(fields, record.received_at)
    return _follower_event(
        FollowerData(
            **_origin(account, happened),
            openid=text(fields, "FromUserName"),
            following=following,
            scene=scene,
            told_in_part=following,
        ),
        happened,
        record,
        account,
    )


def _listed_follower(record: Verified, account: Account) -> list[Event]:
    """A follower of the list has the unionid besides, so of one moment this is the newer record.

    Who does not follow any more is told of only where they were known to: the platform does not say since when, so it
    is as of when it was asked.
    """
    said = parse_json_object(record.payload)
    user = read_follower(said)
    if not user.following and VERSION_BEFORE in said:
        version = max(int(record.received_at.timestamp()) * 2, whole_number(said, VERSION_BEFORE) + 1)
        gone = {**_origin(account, record.received_at), "version": version}
        left = FollowerData(**gone, openid=user.openid, following=False)
        return [_follower_event(left, record.received_at, record, account)]
    happened = not_from_the_future(user.followed_at, record.received_at, "subscribe_time")
    if not user.following or happened is None:
        return []
    follower = FollowerData(
        platform=account.platform,
        account=account.slug,
        version=int(happened.timestamp()) * 2 + 1,
        occurred_at=happened,
        openid=user.openid,
        unionid=user.unionid,
        scene=user.scene,
    )
    return [_follower_event(follower, happened, record, account)]


def _follower_event(follower: FollowerData, happened: datetime, record: Verified, account: Account) -> Event:
    name = "follower.subscribed" if follower.following else "follower.unsubscribed"
    return tell(
        name,
        f"follower:{follower.account_id}/{follower.openid}",
        follower,
        record,
        account,
        keys=(_person(follower.openid, account),),
        parts=(str(int(happened.timestamp())),),
    )


def _scan(fields: Mapping[str, str], code: str, record: Verified, account: Account) -> Event:
    happened, openid = created_at(fields, record.received_at), text(fields, "FromUserName")
    scan = ScanData(
        **_origin(account, happened),
        buyer=Buyer(openid=openid),
        scan_id=derived_id(account.source, openid, code, str(int(happened.timestamp()))),
        code=code,
    )
    keys = (_person(openid, account), f"code:{account.platform}/{code}")
    return tell("scan.made", f"scan:{scan.account_id}/{scan.scan_id}", scan, record, account, keys=keys)


def _visit(fields: Mapping[str, str], record: Verified, account: Account) -> Event:
    """A menu entry that was chosen: `menu_click` with its key, `menu_view` with its page."""
    happened, openid = created_at(fields, record.received_at), text(fields, "FromUserName")
    entry = optional_text(fields, "EventKey", limit=1024) or ""
    visit = VisitData(
        **_origin(account, happened),
        buyer=Buyer(openid=openid),
        visit_id=derived_id(account.source, openid, record.kind, entry, str(int(happened.timestamp()))),
        name=f"menu_{record.kind.lower()}",
        channel="menu",
        attributes={"entry": entry},
    )
    keys = (_person(openid, account),)
    return tell("visit.made", f"visit:{visit.account_id}/{visit.visit_id}", visit, record, account, keys=keys)


def _chat(
    fields: Mapping[str, str],
    form: Literal["text", "image", "voice", "video", "card"],
    record: Verified,
    account: Account,
) -> Event:
    happened, openid = created_at(fields, record.received_at), text(fields, "FromUserName")
    chat = ChatData(
        **_origin(account, happened),
        buyer=Buyer(openid=openid),
        message_id=text(fields, "MsgId"),
        direction="in",
        form=form,
        text=optional_text(fields, "Content", limit=4096) if form == "text" else None,
    )
    keys = (_person(openid, account),)
    return tell("chat.message", f"chat:{chat.account_id}/{chat.message_id}", chat, record, account, keys=keys)


def _origin(account: Account, happened: datetime) -> dict[str, Any]:
    return {
        "platform": account.platform,
        "account": account.slug,
        "version": int(happened.timestamp()) * 2,
        "occurred_at": happened,
    }


def _person(openid: str, account: Account) -> str:
    return f"customer:{account.platform}/{openid}"
