"""Customers and the staff who follow them."""

from __future__ import annotations

from simulator.entities import Contact, Customer
from simulator.platforms.wecom.calls import Call, ErrCode, Json, answer
from simulator.world import World

USERS_LIMIT = 100
BATCH_LIMIT, BATCH_DEFAULT = 100, 50


def contact_get(call: Call) -> Json:
    """One customer with the staff who follow them. 84061 when no one does."""
    external_userid = call.text("external_userid")
    contacts, customer = friend(call, external_userid)
    followed = [_follow(call.world, contact) for contact in contacts]
    return answer(external_contact=_person(customer), follow_user=followed, next_cursor="")


def contact_list(call: Call) -> Json:
    """The external_userids of one employee's customers. 84061 when there are none."""
    userid = call.text("userid")
    if userid not in {staff.userid for staff in call.corp.staff}:
        raise ErrCode(40003)
    found = [contact.external_userid for contact in contacts_of(call, userid)]
    if not found:
        raise ErrCode(84061)
    return answer(external_userid=found)


def batch_get_by_user(call: Call) -> Json:
    """Customers of up to 100 employees, up to 100 a page (default 50), by cursor."""
    userids = call.texts("userid_list")
    if not userids or len(userids) > USERS_LIMIT:
        raise ErrCode(40058, f"userid_list needs 1 to {USERS_LIMIT} userids")
    contacts = [contact for userid in userids for contact in contacts_of(call, userid)]
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
    for customer in call.world.customers.having(unionid=unionid):
        apps = ("youzan", *(shop.id for shop in call.world.shops))
        number = customer.external_userid
        is_them = number and openid in (call.world.openid(customer, app) for app in apps)
        if number and is_them and friendships(call, number):
            return answer(external_userid=number)
    raise ErrCode(84061)


def follow_user_list(call: Call) -> Json:
    """The employees who may have customers."""
    return answer(follow_user=[staff.userid for staff in call.corp.staff])


def friend(call: Call, external_userid: str) -> tuple[list[Contact], Customer]:
    """The friendships and the person. ErrCode 40096 for an id never given out, 84061 for no friend."""
    if not call.world.contacts.having(external_userid=external_userid):
        raise ErrCode(40096)
    contacts = friendships(call, external_userid)
    customer = call.world.customers.get(contacts[0].customer_id) if contacts else None
    if customer is None:
        raise ErrCode(84061)
    return contacts, customer


def friendships(call: Call, external_userid: str, userid: str | None = None) -> list[Contact]:
    """A customer's friendships that stand, those with one employee when one is named."""
    return [
        contact
        for contact in call.world.contacts.having(external_userid=external_userid)
        if contact.corp == call.corp.id and not contact.deleted and userid in (None, "", contact.userid)
    ]


def contacts_of(call: Call, userid: str) -> list[Contact]:
    """One employee's customers."""
    return [
        contact
        for contact in call.world.contacts.having(userid=userid)
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
        "remark_mobiles": [contact.remark_mobile] if contact.remark_mobile else [],
        "state": contact.state,
        "oper_userid": contact.userid,
        "add_way": 1,
    }
