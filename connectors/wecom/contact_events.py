"""What a contact that was read becomes: an event for each member who has them, and for each who has not any more.

Source: developer.work.weixin.qq.com, fields of externalcontact/get [O].
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.payloads import parse_json_object
from connectors.reading import anomaly, mapping, not_from_the_future, optional_text, text, unix_time, whole_number
from connectors.webhooks import Verified
from connectors.wecom.contacts import CONTACT_LISTED, CONTACT_READ, CORP_TAG
from domain.canonical import ContactData
from domain.events import Event
from domain.ids import canonical_json, content_digest, derived_id
from domain.problems import Text

READ_KINDS = frozenset({CONTACT_READ, CONTACT_LISTED})
MOST_PHONES = 5
"""Numbers that a member wrote down beside a contact; the platform takes up to five [S]."""
CORP_TAGS = frozenset({CORP_TAG, 3})
"""Types of tags that are the corp's: its own, and those of its rule groups; 2 is a member's private one."""
_WAYS: Mapping[int, str] = {
    1: "scan",
    2: "phone_search",
    3: "card",
    4: "group",
    5: "phone_book",
    6: "wechat_contact",
    9: "mail_search",
    10: "video_channel",
    16: "link",
    201: "shared",
    202: "assigned",
}


def read_events(record: Verified, account: Account) -> list[Event]:
    """The events of a contact that was read or listed. Raises ValidationProblem."""
    said = parse_json_object(record.payload)
    person = mapping(said.get("external_contact"), "external_contact")
    read_at = record.received_at
    rows, left = said.get("follow_user"), said.get("left")
    if not isinstance(rows, list) or not isinstance(left, list):
        raise anomaly("follow_user", Text("应为列表", "must be a list"))
    version = max(int(read_at.timestamp() * 1000), whole_number(said, "after", 0) + 1)
    origin = {"platform": account.platform, "account": account.slug, "version": version}
    events = [_followed(person, mapping(row, "follow_user"), origin, record, read_at, account) for row in rows]
    return events + [_left(person, str(userid), origin, read_at, account) for userid in left]


def _followed(
    person: Mapping[str, Any],
    row: Mapping[str, Any],
    origin: dict[str, Any],
    record: Verified,
    read_at: datetime,
    account: Account,
) -> Event:
    added_at = not_from_the_future(unix_time(row, "createtime"), record.received_at, "createtime")
    tags = [tag for tag in _rows(row, "tags") if whole_number(tag, "type", 1) in CORP_TAGS]
    phones = [str(number) for number in row.get("remark_mobiles") or () if number][:MOST_PHONES]
    data = ContactData(
        **origin,
        occurred_at=added_at,
        external_userid=text(person, "external_userid"),
        userid=text(row, "userid"),
        unionid=optional_text(person, "unionid", limit=64),
        name=optional_text(person, "name"),
        phones=tuple(phones),
        tag_ids=tuple(sorted(number for tag in tags if (number := optional_text(tag, "tag_id", limit=64)))),
        tags=tuple(sorted({text(tag, "tag_name") for tag in tags})),
        state=optional_text(row, "state"),
        add_way=_WAYS.get(whole_number(row, "add_way", 0)),
    )
    if record.kind == CONTACT_LISTED:
        # As of when they became a contact: a corp's past sets nothing in motion.
        return _event("contact.listed", data, account, added_at or read_at)
    return _event("contact.read", data, account, record.sent_at or read_at)


def _left(person: Mapping[str, Any], userid: str, origin: dict[str, Any], read_at: datetime, account: Account) -> Event:
    data = ContactData(**origin, occurred_at=read_at, external_userid=text(person, "external_userid"), userid=userid)
    return _event("contact.gone", data, account, read_at)


def _event(name: str, data: ContactData, account: Account, at: datetime | None) -> Event:
    """The event is known by what it says: what is read again and again is told once."""
    subject = f"customer:{account.platform}/{data.external_userid}"
    unsaid = {"version"} if name != "contact.gone" else set()
    said = content_digest(canonical_json(data.model_dump(mode="json", exclude=unsaid)))
    return Event(
        id=derived_id(account.source, name, subject, said),
        source=account.source,
        type=f"tandem.{name}",
        subject=subject,
        time=at,
        datacontenttype="application/json",
        data=data.model_dump(mode="json"),
    )


def _rows(source: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    rows = source.get(field)
    return [mapping(row, field) for row in rows] if isinstance(rows, list) else []
