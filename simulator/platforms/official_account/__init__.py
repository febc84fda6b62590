"""A WeChat Official Account: followers, messages to them, and what they do.

Source: developers.weixin.qq.com, user management, template and customer-service messages, events [O].
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from simulator.entities import Chat, Customer, Follower, Push, Scan
from simulator.happenings import Happening, What
from simulator.platforms.base import Json
from simulator.platforms.wechat import Call, ErrCode, WechatPlatform, answer

UNVERIFIED = ("whether the list behind next_openid begins with it", "the answer to a repeated client_msg_id")
LIST_PAGE = 10_000
BATCH = 100
REPEAT_WINDOW = timedelta(minutes=10)
SCENE_PREFIX = "qrscene_"
TALKING = timedelta(hours=48)
"""How long after a follower's last word the account may write to them [O]."""


def list_followers(call: Call) -> Json:
    """cgi-bin/user/get: up to 10,000 openids behind `next_openid`, in the order they began to follow."""
    rows = [row for row in call.world.followers.having(account=call.shop.id) if row.following]
    openids = [row.id for row in sorted(rows, key=lambda row: (row.followed_at, row.id))]
    after = str(call.params.get("next_openid") or "")
    if after and after not in openids:
        raise ErrCode(40003)
    start = openids.index(after) + 1 if after else 0
    shown = openids[start : start + LIST_PAGE]
    more = {"data": {"openid": shown}, "next_openid": shown[-1]} if shown else {"next_openid": ""}
    return {"total": len(openids), "count": len(shown), **more}


def user_info(call: Call) -> Json:
    """cgi-bin/user/info."""
    return _info(call, call.text("openid"))


def users_info(call: Call) -> Json:
    """cgi-bin/user/info/batchget: up to 100 at once."""
    wanted = call.params.get("user_list")
    if not isinstance(wanted, list) or not 0 < len(wanted) <= BATCH:
        raise ErrCode(40097, "user_list")
    return {"user_info_list": [_info(call, str(item.get("openid"))) for item in wanted if isinstance(item, dict)]}


def send_template(call: Call) -> Json:
    """cgi-bin/message/template/send: a repeat with the same client_msg_id within ten minutes is dropped."""
    openid, template = call.text("touser"), call.text("template_id")
    subjects = {"openid": openid, "template_id": template}
    key = str(call.params.get("client_msg_id") or "")
    if key:
        since = call.world.clock.wall() - REPEAT_WINDOW
        for entry in call.world.ledger.find(effect=True, kind="template_message", account=call.shop.id, openid=openid):
            if entry.at >= since and entry.request.get("client_msg_id") == key:
                call.record("template_message", subjects, code=1)
                return answer(msgid=entry.seq)
    follower = call.world.followers.get(openid)
    code = 40003 if _customer(call, openid) is None else 43004 if follower is None or not follower.following else 0
    call.record("template_message", subjects, code=code)
    return answer(code) if code else answer(msgid=call.world.ledger.size)


def send_service_message(call: Call) -> Json:
    """cgi-bin/message/custom/send: to who follows, and wrote, scanned or began to follow within 48 hours."""
    openid = call.text("touser")
    follower = call.world.followers.get(openid)
    code = 40003 if _customer(call, openid) is None else 0
    if code == 0 and (follower is None or not follower.following or not _is_talking(call, follower)):
        code = 45015
    call.record("service_message", {"openid": openid}, code=code)
    return answer(code)


