"""Customers and the employees of the corp who have them as friends: made, ended, tagged and noted by people.

What an employee does in their client is told to whoever pushes it; what an API does is not. LookupError for a person,
employee, friendship or tag that the world does not know.
"""

from __future__ import annotations

from simulator.entities import Contact, Corp, Tag, TagGroup
from simulator.happenings import What
from simulator.interactions import person
from simulator.world import World


def befriend(world: World, customer_id: str, state: str = "", userid: str = "") -> Contact:
    """A customer becomes, once more perhaps, the friend of an employee, by the channel code `state`.

    userid: the employee; the one whose friend they are or were, or the first of the corp, when left out. Whoever comes
    back begins anew: without tags, and since now. Whoever still is one was away for a moment that nobody told of.
    """
    customer = person(world, customer_id)
    corp = next(iter(world.corps))
    if userid and userid not in {staff.userid for staff in corp.staff}:
        raise LookupError(f"no employee {userid!r}")
    if customer.external_userid is None:
        external_userid = "wm" + world.token("external", customer_id)[:30]
        customer = world.customers.change(customer, external_userid=external_userid)
    external_userid = str(customer.external_userid)
    known = world.contacts.having(external_userid=external_userid)
    row = next((each for each in known if userid in ("", each.userid)), None)
    now = world.clock.now()
    if row is None:
        row = world.contacts.put(
            Contact(
                id=f"{external_userid}/{userid}" if known else external_userid,
                corp=corp.id,
                customer_id=customer_id,
                userid=userid or corp.staff[0].userid,
                created_at=now,
                state=state,
            )
        )
    elif row.deleted:
        row = world.contacts.change(row, deleted=False, state=state, created_at=now, tag_ids=(), remark_mobile="")
    else:
        row = world.contacts.change(row, state=state, created_at=now)
    world.tell(What.CONTACT_ADDED, row.corp, row)
    return row


def unfriend(world: World, customer_id: str, userid: str = "", by: str = "customer") -> Contact:
    """A friendship ends, by the `customer` or by the `staff`."""
    row = friendship(world, customer_id, userid)
    row = world.contacts.change(row, deleted=True)
    world.tell(What.CONTACT_REMOVED if by == "customer" else What.CONTACT_DROPPED, row.corp, row)
    return row


def note(world: World, customer_id: str, mobile: str, userid: str = "") -> Contact:
    """An employee writes down a customer's number."""
    row = world.contacts.change(friendship(world, customer_id, userid), remark_mobile=mobile)
    world.tell(What.CONTACT_EDITED, row.corp, row)
    return row


def tag(world: World, customer_id: str, name: str, group: str, userid: str = "", *, on: bool = True) -> Contact:
    """An employee sets a corp tag, made when it is missing, or takes it away."""
    row = friendship(world, customer_id, userid)
    corp = world.corps.get(row.corp)
    if corp is None:
        raise LookupError(f"no corp {row.corp!r}")
    number = _corp_tag(world, corp, group, name).id
    without = tuple(each for each in row.tag_ids if each != number)
    row = world.contacts.change(row, tag_ids=(*without, number) if on else without)
    world.tell(What.CONTACT_EDITED, row.corp, row)
    return row


def drop_tag(world: World, name: str, group: str) -> Tag:
    """An administrator deletes a corp tag: nobody carries it any more."""
    for row in list(world.tag_groups):
        for found in row.tags:
            if (row.name, found.name) == (group, name):
                left = tuple(each for each in row.tags if each.id != found.id)
                world.tag_groups.change(row, tags=left)
                for contact in list(world.contacts):
                    if found.id in contact.tag_ids:
                        kept = tuple(each for each in contact.tag_ids if each != found.id)
                        world.contacts.change(contact, tag_ids=kept)
                world.tell(What.CORP_TAG_REMOVED, row.corp, row.replaced(tags=(found,)))
                return found
    raise LookupError(f"no corp tag {group}/{name}")


def friendship(world: World, customer_id: str, userid: str = "") -> Contact:
    """The friendship with an employee, or with any, that stands."""
    external_userid = person(world, customer_id).external_userid or ""
    for row in world.contacts.having(external_userid=external_userid):
        if not row.deleted and userid in ("", row.userid):
            return row
    raise LookupError(f"customer {customer_id!r} is no friend of {userid or 'anybody'}")


def _corp_tag(world: World, corp: Corp, group: str, name: str) -> Tag:
    rows = [row for row in world.tag_groups if (row.corp, row.name) == (corp.id, group)]
    for row in rows:
        for found in row.tags:
            if found.name == name:
                return found
    now = world.clock.now()
    made = Tag(id="et" + world.token("tag", world.next("tag"))[:30], name=name, created_at=now)
    row = (
        rows[0]
        if rows
        else TagGroup(
            id="etg" + world.token("group", world.next("tag_group"))[:29], corp=corp.id, name=group, created_at=now
        )
    )
    world.tag_groups.put(row.replaced(tags=(*row.tags, made)))
    return made
