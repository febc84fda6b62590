"""Reading an account's followers: all of them, once in a while.

The platform tells of no changes, and names 10,000 followers at once, in the order in which they began to follow; what
it knows of them is asked for by hundreds. Who follows here and was on none of a reading's pages is asked about too.
Source: developers.weixin.qq.com, user management: user/get, user/info/batchget (at most 100) [O]; 500 lists a day [S].
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.listed_rows import row_payload
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import optional_mapping
from connectors.single_reads import unread_record
from connectors.webhooks import Verified
from connectors.wechat.api import WechatApi
from domain.events import rfc3339
from domain.ids import content_digest, short_digest
from domain.problems import NotFoundProblem, ValidationProblem

FOLLOWERS = "user/info/batchget"
STREAMS = (Stream("followers", timedelta(days=36_500)),)
EVERY = timedelta(hours=3)
"""How often all followers are read. A million are a hundred calls of the 500 a day that name them, eight times."""
VERSION_BEFORE = "version_before"
"""Beside one who does not follow any more: the version of what was known of them."""
_TOLD_LATER = ("unionid", "qr_scene", "qr_scene_str")
"""What it may come to tell of one who follows since long, as when the account is bound to an open platform."""
_NOBODY: Mapping[str, int] = {}
_BATCH = 100
# One page of ours: so many followers of the 10,000 that the platform names at once.
_PAGE = 500


class FollowerList:
    """The followers of one account. Made for a while of reading: whom the platform named is not asked for again."""

    def __init__(self, api: WechatApi) -> None:
        self._api = api
        self._named: tuple[str, Sequence[str], int | None] | None = None

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next followers. All are read once in a while; between, nothing is to be had.

        cursor: `pass`, when the reading of them all began; `list`, behind whom the platform's page begins; `after`, who
        of it was read last. See `connectors.pulling.Pullable`.
        """
        stream_named(STREAMS, stream)
        passed = cursor.get("passed_at")
        if isinstance(passed, str) and until - datetime.fromisoformat(passed) < EVERY:
            return PulledPage((), cursor, more=False, reached_at=datetime.fromisoformat(passed))
        begun, behind = str(cursor.get("pass") or rfc3339(self._api.now())), str(cursor.get("list") or "")
        since = datetime.fromisoformat(begun)
        try:
            named, total = await self._names(behind)
        except NotFoundProblem:
            if not behind:
                raise
            # The one we stopped at has left meanwhile, so nobody can say what comes behind: from the beginning.
            return PulledPage((), {"pass": begun}, more=True)
        if not named:
            passed_at = {"passed_at": begun}
            return PulledPage((), passed_at, more=False, reached_at=since, listed_since=since, is_last=True)
        after = cursor.get("after")
        # Whoever of this page was read last and has left since: the page again, which is harmless.
        rest = named[named.index(after) + 1 :] if after in named else named
        chosen = rest[:_PAGE]
        records: list[Verified] = []
        for start in range(0, len(chosen), _BATCH):
            records += await self._infos(chosen[start : start + _BATCH])
        is_whole = len(chosen) == len(rest)
        place = {"list": named[-1]} if is_whole else {"list": behind, "after": chosen[-1]}
        return PulledPage(records, {"pass": begun, **place}, more=True, total=total, listed_since=since)

    async def about_unlisted(self, known: Mapping[str, int]) -> Sequence[Verified]:
        """See `connectors.pulling.AsksAboutUnlisted`."""
        openids, records = list(known), list[Verified]()
        for start in range(0, len(openids), _BATCH):
            records += await self._infos(openids[start : start + _BATCH], known)
        return records

    async def _names(self, behind: str) -> tuple[Sequence[str], int | None]:
        if self._named is None or self._named[0] != behind:
            answer = await self._api.get("cgi-bin/user/get", {"next_openid": behind} if behind else {})
            told = optional_mapping(answer.get("data")).get("openid")
            # Whether the list begins with `next_openid` or behind it is unverified [U].
            named = [str(openid) for openid in (told if isinstance(told, list) else ()) if openid != behind]
            total = answer.get("total")
            self._named = behind, named, total if isinstance(total, int) else None
        return self._named[1:]

    async def _infos(self, openids: Sequence[str], known: Mapping[str, int] = _NOBODY) -> list[Verified]:
        """What the platform knows of them. It refuses a batch because of one of them; that one is left out, or does not
        follow any more where a version of them is known."""
        began = self._api.now()
        users = [{"openid": openid, "lang": "zh_CN"} for openid in openids]
        try:
            told = await self._api.read("cgi-bin/user/info/batchget", {"user_list": users})
        except (NotFoundProblem, ValidationProblem) as problem:
            if len(openids) > 1:
                middle = len(openids) // 2
                return [*await self._infos(openids[:middle], known), *await self._infos(openids[middle:], known)]
            if not isinstance(problem, NotFoundProblem):
                return [unread_record(FOLLOWERS, openids[0], problem, began)]
            gone = {"openid": openids[0], "subscribe": 0}
            return [follower_record(gone, began, known)] if openids[0] in known else []
        rows = told.get("user_info_list")
        return [follower_record(row, began, known) for row in (rows if isinstance(rows, list) else ())]


def follower_record(row: Any, began: datetime, known: Mapping[str, int] = _NOBODY) -> Verified:
    """What was read of a follower, as the inbox takes it. known: versions of those who may not follow any more."""
    user: Mapping[str, Any] = optional_mapping(row)
    # Whom it names is said by the payload, which an erasure empties, not by the key, which stays.
    number = content_digest(str(user.get("openid") or row_payload(row)))
    before = known.get(str(user.get("openid")))
    if before is not None and str(user.get("subscribe")) == "0":
        payload = row_payload({**user, VERSION_BEFORE: before})
        return Verified(FOLLOWERS, payload, f"{FOLLOWERS}:{number}:0:{before}", began)
    payload = row_payload(row)
    later = short_digest(row_payload({name: user.get(name) for name in _TOLD_LATER}))
    key = f"{FOLLOWERS}:{number}:{user.get('subscribe')}:{user.get('subscribe_time')}:{later}"
    return Verified(FOLLOWERS, payload, key[:256], began)
