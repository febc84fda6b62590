"""What Tandem does in one WeCom corp: the implementation of `domain.catalog.wecom`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from connectors.accounts import Account
from connectors.errors import asked_first, still_unknown, wrong_setting
from connectors.http import Link
from connectors.lookups import KnownContact, LookedUp, Marked
from connectors.pulling import Cursor, PulledPage, stream_named
from connectors.reading import optional_text, text, whole_number
from connectors.wecom.api import PLATFORM, WecomApi
from connectors.wecom.archive import CHATS, ChatArchive
from connectors.wecom.codes import NOBODY_REACHABLE
from connectors.wecom.contacts import STREAMS, ContactBook
from connectors.wecom.marks import marked
from connectors.wecom.sent_messages import AT_ONCE, SETTLE_S, SentMessages
from connectors.wecom.sent_minutes import SentMinutes
from connectors.wecom.tags import CorpTags
from domain.calls import Attempted
from domain.canonical import KeyKind
from domain.catalog.wecom import (
    AddTagOutput,
    CustomerArguments,
    CustomerFollower,
    CustomerTag,
    FindCustomerArguments,
    FindCustomerOutput,
    GetCustomerOutput,
    MessageLink,
    NotifyStaffArguments,
    NotifyStaffOutput,
    RemoveTagOutput,
    SendMessageArguments,
    SendMessageOutput,
    TagArguments,
)
from domain.problems import NotFoundProblem, ProblemError, Text
from domain.tags.sharing import Change

_DUPLICATE_CHECK_S = 14_400
_GENDERS: Mapping[int, Literal["male", "female"]] = {1: "male", 2: "female"}


class WecomCorp:
    """One corp. Methods raise problems as `connectors.errors` describes them."""

    streams = (*STREAMS, CHATS)
    looks_up: KeyKind = "external_userid"

    def __init__(self, account: Account, link: Link) -> None:
        self.api = WecomApi(account, link)
        self._tags = CorpTags(self.api)
        corp = self.api.settings.corp_id
        turns = link.slots.of(f"{PLATFORM}/{corp}/sent", AT_ONCE)
        # Another account of the corp may see other messages.
        minutes = link.kept.of(SentMinutes, f"{PLATFORM}/{account.slug}/{corp}/sent")
        self._sent = SentMessages(self.api, turns, minutes)
        self.contacts = ContactBook(self.api, self._tags)
        self._archive = ChatArchive(account, link)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """A page of contacts or chats; see `connectors.pulling`."""
        if stream_named(self.streams, stream) is CHATS:
            return await self._archive.pull(cursor)
        return await self.contacts.pull(stream, cursor, until)

    async def look_up(self, value: str, known: KnownContact) -> LookedUp:
        """A contact with everybody who has them; see `connectors.lookups`."""
        return await self.contacts.look_up(value, known)

    async def tag_numbers(self) -> frozenset[str]:
        """See `connectors.lookups.SharesTags`."""
        return frozenset(await self._tags.names())

    async def change_tags(self, value: str, changes: Mapping[str, Change]) -> Marked:
        """See `connectors.lookups.SharesTags`."""
        return await self._tags.change(value, changes)

    async def find_customer(self, request: FindCustomerArguments) -> FindCustomerOutput:
        """The contact behind a WeChat identity; not found when an identity is unknown or they are no contact."""
        if not request.unionid or not request.openid:
            return FindCustomerOutput(found=False)
        identity = {"unionid": request.unionid, "openid": request.openid}
        try:
            answer = await self.api.read("externalcontact/unionid_to_external_userid", identity)
        except NotFoundProblem:
            return FindCustomerOutput(found=False)
        external_userid = optional_text(answer, "external_userid", limit=64)
        return FindCustomerOutput(found=external_userid is not None, external_userid=external_userid)

    async def get_customer(self, request: CustomerArguments) -> GetCustomerOutput:
        """The customer with everybody who has them as a contact."""
        person, rows = await self.contacts.read(request.external_userid)
        followers = [_follower(row) for row in rows]
        return GetCustomerOutput(
            external_userid=text(person, "external_userid"),
            name=optional_text(person, "name") or "",
            kind="wecom" if whole_number(person, "type", 1) == 2 else "wechat",
            gender=_GENDERS.get(whole_number(person, "gender", 0), "unknown"),
            unionid=optional_text(person, "unionid", limit=64),
            followers=tuple(followers),
            tags=tuple(dict.fromkeys(tag.name for follower in followers for tag in follower.tags)),
        )

    async def sent_message(
        self, request: SendMessageArguments, *, key: str, attempted: Attempted
    ) -> SendMessageOutput | None:
        """What an earlier attempt under this key sent; None when it sent nothing. Raises a problem, still unknown."""
        try:
            message_id = await self._sent.find(request, key=key, attempted=attempted)
        except ProblemError as problem:
            raise still_unknown(problem) from None
        return SendMessageOutput(message_id=message_id) if message_id is not None else None

    async def send_message(
        self, request: SendMessageArguments, *, key: str, attempted: Attempted | None
    ) -> SendMessageOutput:
        """Propose a message that the member of staff confirms, once per key.

        When an earlier attempt may have done it, the sent messages are searched first.
        """
        if attempted is not None:
            if (sent := await self.sent_message(request, key=key, attempted=attempted)) is not None:
                return sent
            await attempted.did_nothing()
        content = marked(request.text, key)
        payload: dict[str, Any] = {
            "chat_type": "single",
            "external_userid": [request.external_userid],
            "text": {"content": content},
        }
        if request.sender is not None:
            payload["sender"] = request.sender
        if request.links:
            payload["attachments"] = [_attachment(link) for link in request.links]
        try:
            with asked_first():
                answer = await self.api.change("externalcontact/add_msg_template", payload, settle_s=SETTLE_S)
        except NotFoundProblem as problem:
            if problem.problem.as_dict().get("platform_code") != str(NOBODY_REACHABLE):
                raise
            return SendMessageOutput(message_id=None, refused=True)
        failed = answer.get("fail_list")
        return SendMessageOutput(
            message_id=str(answer.get("msgid") or "") or None,
            refused=isinstance(failed, list) and request.external_userid in failed,
        )

    async def add_tag(self, request: TagArguments, *, key: str, resumed: bool) -> AddTagOutput:
        """Set a corp tag, made when missing. Setting it again changes nothing, so repeating is safe."""
        tag_id, created = await self._tags.ensure(request.group, request.tag)
        customer = await self.get_customer(request)
        lacking = [
            follower.userid
            for follower in customer.followers
            if request.userid in (None, follower.userid) and tag_id not in {tag.id for tag in follower.tags}
        ]
        for userid in lacking:
            await self._tags.mark(userid, request.external_userid, add=tag_id)
        return AddTagOutput(tag_id=tag_id, created=created, userids=tuple(lacking))

    async def remove_tag(self, request: TagArguments, *, key: str, resumed: bool) -> RemoveTagOutput:
        """Take a corp tag away where it is. Taking it away again changes nothing, so repeating is safe."""
        tag_id = await self._tags.find(request.group, request.tag)
        if tag_id is None:
            return RemoveTagOutput(removed=False)
        customer = await self.get_customer(request)
        carrying = [
            follower.userid
            for follower in customer.followers
            if request.userid in (None, follower.userid) and tag_id in {tag.id for tag in follower.tags}
        ]
        for userid in carrying:
            await self._tags.mark(userid, request.external_userid, remove=tag_id)
        return RemoveTagOutput(removed=bool(carrying), userids=tuple(carrying))

    async def notify_staff(self, request: NotifyStaffArguments, *, key: str, resumed: bool) -> NotifyStaffOutput:
        """Write to members, once per key: the platform drops an equal text within four hours, and the mark makes
        texts of different keys different."""
        agent_id = self.api.settings.agent_id
        if agent_id is None:
            raise wrong_setting(
                PLATFORM,
                Text("账号没有填写应用的 agent_id，请补全", "The account has no agent_id; complete its settings"),
            )
        payload = {
            "touser": "|".join(request.userids),
            "msgtype": "text",
            "agentid": agent_id,
            "text": {"content": marked(request.text, key)},
            "enable_duplicate_check": 1,
            "duplicate_check_interval": _DUPLICATE_CHECK_S,
        }
        answer = await self.api.change("message/send", payload, app="agent")
        unknown = str(answer.get("invaliduser") or "")
        return NotifyStaffOutput(
            message_id=str(answer.get("msgid") or "") or None,
            unknown_userids=tuple(userid for userid in unknown.split("|") if userid),
        )


def _follower(row: Mapping[str, Any]) -> CustomerFollower:
    tags = row.get("tags")
    added = whole_number(row, "createtime", 0)
    return CustomerFollower(
        userid=text(row, "userid"),
        remark=optional_text(row, "remark"),
        state=optional_text(row, "state"),
        added_at=datetime.fromtimestamp(added, UTC) if 0 < added < 4_102_444_800 else None,
        tags=tuple(
            CustomerTag(
                id=optional_text(tag, "tag_id", limit=64),
                name=text(tag, "tag_name"),
                group=optional_text(tag, "group_name", limit=64),
            )
            for tag in (tags if isinstance(tags, list) else ())
        ),
    )


def _attachment(link: MessageLink) -> dict[str, Any]:
    card = {"title": link.title, "url": link.url, "desc": link.description, "picurl": link.picture_url}
    return {"msgtype": "link", "link": {name: value for name, value in card.items() if value is not None}}
