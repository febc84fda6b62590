"""The chat archive behind the program that merchants put around WeCom's native library: messages opened, by number.

Source: developer.work.weixin.qq.com/document/path/91774: fields of messages, at most 1,000 at once, 600 calls a minute,
five days [O]. The address and its secret are the program's own [U].
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeGuard

from simulator.entities import Chat, Corp
from simulator.platforms.wecom.calls import Json, answer
from simulator.quotas import Limit, Quotas
from simulator.world import World

API = "archive/chatdata"
AGENT_ID = 2_000_004
"""What the callback calls the archive."""
MOST = 1_000
KEPT = timedelta(days=5)
LIMIT = Limit(600, 60.0, 60.0)


def secret_of(world: World, corp: Corp) -> str:
    """What opens the corp's archive."""
    return world.token("archive", corp.id)[:32]


def chatdata(world: World, corp: Corp, asked: Any, quota: Quotas) -> Json:
    """The messages behind `seq` that are still kept, oldest first."""
    if not isinstance(asked, dict) or asked.get("corp_id") != corp.corp_id:
        return answer(40013)
    seq, limit = asked.get("seq"), asked.get("limit")
    if not _is_number(seq) or not _is_number(limit) or not 1 <= limit <= MOST:
        return answer(40058, "seq, limit")
    if not quota.take(corp.id, world.clock.wall()):
        return answer(45009)
    oldest, rows = world.clock.now() - KEPT, world.chats.between("sent", None, None, account=corp.id)
    kept = [(number, row) for number, row in enumerate(rows, start=1) if number > seq and row.sent_at >= oldest]
    return answer(chatdata=[shown for number, row in kept[:limit] if (shown := _shown(world, number, row))])


def _shown(world: World, number: int, row: Chat) -> Json | None:
    customer = world.customers.get(row.customer_id)
    if customer is None or customer.external_userid is None:
        return None
    sender, hearer = customer.external_userid, row.userid
    if row.direction == "out":
        sender, hearer = hearer, sender
    msgid = f"{row.id}_external"
    message = {
        "msgid": msgid,
        "action": "send",
        "from": sender,
        "tolist": [hearer],
        "roomid": "",
        "msgtime": int(row.sent_at.timestamp() * 1000),
        "msgtype": row.form,
        row.form: {"content": row.text},
    }
    return {"seq": number, "msgid": msgid, "publickey_ver": 1, "msg": message}


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