class OfficialAccount(WechatPlatform):
    """The platform."""

    name = "official_account"
    apis = {
        "cgi-bin/user/get": ("GET", list_followers),
        "cgi-bin/user/info": ("GET", user_info),
        "cgi-bin/user/info/batchget": ("POST", users_info),
        "cgi-bin/message/template/send": ("POST", send_template),
        "cgi-bin/message/custom/send": ("POST", send_service_message),
    }

    def pushes_for(self, happening: Happening) -> list[Push]:
        """Who begins and who ceases to follow, scans of followers, and what they write."""
        row = happening.row
        if isinstance(row, Chat) and row.direction == "in":
            return [self._message(row)]
        if isinstance(row, Follower) and happening.what is What.FOLLOWED:
            return [self._subscribe(row)]
        if isinstance(row, Follower) and happening.what is What.UNFOLLOWED:
            return [self._at(self.callback(row.account, "unsubscribe", row.id, {"EventKey": ""}), happening.at)]
        if isinstance(row, Scan) and happening.what is What.SCANNED:
            customer = self.world.customers.get(row.customer_id)
            if customer is not None:
                openid = self.world.openid(customer, row.account)
                scanned = self.callback(row.account, "SCAN", openid, {"EventKey": row.code, "Ticket": "TICKET"})
                return [self._at(scanned, row.scanned_at)]
        return []

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """subscribe, unsubscribe, SCAN, CLICK, VIEW or text, of `openid` with `key` (code, menu entry, text)."""
        openid, key = subjects.get("openid", ""), subjects.get("key", "")
        follower = self.world.followers.get(openid)
        if follower is None or follower.account != account:
            raise LookupError(f"no follower {openid!r} of {account}")
        if event == "subscribe":
            values: dict[str, Any] = {"following": True, "scene": key, "followed_at": self.world.clock.now()}
            return self._subscribe(self.world.followers.change(follower, **values))
        if event == "unsubscribe":
            self.world.followers.change(follower, following=False)
            return self.callback(account, event, openid, {"EventKey": ""})
        if event in ("SCAN", "CLICK", "VIEW"):
            return self.callback(account, event, openid, {"EventKey": key})
        if event == "text":
            number = int(self.world.token("oa_message", self.world.next("oa_message"))[:15], 16)
            return self.callback(account, event, openid, {"Content": key, "MsgId": number}, kind="text")
        raise ValueError(f"an Official Account sends no event {event!r}")

    def _message(self, row: Chat) -> Push:
        customer = self.world.customers.get(row.customer_id)
        openid = self.world.openid(customer, row.account) if customer is not None else ""
        said = {"Content": row.text, "MsgId": int(self.world.token("oa_message", row.id)[:15], 16)}
        return self._at(self.callback(row.account, "text", openid, said, kind="text"), row.sent_at)

    def _subscribe(self, row: Follower) -> Push:
        fields = {
            "EventKey": f"{SCENE_PREFIX}{row.scene}" if row.scene else "",
            "Ticket": "TICKET" if row.scene else "",
        }
        return self._at(self.callback(row.account, "subscribe", row.id, fields), row.followed_at)


def _is_talking(call: Call, follower: Follower) -> bool:
    since = call.world.clock.now() - TALKING
    chats = call.world.chats.between("sent", since, None, account=call.shop.id)
    scans = call.world.scans.between("scanned", since, None, account=call.shop.id)
    did = {*(row.customer_id for row in chats), *(row.customer_id for row in scans)}
    return follower.followed_at >= since or follower.customer_id in did


def _info(call: Call, openid: str) -> Json:
    customer, follower = _customer(call, openid), call.world.followers.get(openid)
    if customer is None:
        raise ErrCode(40003)
    if follower is None or not follower.following:
        return {"subscribe": 0, "openid": openid}
    return {
        "subscribe": 1,
        "openid": openid,
        "language": "zh_CN",
        "subscribe_time": int(follower.followed_at.timestamp()),
        "unionid": customer.unionid,
        "remark": "",
        "groupid": 0,
        "tagid_list": [],
        "subscribe_scene": "ADD_SCENE_QR_CODE" if follower.scene else "ADD_SCENE_SEARCH",
        "qr_scene": 0,
        "qr_scene_str": follower.scene,
    }


def _customer(call: Call, openid: str) -> Customer | None:
    follower = call.world.followers.get(openid)
    return call.world.customers.get(follower.customer_id) if follower else None
