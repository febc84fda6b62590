"""A corp's chat archive: what customers and members wrote to each other.

WeCom pushes no message, only that there are some (`msgaudit_notify`), which makes them be read at once; they are
fetched by number, at most 1,000 at once, for five days. It gives them out by a native library alone, which also opens
them by the corp's private key. So the library stands behind a port: `POST {archive_url}/chatdata` with `seq` and
`limit` answers what the library's GetChatData does, with each message opened as `msg`. The port is ours [U]; a
message's fields are WeCom's [O].
Source: developer.work.weixin.qq.com/document/path/91774.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from connectors.accounts import Account
from connectors.errors import raise_for_code
from connectors.http import Link, PlatformHttp
from connectors.listed_rows import listed_record, listed_rows
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import (
    anomaly,
    mapping,
    not_from_the_future,
    optional_mapping,
    optional_text,
    text,
    whole_number,
)
from connectors.webhooks import Verified
from connectors.wecom.api import PLATFORM
from connectors.wecom.codes import CODES
from connectors.wecom.settings import WecomSettings
from domain.canonical import ChatData
from domain.canonical.announcing import announce
from domain.events import Event
from domain.problems import Text

ARCHIVED = "archive.message"
CHATS = Stream("chats", timedelta(days=5), announced_by=("msgaudit_notify",))
_AT_ONCE = 1_000
_LAST_MILLISECOND = 4_102_444_800_000
_LONGEST_TEXT = 4_096
# A customer's number: of one in WeChat, of one in another corp's WeCom. Members' are short, and the corp's choice.
_OUTSIDE = re.compile(r"w[mo][A-Za-z0-9_-]{20,62}")
_FORMS: Mapping[str, Literal["text", "image", "voice", "video", "file", "card"]] = {
    "text": "text",
    "image": "image",
    "emotion": "image",
    "voice": "voice",
    "video": "video",
    "file": "file",
    "link": "card",
    "weapp": "card",
    "card": "card",
}


class ChatArchive:
    """The archive of one corp; nothing is read of one whose settings name no port."""

    def __init__(self, account: Account, link: Link) -> None:
        settings = account.parse_settings(WecomSettings)
        self._settings = settings
        self._now = link.now
        self._http = PlatformHttp(PLATFORM, settings.archive_url, link) if settings.archive_url else None

    async def pull(self, cursor: Cursor) -> PulledPage:
        """The messages behind the last one that was read. cursor: its number, `seq`."""
        if self._http is None:
            return PulledPage((), cursor, more=False)
        seq = whole_number(cursor, "seq", 0)
        answer = await self._ask(self._http, seq, _AT_ONCE)
        rows = listed_rows(answer, "chatdata", PLATFORM)
        last = max((whole_number(optional_mapping(row), "seq", 0) for row in rows), default=seq)
        records = [listed_record(ARCHIVED, row, ("msgid",), self._now()) for row in rows]
        return PulledPage(records, {"seq": max(last, seq)}, more=len(rows) >= _AT_ONCE and last > seq)

    async def try_reading(self) -> None:
        """Ask for one message, for a connection test; nothing where the settings name no port."""
        if self._http is not None:
            await self._ask(self._http, 0, 1)

    async def _ask(self, http: PlatformHttp, seq: int, most: int) -> dict[str, Any]:
        secret = self._settings.archive_secret
        answer = await http.exchange(
            "POST",
            "/chatdata",
            query={"access_token": secret.get_secret_value()} if secret is not None else {},
            payload={"corp_id": self._settings.corp_id, "seq": seq, "limit": most},
        )
        if answer.get("errcode", 0) != 0:
            raise_for_code(PLATFORM, str(answer["errcode"]), str(answer.get("errmsg", "")), CODES, effect=False)
        return answer


def archive_events(record: Verified, account: Account) -> list[Event]:
    """The chat between one customer and one member; none of what is withdrawn, internal, or said to a whole group."""
    message = mapping(parse_json_object(record.payload).get("msg"), "msg")
    if message.get("action") != "send":
        return []
    sender, heard = text(message, "from"), message.get("tolist")
    if not isinstance(heard, list):
        raise anomaly("tolist", Text("应为列表", "must be a list"))
    is_in = _is_outside(sender)
    outside = [sender] if is_in else [each for each in heard if _is_outside(each)]
    if len(outside) != 1:
        return []
    members = [str(each)[:64] for each in heard if not _is_outside(each)] if is_in else [sender]
    form, at = _FORMS.get(str(message.get("msgtype")), "other"), _sent_at(message, record)
    chat = ChatData(
        platform=account.platform,
        account=account.slug,
        version=int(at.timestamp() * 1000),
        occurred_at=at,
        external_userid=str(outside[0]),
        message_id=text(message, "msgid", limit=128),
        direction="in" if is_in else "out",
        userid=members[0] if len(members) == 1 else None,
        form=form,
        text=_words(message) if form == "text" else None,
    )
    return [announce(chat, record.received_at)]


def _is_outside(number: Any) -> bool:
    return isinstance(number, str) and _OUTSIDE.fullmatch(number) is not None


def _sent_at(message: Mapping[str, Any], record: Verified) -> datetime:
    milliseconds = whole_number(message, "msgtime")
    if not 0 < milliseconds < _LAST_MILLISECOND:
        raise anomaly("msgtime", Text("不是有效的时间", "is no valid time"))
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    not_from_the_future(at, record.received_at, "msgtime")
    return at


def _words(message: Mapping[str, Any]) -> str | None:
    return optional_text(optional_mapping(message.get("text")), "content", limit=_LONGEST_TEXT)
