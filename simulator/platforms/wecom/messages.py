"""Messages to customers, which staff confirm, and to staff."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from simulator.entities import GroupMessage, Recipient
from simulator.platforms.wecom.calls import Call, ErrCode, Json, answer
from simulator.platforms.wecom.contacts import contacts_of, friendships
from simulator.world import World

RESULT_LIMIT, RESULT_DEFAULT = 1000, 500
LIST_LIMIT, LIST_DEFAULT = 100, 50
TEXT_LIMIT_BYTES = 4000
ATTACHMENT_LIMIT = 9
MONTH = timedelta(days=31)
DUPLICATE_CHECK_S = 1800
WELCOME_S = 20


def add_msg_template(call: Call) -> Json:
    """Proposes a message to customers; staff confirm it. Customers who are no friends come back in fail_list."""
    content, attachments = _content(call)
    if call.params.get("chat_type", "single") != "single":
        raise ErrCode(40058, "only chat_type single is simulated")
    wanted, sender = call.texts("external_userid"), call.params.get("sender")
    if not wanted and not sender:
        raise ErrCode(40058, "external_userid or sender is needed")
    if sender and not wanted:
        wanted = [contact.external_userid for contact in contacts_of(call, str(sender))]
    named = str(sender) if sender else None
    friends = {
        external_userid: found[0] for external_userid in wanted if (found := friendships(call, external_userid, named))
    }
    failed = [external_userid for external_userid in wanted if external_userid not in friends]
    if not friends:
        for external_userid in failed:
            call.record("message", {"external_userid": external_userid}, code=41048)
        raise ErrCode(41048)
    now = call.world.clock.now()
    number = call.world.next("group_message")
    confirms_at = now + timedelta(seconds=call.world.settings.staff_confirm_s)
    message = call.world.group_messages.put(
        GroupMessage(
            id="msgGC" + call.world.token("group_message", number)[:25],
            corp=call.corp.id,
            created_at=now,
            text=content,
            attachments=tuple(attachments),
            recipients=tuple(
                Recipient(external_userid=external_userid, userid=contact.userid, confirms_at=confirms_at)
                for external_userid, contact in friends.items()
            ),
        )
    )
    for external_userid in friends:
        call.record("message", {"msgid": message.id, "external_userid": external_userid})
    for external_userid in failed:
        call.record("message", {"msgid": message.id, "external_userid": external_userid}, code=84061)
    return answer(fail_list=failed, msgid=message.id)


def groupmsg_list_v2(call: Call) -> Json:
    """Messages created between start_time and end_time (Unix seconds, at most a month), newest first."""
    start, end = _instant(call, "start_time"), _instant(call, "end_time")
    if end < start or end - start > MONTH:
        raise ErrCode(40058, "the window must be forward and at most a month")
    rows = [
        message
        for message in call.world.group_messages
        if message.corp == call.corp.id and start <= message.created_at <= end
    ]
    rows.sort(key=lambda message: (message.created_at, message.id), reverse=True)
    offset = call.offset()
    page = rows[offset : offset + call.limit(LIST_LIMIT, LIST_DEFAULT)]
    return answer(
        next_cursor=call.cursor(offset + len(page), len(rows)),
        group_msg_list=[
            {
                "msgid": message.id,
                "create_time": str(int(message.created_at.timestamp())),
                "create_type": 0,
                "text": {"content": message.text},
                "attachments": list(message.attachments),
            }
            for message in page
        ],
    )


def groupmsg_task(call: Call) -> Json:
    """Which employees have confirmed a message. Status 0 not yet, 2 sent."""
    message = _message(call)
    now = call.world.clock.now()
    by_staff = {recipient.userid: recipient.confirms_at for recipient in message.recipients}
    tasks = [
        {"userid": userid, "status": 2, "send_time": int(at.timestamp())}
        if at <= now
        else {"userid": userid, "status": 0}
        for userid, at in by_staff.items()
    ]
    return answer(next_cursor="", task_list=tasks)


def groupmsg_send_result(call: Call) -> Json:
    """What became of a message for one employee's customers. Status 0 not sent, 1 sent, 2 no longer a friend."""
    message, userid = _message(call), call.text("userid")
    now = call.world.clock.now()
    mine = [recipient for recipient in message.recipients if recipient.userid == userid]
    offset = call.offset()
    page = mine[offset : offset + call.limit(RESULT_LIMIT, RESULT_DEFAULT)]
    shown: list[Json] = []
    for recipient in page:
        row: Json = {"external_userid": recipient.external_userid, "userid": userid, "status": 0}
        if not friendships(call, recipient.external_userid, userid):
            row["status"] = 2
        elif recipient.confirms_at <= now:
            row |= {"status": 1, "send_time": int(recipient.confirms_at.timestamp())}
        shown.append(row)
    return answer(next_cursor=call.cursor(offset + len(page), len(mine)), send_list=shown)


