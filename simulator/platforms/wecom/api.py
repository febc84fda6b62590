"""What WeCom offers under /cgi-bin, and what each call does.

Source: developer.work.weixin.qq.com, as read in its pages and in public SDKs [O]/[S].
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.entities import App, Contact, Corp, Customer, GroupMessage, Recipient, Tag, TagGroup
from simulator.world import World

Json = dict[str, Any]

UNVERIFIED = frozenset(
    {
        "errcode 84061 for a unionid that no contact has",
        "errcode 41048 when none of the customers can be reached",
    }
)
"""[U]: answers whose code no document at hand confirms."""

USERS_LIMIT = 100
BATCH_LIMIT, BATCH_DEFAULT = 100, 50
RESULT_LIMIT, RESULT_DEFAULT = 1000, 500
LIST_LIMIT, LIST_DEFAULT = 100, 50
TEXT_LIMIT_BYTES = 4000
ATTACHMENT_LIMIT = 9
MONTH = timedelta(days=31)
DUPLICATE_CHECK_S = 1800

MESSAGES = {
    0: "ok",
    -1: "system busy",
    40001: "invalid credential",
    40003: "invalid UserID",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40056: "invalid agentid",
    40058: "invalid Request Parameter",
    40068: "invalid tagid",
    40071: "invalid tag name, duplicate",
    40096: "invalid external userid",
    41001: "access_token missing",
    41048: "no customer can be sent to",
    41050: "invalid welcome code",
    41051: "welcome message already sent",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    45009: "api freq out of limit",
    45033: "api concurrent out of limit",
    47001: "data format error",
    48002: "api forbidden",
    84061: "not external contact",
}


class ErrCode(Exception):
    """A refusal: HTTP 200 with an errcode."""

    def __init__(self, code: int, hint: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.hint = hint


def answer(code: int = 0, hint: str = "", **more: Any) -> Json:
    """An answer's body; `errmsg` carries the code's words and a hint."""
    words = MESSAGES.get(code, "unknown")
    return {"errcode": code, "errmsg": f"{words}, {hint}" if hint else words, **more}


@dataclass(frozen=True)
class Call:
    """One call: the corp and app of its token, the query and the JSON body."""

    world: World
    corp: Corp
    app: App
    params: Json

    def text(self, name: str) -> str:
        """A non-empty string parameter. ErrCode 40058 otherwise."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            raise ErrCode(40058, f"{name} is needed")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of strings, empty when absent. ErrCode 40058 for anything else."""
        value = self.params.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ErrCode(40058, f"{name} must be a list of strings")
        return value

    def limit(self, most: int, default: int) -> int:
        """The page size; the default when it is absent or too large, as documented."""
        value = self.params.get("limit")
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most else default

    def offset(self) -> int:
        """Where the cursor points. ErrCode 40058 for a cursor that was not given out."""
        cursor = self.params.get("cursor") or ""
        if cursor == "":
            return 0
        prefix, _, number = str(cursor).rpartition(".")
        if prefix != self._cursor_mark() or not number.isdigit():
            raise ErrCode(40058, "invalid cursor")
        return int(number)

    def cursor(self, offset: int, total: int) -> str:
        """The next page's cursor, "" at the end."""
        return f"{self._cursor_mark()}.{offset}" if offset < total else ""

    def record(self, kind: str, subjects: dict[str, str], code: int = 0) -> None:
        """Writes an effect, or with a `code` an attempt, into the ledger."""
        self.world.ledger.record(kind, "wecom", self.corp.id, request=self.params, subjects=subjects, code=code)

    def _cursor_mark(self) -> str:
        return self.world.token("cursor", self.corp.id)[:12]


Handler = Callable[[Call], Json]


def contact_get(call: Call) -> Json:
    """One customer with the staff who follow them. 84061 when no one does."""
    external_userid = call.text("external_userid")
    contact, customer = _friend(call, external_userid)
    return answer(external_contact=_person(customer), follow_user=[_follow(call.world, contact)], next_cursor="")


def contact_list(call: Call) -> Json:
    """The external_userids of one employee's customers. 84061 when there are none."""
    userid = call.text("userid")
    if userid not in {staff.userid for staff in call.corp.staff}:
        raise ErrCode(40003)
    found = [contact.id for contact in _contacts_of(call, userid)]
    if not found:
        raise ErrCode(84061)
    return answer(external_userid=found)


def batch_get_by_user(call: Call) -> Json:
    """Customers of up to 100 employees, up to 100 a page (default 50), by cursor."""
    userids = call.texts("userid_list")
    if not userids or len(userids) > USERS_LIMIT:
        raise ErrCode(40058, f"userid_list needs 1 to {USERS_LIMIT} userids")
    contacts = [contact for userid in userids for contact in _contacts_of(call, userid)]
    start = call.offset()
    page = contacts[start : start + call.limit(BATCH_LIMIT, BATCH_DEFAULT)]
    shown = []
    for contact in page:
        customer = call.world.customers.get(contact.customer_id)
        if customer is not None:
            info = _follow(call.world, contact)
            info["tag_id"] = [tag["tag_id"] for tag in info.pop("tags")]
            shown.append({"external_contact": _person(customer), "follow_info": info})
    return answer(external_contact_list=shown, next_cursor=call.cursor(start + len(page), len(contacts)))


