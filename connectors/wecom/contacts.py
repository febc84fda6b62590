"""Reading a corp's contacts: one at a time, and all of them.

Callbacks carry ids only, and a read tells neither when something changed nor what did. So what a read saw is known by
what it says, and of two the later one holds.

Source: developer.work.weixin.qq.com, customer management: get_follow_user_list, batch/get_by_user (at most 100 members,
at most 100 contacts a page, by cursor), get [O].
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.listed_rows import listed_rows, row_payload
from connectors.lookups import KnownContact, LookedUp
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import mapping, optional_mapping, text, whole_number
from connectors.webhooks import Verified
from connectors.wecom.api import PLATFORM, WecomApi
from connectors.wecom.tags import CorpTags
from domain.events import rfc3339
from domain.ids import content_digest, short_digest
from domain.problems import CommunicationProblem, NotFoundProblem, Text, ValidationProblem
from domain.tags.sharing import Seen, TagName

CONTACT_READ = "contact.read"
CONTACT_LISTED = "contact.listed"
STREAMS = (Stream("contacts", timedelta(days=36_500), lists_everything=True),)

EVERY = timedelta(hours=1)
"""How often all contacts are read: 100,000 are a thousand calls, of the 150,000 an hour that the platform allows."""
_MEMBERS_AT_ONCE = 100
_PAGE = 100
_FOLLOWER_PAGES = 20
CORP_TAG = 1
_NOTHING = KnownContact()


class ContactBook:
    """The contacts of one corp. Made for a while of reading: who may have contacts, and the corp's tags, are asked for
    once."""

    def __init__(self, api: WecomApi, tags: CorpTags) -> None:
        self._api = api
        self._tags = tags
        self._members: list[str] | None = None
        self._names: Mapping[str, tuple[str, str]] | None = None

    async def read(self, external_userid: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
        """`external_contact` and every `follow_user` of one contact. Raises NotFoundProblem for one who is nobody's."""
        followed: list[Mapping[str, Any]] = []
        cursor = ""
        for _ in range(_FOLLOWER_PAGES):
            query = {"external_userid": external_userid, "cursor": cursor}
            answer = await self._api.get("externalcontact/get", query)
            rows = answer.get("follow_user")
            followed += [mapping(row, "follow_user") for row in (rows if isinstance(rows, list) else ())]
            cursor = str(answer.get("next_cursor") or "")
            if not cursor:
                break
        return mapping(answer.get("external_contact"), "external_contact"), followed

    async def look_up(self, external_userid: str, known: KnownContact = _NOTHING) -> LookedUp:
        """One contact as the inbox takes it, with the members who have them no more, and their tags."""
        began = self._api.now()
        try:
            person, followed = await self.read(external_userid)
        except NotFoundProblem:
            person, followed = {"external_userid": external_userid}, []
        left = set(known.members) - {text(row, "userid") for row in followed}
        record = _record(CONTACT_READ, began, person, followed, sorted(left), after=known.version)
        return LookedUp(record, {text(row, "userid"): _held(row) for row in followed})

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next contacts, member by member. All are read once in a while; between, nothing is to be had.

        See `connectors.pulling.Pullable`.
        """
        stream_named(STREAMS, stream)
        passed = cursor.get("passed_at")
        if isinstance(passed, str) and until - datetime.fromisoformat(passed) < EVERY:
            return PulledPage((), cursor, more=False, reached_at=datetime.fromisoformat(passed))
        began = self._api.now()
        start = str(cursor.get("pass") or rfc3339(began))
        since = datetime.fromisoformat(start)
        after, page = str(cursor.get("after") or ""), str(cursor.get("page") or "")
        members = [userid for userid in await self._followers() if userid > after]
        batch = members[:_MEMBERS_AT_ONCE]
        if not batch:
            return PulledPage((), {"passed_at": start}, more=False, reached_at=since, listed_since=since, is_last=True)
        try:
            rows, next_page = await self._page(batch, page)
        except ValidationProblem:
            # Members came or went, and the platform does not know the cursor any more: this batch from its beginning.
            if not page:
                raise
            rows, next_page = await self._page(batch, "")
        records = [await self._listed(row, began) for row in rows]
        place = {"pass": start, "after": after, "page": next_page} if next_page else {"pass": start, "after": batch[-1]}
        if next_page and next_page == page:
            raise CommunicationProblem(
                Text("企业微信的客户列表停在同一页", "WeCom's list of contacts stays at one page"),
                platform=PLATFORM,
                retryable=True,
            )
        return PulledPage(records, place, more=True, listed_since=since)

    async def _followers(self) -> list[str]:
        if self._members is None:
            answer = await self._api.get("externalcontact/get_follow_user_list", {})
            self._members = sorted(str(userid) for userid in answer.get("follow_user") or ())
        return self._members

    async def _page(self, members: Sequence[str], page: str) -> tuple[Sequence[Any], str]:
        wanted = {"userid_list": members, "cursor": page, "limit": _PAGE}
        try:
            answer = await self._api.read("externalcontact/batch/get_by_user", wanted)
        except NotFoundProblem:
            return (), ""
        return listed_rows(answer, "external_contact_list", PLATFORM), str(answer.get("next_cursor") or "")

    async def _listed(self, row: Any, began: datetime) -> Verified:
        """A row of the list, which names tags by their ids alone, in the words of a single read."""
        known = optional_mapping(row)
        person, follow = known.get("external_contact"), known.get("follow_info")
        if not isinstance(person, Mapping) or not isinstance(follow, Mapping):
            # As it came, to be put aside by whoever reads it: it is no reason to leave out its neighbours.
            payload = row_payload(row)
            return Verified(CONTACT_LISTED, payload, f"{CONTACT_LISTED}/{content_digest(payload)}", began)
        followed = dict(follow)
        held = followed.pop("tag_id", None)
        numbers = [str(number) for number in (held if isinstance(held, list) else ())]
        names = await self._tag_names() if numbers else {}
        followed["tags"] = [
            {"tag_id": number, "group_name": names[number][0], "tag_name": names[number][1], "type": 1}
            for number in numbers
            if number in names
        ]
        return _record(CONTACT_LISTED, began, person, [followed], ())

    async def _tag_names(self) -> Mapping[str, tuple[str, str]]:
        if self._names is None:
            self._names = await self._tags.names()
        return self._names


def _held(row: Mapping[str, Any]) -> Seen:
    """The corp's own tags at a member's contact; those of rule groups cannot be set by everybody and are left alone."""
    tags = row.get("tags")
    shown = [mapping(tag, "tags") for tag in (tags if isinstance(tags, list) else ())]
    mine = [tag for tag in shown if whole_number(tag, "type", 1) == CORP_TAG]
    names = {text(tag, "tag_id"): TagName(str(tag.get("group_name") or ""), text(tag, "tag_name")) for tag in mine}
    return Seen(whole_number(row, "createtime", 0), names)


def _record(
    kind: str,
    began: datetime,
    person: Mapping[str, Any],
    followed: Sequence[Mapping[str, Any]],
    left: Sequence[str],
    after: int = 0,
) -> Verified:
    began = began.astimezone(UTC)
    said = {"external_contact": person, "follow_user": list(followed), "left": list(left)}
    payload = row_payload({**said, "after": after})
    number = optional_mapping(person).get("external_userid")
    # Whom it names is said by the payload, which an erasure empties, not by the key, which stays.
    key = f"{kind}/{content_digest(str(number))}/{rfc3339(began)}/{short_digest(row_payload(said, sort_keys=True))}"
    return Verified(kind, payload, key[:256], began)