def message_send(call: Call) -> Json:
    """Tells staff something. With enable_duplicate_check an equal message within the interval is not sent again."""
    if call.params.get("agentid") != call.app.agent_id:
        raise ErrCode(40056)
    kind = call.text("msgtype")
    if not isinstance(call.params.get(kind), dict):
        raise ErrCode(40058, f"{kind} is needed")
    known = {staff.userid for staff in call.corp.staff}
    touser = str(call.params.get("touser", ""))
    wanted = sorted(known) if touser == "@all" else [userid for userid in touser.split("|") if userid]
    if not wanted:
        raise ErrCode(40058, "touser is needed")
    unknown = [userid for userid in wanted if userid not in known]
    if len(unknown) == len(wanted):
        call.record("staff_message", {"touser": touser}, code=40003)
        raise ErrCode(40003, "all users are invalid")
    body = json.dumps([wanted, kind, call.params[kind]], ensure_ascii=False, sort_keys=True)
    msgid = "msg" + call.world.token("staff_message", call.world.next("staff_message"))[:29]
    repeated = call.params.get("enable_duplicate_check") == 1 and _sent_before(call, body)
    for userid in wanted:
        if userid in known:
            subjects = {"userid": userid, "msgid": msgid, "digest": call.world.token(body)}
            call.world.ledger.record(
                "staff_message", "wecom", call.corp.id, request=call.params, subjects=subjects, effect=not repeated
            )
    return answer(invaliduser="|".join(unknown), msgid=msgid)


def send_welcome_msg(call: Call) -> Json:
    """Greets a new customer: once per code, within 20 s of the event."""
    code = call.text("welcome_code")
    _content(call)
    issued = _welcome_issued(call.world, code)
    if issued is None or call.world.clock.wall() - issued > timedelta(seconds=WELCOME_S):
        call.record("welcome_message", {"welcome_code": code}, code=41050)
        raise ErrCode(41050)
    if next(call.world.ledger.find(effect=True, kind="welcome_message", welcome_code=code), None) is not None:
        call.record("welcome_message", {"welcome_code": code}, code=41051)
        raise ErrCode(41051)
    call.record("welcome_message", {"welcome_code": code})
    return answer()


def welcome_code(world: World, issued: datetime, number: int) -> str:
    """The code of one new-customer event; it carries its time, so nothing need be remembered."""
    stamp = f"{int(issued.timestamp() * 1000):x}.{number:x}"
    return f"CALLBACK.{stamp}.{world.token('welcome', stamp)[:16]}"


def _welcome_issued(world: World, code: str) -> datetime | None:
    """When a code was given out; None if it never was."""
    mark, _, rest = code.partition(".")
    stamp, _, digest = rest.rpartition(".")
    if mark != "CALLBACK" or digest != world.token("welcome", stamp)[:16]:
        return None
    return datetime.fromtimestamp(int(stamp.partition(".")[0], 16) / 1000, UTC)


def _content(call: Call) -> tuple[str, list[Json]]:
    text, attachments = call.params.get("text") or {}, call.params.get("attachments") or []
    content = text.get("content", "") if isinstance(text, dict) else ""
    if not isinstance(attachments, list) or len(attachments) > ATTACHMENT_LIMIT:
        raise ErrCode(40058, f"at most {ATTACHMENT_LIMIT} attachments")
    if not isinstance(content, str) or len(content.encode()) > TEXT_LIMIT_BYTES or not (content or attachments):
        raise ErrCode(40058, "text or attachments is needed, the text at most 4000 bytes")
    return content, attachments


def _message(call: Call) -> GroupMessage:
    message = call.world.group_messages.get(call.text("msgid"))
    if message is None or message.corp != call.corp.id:
        raise ErrCode(40058, "invalid msgid")
    return message


def _instant(call: Call, name: str) -> datetime:
    value = call.params.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**33:
        raise ErrCode(40058, f"{name} is needed, in Unix seconds")
    return datetime.fromtimestamp(value, UTC)


def _sent_before(call: Call, body: str) -> bool:
    interval = call.params.get("duplicate_check_interval", DUPLICATE_CHECK_S)
    since = call.world.clock.wall() - timedelta(seconds=interval if isinstance(interval, int) else DUPLICATE_CHECK_S)
    found = call.world.ledger.find(
        effect=True, kind="staff_message", account=call.corp.id, digest=call.world.token(body)
    )
    return any(entry.at >= since for entry in found)
