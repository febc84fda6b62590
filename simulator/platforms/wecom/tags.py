"""The corp's tags and whom they are on."""

from __future__ import annotations

from simulator.entities import Contact, Tag, TagGroup
from simulator.platforms.wecom.calls import Call, ErrCode, Json, answer
from simulator.platforms.wecom.contacts import friend, friendships

NAME_LIMIT = 30


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
    if not all(0 < len(name) <= NAME_LIMIT for name in names) or len(names) != len(wanted):
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
    group = call.world.tag_groups.put(group.replaced(tags=(*group.tags, *fresh)))
    for tag in fresh:
        call.record("tag_created", {"group_id": group.id, "tag_id": tag.id, "name": tag.name})
    return answer(tag_group=_group(group, fresh))


def mark_tag(call: Call) -> Json:
    """Sets and takes corp tags of one employee's customer; only what changes is an effect.

    40003 for an employee who left the corp, 60011 for one outside of the applications' scope.
    """
    userid, external_userid = call.text("userid"), call.text("external_userid")
    added, removed = call.texts("add_tag"), call.texts("remove_tag")
    if not added and not removed:
        raise ErrCode(40058, "add_tag or remove_tag is needed")
    try:
        contact = _markable(call, userid, external_userid, {*added, *removed})
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


def _markable(call: Call, userid: str, external_userid: str, tag_ids: set[str]) -> Contact:
    friend(call, external_userid)
    mine = friendships(call, external_userid, userid)
    if not mine:
        raise ErrCode(84061)
    member = next((staff for staff in call.corp.staff if staff.userid == userid), None)
    if member is None:
        raise ErrCode(40003)
    if not member.in_scope:
        raise ErrCode(60011)
    if not tag_ids <= {tag.id for group in _groups(call) for tag in group.tags}:
        raise ErrCode(40068)
    return mine[0]


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
