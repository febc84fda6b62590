"""What Tandem does with one Official Account: the implementation of `domain.catalog.official_account`."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.http import Link
from connectors.lookups import KnownContact, LookedUp
from connectors.official_account.followers import STREAMS, FollowerList, follower_record
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import optional_text, text, unix_time
from connectors.webhooks import Verified
from connectors.wechat.api import WechatApi
from connectors.wechat.settings import WechatSettings
from domain.canonical import KeyKind
from domain.catalog.official_account import (
    FollowerArguments,
    GetFollowerOutput,
    SendTemplateArguments,
    SendTextArguments,
    SentOutput,
)
from domain.problems import CommunicationProblem, ConflictProblem, NotFoundProblem, Text

PLATFORM = "official_account"


class OfficialAccount:
    """One account. Methods raise problems as `connectors.errors` describes them."""

    streams: tuple[Stream, ...] = STREAMS
    looks_up: KeyKind = "openid"

    def __init__(self, account: Account, link: Link) -> None:
        self.api = WechatApi(PLATFORM, account, account.parse_settings(WechatSettings), link)
        self._followers = FollowerList(self.api)

    async def look_up(self, value: str, known: KnownContact) -> LookedUp:
        """A follower's unionid, which callbacks do not tell; see `connectors.lookups`. Of who does not follow the
        platform tells nothing."""
        began = self.api.now()
        try:
            answer = await self.api.get("cgi-bin/user/info", {"openid": value, "lang": "zh_CN"})
        except NotFoundProblem:
            return LookedUp(None)
        return LookedUp(follower_record(answer, began) if read_follower(answer).following else None)

    async def get_follower(self, request: FollowerArguments) -> GetFollowerOutput:
        """The user as the account knows them now. Raises NotFoundProblem for an openid of another application."""
        answer = await self.api.get("cgi-bin/user/info", {"openid": request.openid, "lang": "zh_CN"})
        return read_follower(answer)

    async def send_template(self, request: SendTemplateArguments, *, key: str, resumed: bool) -> SentOutput:
        """Send a template message, once per key: the platform drops a repeat with the same `client_msg_id`."""
        payload: dict[str, Any] = {
            "touser": request.openid,
            "template_id": request.template_id,
            "data": {name: {"value": value} for name, value in request.data.items()},
            "client_msg_id": hashlib.sha256(key.encode()).hexdigest()[:32],
        }
        if request.url is not None:
            payload["url"] = request.url
        return await self._send("cgi-bin/message/template/send", payload)

    async def send_text(self, request: SendTextArguments, *, key: str, resumed: bool) -> SentOutput:
        """Send a customer-service message, at most once per key.

        The platform neither knows a key for these nor tells what was sent, so one whose outcome is unknown is not
        repeated. Raises CommunicationProblem (not retryable, outcome unknown) for it.
        """
        if resumed:
            raise CommunicationProblem(
                Text(
                    "上一次发送客服消息没有得到应答，不知是否送达；为避免重复没有再发，请人工确认",
                    "An earlier try to send this message got no answer, so nobody knows whether it arrived; "
                    "it is not sent twice: check by hand",
                ),
                platform=PLATFORM,
                retryable=False,
                outcome="unknown",
            )
        payload = {"touser": request.openid, "msgtype": "text", "text": {"content": request.text}}
        return await self._send("cgi-bin/message/custom/send", payload)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next followers; see `connectors.official_account.followers`."""
        return await self._followers.pull(stream, cursor, until)

    async def about_unlisted(self, known: Mapping[str, int]) -> Sequence[Verified]:
        """How those stand whom a reading of all followers did not name; see `connectors.pulling.AsksAboutUnlisted`."""
        return await self._followers.about_unlisted(known)

    async def _send(self, path: str, payload: Mapping[str, Any]) -> SentOutput:
        try:
            answer = await self.api.change(path, payload)
        except (ConflictProblem, NotFoundProblem) as refusal:
            return SentOutput(refused=True, reason=str(refusal.problem.as_dict().get("platform_code") or "") or None)
        return SentOutput(message_id=str(answer.get("msgid") or "") or None)


def read_follower(row: Mapping[str, Any]) -> GetFollowerOutput:
    """A user of user/info. The platform tells nothing but the openid of one who does not follow."""
    return GetFollowerOutput(
        openid=text(row, "openid"),
        following=str(row.get("subscribe")) == "1",
        unionid=optional_text(row, "unionid", limit=64),
        scene=optional_text(row, "qr_scene_str", limit=64) or _scene_number(row),
        followed_at=unix_time(row, "subscribe_time"),
    )


def _scene_number(row: Mapping[str, Any]) -> str | None:
    number = optional_text(row, "qr_scene", limit=64)
    return None if number == "0" else number
