"""What became of a message that went unanswered: found again in the corp's list of sent messages."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from connectors.reading import mapping, optional_mapping, text
from connectors.wecom.api import PLATFORM, TooManyPages, WecomApi
from connectors.wecom.marks import mark_of
from connectors.wecom.sent_minutes import SentMinute, SentMinutes, sent_minute
from domain.calls import Attempted
from domain.catalog.wecom import SendMessageArguments
from domain.problems import CommunicationProblem, Text

# How long after its attempt was over a request may still have landed.
_LANDS_WITHIN = timedelta(seconds=30)
# How far its clock and ours may disagree: further in a quiet corp, where looking through more costs little. Its pushes
# are refused when they differ by more than the greater one.
_CLOCKS_DIFFER, _CLOCKS_DIFFER_AT_MOST = timedelta(minutes=1), timedelta(minutes=10)
# Of the wide window, and of one minute: eight times what we send in it ourselves.
_PAGE_SIZE = 100
_FEW_PAGES, _MOST_PAGES = 5, 200
SETTLE_S = 5.0
"""After silence, how long the platform may still be at work before its list of messages can be believed."""
AT_ONCE = 2
"""Searches of a corp: when a busy worker dies, all that it was about to send is looked for."""


class SentMessages:
    """The messages that one corp sent to customers. slots: how many may look through them at the same time. minutes:
    what others have read of them."""

    def __init__(self, api: WecomApi, slots: asyncio.Semaphore, minutes: SentMinutes) -> None:
        self._api = api
        self._slots = slots
        self._minutes = minutes

    async def find(self, request: SendMessageArguments, *, key: str, attempted: Attempted) -> str | None:
        """The id of the message with the key's mark, or of one whose mark got lost on the way; None when there is none.

        The text that goes with the mark may be another by now: the template may have been published anew.

        :raises CommunicationProblem: the corp sent more at that time than can be looked through, or it is not over yet.
        """
        early_s = (attempted.until - self._api.now()).total_seconds()
        if early_s > 0:
            raise _too_early(early_s)
        async with self._slots:
            found = await self._found(key, request.text, attempted)
            if isinstance(found, str):
                return found
            for message_id in found:
                if await self._was_meant_for(message_id, request.external_userid):
                    return message_id
        return None

    async def _found(self, key: str, content: str, attempted: Attempted) -> str | Sequence[str]:
        """The id of the message with the key's mark, otherwise of all that say the text and have none."""
        mark, wide = mark_of(key), _minutes_of(attempted, _CLOCKS_DIFFER_AT_MOST)
        if self._minutes.count(wide) <= _FEW_PAGES * _PAGE_SIZE:
            with suppress(TooManyPages):
                whole = await self._read(wide.start, wide.stop, most_pages=_FEW_PAGES)
                return whole.by_mark.get(mark) or whole.without_mark(content)
        bare = list[str]()
        for number in _minutes_of(attempted, _CLOCKS_DIFFER):
            settled_at = attempted.until + timedelta(seconds=SETTLE_S)
            minute = await self._minutes.get(number, settled_at, self._minute)
            if (found := minute.by_mark.get(mark)) is not None:
                return found
            bare += minute.without_mark(content)
        return bare

    async def _minute(self, number: int) -> SentMinute:
        return await self._read(number, number + 1, most_pages=_MOST_PAGES)

    async def _read(self, first: int, behind: int, *, most_pages: int) -> SentMinute:
        """What was sent from one minute until another one begins."""
        began_at = self._api.now()
        window = {
            "chat_type": "single",
            "start_time": first * 60,
            "end_time": behind * 60,
            "filter_type": 2,
            "limit": _PAGE_SIZE,
        }
        pages = self._api.pages("externalcontact/get_groupmsg_list_v2", window, "group_msg_list", most_pages=most_pages)
        told = dict[str, str]()
        async for page in pages:
            for row in page:
                message = mapping(row, "group_msg_list")
                content = str(optional_mapping(message.get("text")).get("content") or "")
                told[text(message, "msgid", limit=128)] = content
        return sent_minute(began_at, told.items())

    async def _was_meant_for(self, message_id: str, external_userid: str) -> bool:
        tasks = await self._api.read("externalcontact/get_groupmsg_task", {"msgid": message_id, "limit": 1000})
        rows = tasks.get("task_list")
        for task in rows if isinstance(rows, list) else ():
            member = {"msgid": message_id, "userid": text(mapping(task, "task_list"), "userid"), "limit": 1000}
            pages = self._api.pages("externalcontact/get_groupmsg_send_result", member, "send_list", most_pages=100)
            async for page in pages:
                if any(optional_mapping(row).get("external_userid") == external_userid for row in page):
                    return True
        return False


def _minutes_of(attempted: Attempted, skew: timedelta) -> range:
    """The minutes since 1970 in which what was attempted may have landed."""
    first, last = attempted.since - skew, attempted.until + _LANDS_WITHIN + skew
    return range(int(first.timestamp()) // 60, int(last.timestamp()) // 60 + 1)


def _too_early(seconds: float) -> CommunicationProblem:
    return CommunicationProblem(
        Text(
            "上一次发送可能还在进行，稍后再查是否已发出",
            "The attempt before may still be sending; whether it did is looked up later",
        ),
        status=503,
        platform=PLATFORM,
        retryable=True,
        outcome="unknown",
        retry_after_s=seconds,
    )