def unionid_to_external_userid(call: Call) -> Json:
    """The external_userid of a WeChat identity; needs unionid and openid of the same person."""
    unionid, openid = call.text("unionid"), call.text("openid")
    for customer in call.world.customers:
        if customer.unionid == unionid and customer.openid == openid and customer.external_userid:
            contact = call.world.contacts.get(customer.external_userid)
            if contact is not None and contact.corp == call.corp.id and not contact.deleted:
                return answer(external_userid=contact.id)
    raise ErrCode(84061)


def follow_user_list(call: Call) -> Json:
    """The employees who may have customers."""
    return answer(follow_user=[staff.userid for staff in call.corp.staff])


def add_msg_template(call: Call) -> Json:
    """Proposes a message to customers; staff confirm it. Customers who are no friends come back in fail_list."""
    content, attachments = _content(call)
    if call.params.get("chat_type", "single") != "single":
        raise ErrCode(40058, "only chat_type single is simulated")
    wanted, sender = call.texts("external_userid"), call.params.get("sender")
    if not wanted and not sender:
        raise ErrCode(40058, "external_userid or sender is needed")
    if sender and not wanted:
        wanted = [contact.id for contact in _contacts_of(call, str(sender))]
    friends = {
        contact.id: contact
        for contact in (call.world.contacts.get(external_userid) for external_userid in wanted)
        if contact and contact.corp == call.corp.id and not contact.deleted and sender in (None, "", contact.userid)
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
            attachments=attachments,
            recipients=tuple(
                Recipient(external_userid=contact.id, userid=contact.userid, confirms_at=confirms_at)
                for contact in friends.values()
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
                "attachments": message.attachments,
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
        contact = call.world.contacts.get(recipient.external_userid)
        if contact is None or contact.deleted:
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
    issued = call.world.counters.get(f"welcome:{code}")
    if issued is None or call.world.clock.wall().timestamp() - issued.value > WELCOME_S:
        call.record("welcome_message", {"welcome_code": code}, code=41050)
        raise ErrCode(41050)
    if next(call.world.ledger.find(effect=True, kind="welcome_message", welcome_code=code), None) is not None:
        call.record("welcome_message", {"welcome_code": code}, code=41051)
        raise ErrCode(41051)
    call.record("welcome_message", {"welcome_code": code})
    return answer()


def corp_tag_list(call: Call) -> Json:
    """The corp's tags by group; `tag_id` and `group_id` narrow it down."""
    tag_ids, group_ids = set(call.texts("tag_id")), set(call.texts("group_id"))
    groups = []
    for group in _groups(call):
        tags = [tag for tag in group.tags if tag.id in tag_ids] if tag_ids else list(group.tags)
        if (not tag_ids or tags) and (tag_ids or not group_ids or group.id in group_ids):
            groups.append(_group(group, tags))
    return answer(tag_group=groups)


def add_corp_tag(call: Call) -> Json:
    """Adds tags to a group, or a new group with tags. 40071 when the group has a tag of that name."""
    wanted = call.params.get("tag")
    if not isinstance(wanted, list) or not wanted:
        raise ErrCode(40058, "tag is needed")
    names = [str(tag.get("name", "")) for tag in wanted if isinstance(tag, dict)]
    if not all(0 < len(name) <= 30 for name in names) or len(names) != len(wanted):
        raise ErrCode(40058, "a tag name has 1 to 30 characters")
    group = _group_for_new_tags(call)
    taken = {tag.name for tag in group.tags}
    if taken & set(names) or len(set(names)) < len(names):
        for name in names:
            call.record("tag_created", {"group_id": group.id, "name": name}, code=40071)
        raise ErrCode(40071)
    now = call.world.clock.now()
    fresh = [
        Tag(id="et" + call.world.token("tag", call.world.next("tag"))[:30], name=name, created_at=now) for name in names
    ]
    group = call.world.tag_groups.put(group.model_copy(update={"tags": (*group.tags, *fresh)}))
    for tag in fresh:
        call.record("tag_created", {"group_id": group.id, "tag_id": tag.id, "name": tag.name})
    return answer(tag_group=_group(group, fresh))


def mark_tag(call: Call) -> Json:
    """Sets and takes corp tags of one employee's customer; only what changes is an effect."""
    userid, external_userid = call.text("userid"), call.text("external_userid")
    added, removed = call.texts("add_tag"), call.texts("remove_tag")
    if not added and not removed:
        raise ErrCode(40058, "add_tag or remove_tag is needed")
    try:
        contact, _customer = _friend(call, external_userid)
        if contact.userid != userid:
            raise ErrCode(84061)
        if not {*added, *removed} <= {tag.id for group in _groups(call) for tag in group.tags}:
            raise ErrCode(40068)
    except ErrCode as refusal:
        for tag_id in (*added, *removed):
            call.record("tag_marked", {"external_userid": external_userid, "tag_id": tag_id}, code=refusal.code)
        raise
    before = set(contact.tag_ids)
    after = [tag_id for tag_id in contact.tag_ids if tag_id not in removed]
    after += [tag_id for tag_id in dict.fromkeys(added) if tag_id not in after]
    call.world.contacts.change(contact, tag_ids=tuple(after))
    for kind, tag_ids, changed in (
        ("tag_marked", added, set(after) - before),
        ("tag_removed", removed, before - set(after)),
    ):
        for tag_id in tag_ids:
            call.world.ledger.record(
                kind,
                "wecom",
                call.corp.id,
                request=call.params,
                subjects={"external_userid": external_userid, "userid": userid, "tag_id": tag_id},
                effect=tag_id in changed,
            )
    return answer()


WELCOME_S = 20

APIS: dict[str, tuple[str, Handler]] = {
    "externalcontact/get": ("GET", contact_get),
    "externalcontact/list": ("GET", contact_list),
    "externalcontact/get_follow_user_list": ("GET", follow_user_list),
    "externalcontact/batch/get_by_user": ("POST", batch_get_by_user),
    "externalcontact/unionid_to_external_userid": ("POST", unionid_to_external_userid),
    "idconvert/unionid_to_external_userid": ("POST", unionid_to_external_userid),
    "externalcontact/add_msg_template": ("POST", add_msg_template),
    "externalcontact/get_groupmsg_list_v2": ("POST", groupmsg_list_v2),
    "externalcontact/get_groupmsg_task": ("POST", groupmsg_task),
    "externalcontact/get_groupmsg_send_result": ("POST", groupmsg_send_result),
    "externalcontact/send_welcome_msg": ("POST", send_welcome_msg),
    "externalcontact/get_corp_tag_list": ("POST", corp_tag_list),
    "externalcontact/add_corp_tag": ("POST", add_corp_tag),
    "externalcontact/mark_tag": ("POST", mark_tag),
    "message/send": ("POST", message_send),
}


def _friend(call: Call, external_userid: str) -> tuple[Contact, Customer]:
    contact = call.world.contacts.get(external_userid)
    if contact is None:
        raise ErrCode(40096)
    customer = call.world.customers.get(contact.customer_id)
    if contact.corp != call.corp.id or contact.deleted or customer is None:
        raise ErrCode(84061)
    return contact, customer


def _contacts_of(call: Call, userid: str) -> list[Contact]:
    return [
        contact
        for contact in call.world.contacts.having(userid)
        if contact.corp == call.corp.id and not contact.deleted
    ]


def _person(customer: Customer) -> Json:
    return {
        "external_userid": customer.external_userid,
        "name": customer.name,
        "avatar": "",
        "type": 1,
        "gender": customer.gender,
        "unionid": customer.unionid,
    }


def _follow(world: World, contact: Contact) -> Json:
    tags = {
        tag.id: (group.name, tag.name) for group in world.tag_groups if group.corp == contact.corp for tag in group.tags
    }
    customer = world.customers.get(contact.customer_id)
    return {
        "userid": contact.userid,
        "remark": customer.name if customer else "",
        "description": "",
        "createtime": int(contact.created_at.timestamp()),
        "tags": [
            {"group_name": tags[tag_id][0], "tag_name": tags[tag_id][1], "tag_id": tag_id, "type": 1}
            for tag_id in contact.tag_ids
            if tag_id in tags
        ],
        "remark_mobiles": [],
        "state": contact.state,
        "oper_userid": contact.userid,
        "add_way": 1,
    }


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


def _groups(call: Call) -> list[TagGroup]:
    return [group for group in call.world.tag_groups if group.corp == call.corp.id]


def _group_for_new_tags(call: Call) -> TagGroup:
    group_id, name = call.params.get("group_id"), call.params.get("group_name")
    for group in _groups(call):
        if group.id == group_id or (not group_id and group.name == name):
            return group
    if group_id or not isinstance(name, str) or not name:
        raise ErrCode(40058, "group_id of a group, or group_name, is needed")
    return TagGroup(
        id="etg" + call.world.token("group", call.world.next("tag_group"))[:29],
        corp=call.corp.id,
        name=name,
        created_at=call.world.clock.now(),
    )


def _group(group: TagGroup, tags: list[Tag]) -> Json:
    return {
        "group_id": group.id,
        "group_name": group.name,
        "create_time": int(group.created_at.timestamp()),
        "order": 0,
        "deleted": False,
        "tag": [
            {
                "id": tag.id,
                "name": tag.name,
                "create_time": int(tag.created_at.timestamp()),
                "order": 0,
                "deleted": False,
            }
            for tag in tags
        ],
    }
