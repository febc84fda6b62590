"""What Tandem does with one Official Account: the implementation of `domain.catalog.official_account`."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.accounts import Account
from connectors.http import Link
from connectors.listed_rows import row_payload
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import optional_mapping, optional_text, text, unix_time
from connectors.webhooks import Verified
from connectors.wechat.api import WechatApi
from connectors.wechat.settings import WechatSettings
from domain.catalog.official_account import (
    FollowerArguments,
    GetFollowerOutput,
    SendTemplateArguments,
    SendTextArguments,
    SentOutput,
)
from domain.ids import content_digest
from domain.problems import CommunicationProblem, ConflictProblem, NotFoundProblem, Text, ValidationProblem

PLATFORM = "official_account"
FOLLOWERS = "user/info/batchget"
_BATCH = 100
# One page of ours: so many followers of the 10,000 that the platform names at once.
_PAGE = 500


class OfficialAccount:
    """One account. Methods raise problems as `connectors.errors` describes them."""

    streams: tuple[Stream, ...] = (Stream("followers", timedelta(days=36_500)),)

    def __init__(self, account: Account, link: Link) -> None:
        self.api = WechatApi(PLATFORM, account, account.parse_settings(WechatSettings), link)

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
        """The next followers, in the platform's own order; it tells of no changes, so each round reads all of them.

        See `connectors.pulling.Pullable`.
        """
        if stream != "followers":
            raise ValidationProblem(
                Text(f"公众号没有数据流 {stream}", f"An Official Account has no stream {stream}"), retryable=False
            )
        after = str(cursor.get("next_openid") or "")
        try:
            answer = await self.api.get("cgi-bin/user/get", {"next_openid": after} if after else {})
        except NotFoundProblem:
            if not after:
                raise
            # The one we stopped at has left meanwhile, so nobody can say what comes behind: from the beginning.
            return PulledPage((), {}, more=True)
        named = optional_mapping(answer.get("data")).get("openid")
        # Whether the list begins with `next_openid` or behind it is unverified [U].
        openids = [str(openid) for openid in (named if isinstance(named, list) else ()) if openid != after]
        now, chosen = self.api.now(), openids[:_PAGE]
        records: list[Verified] = []
        for start in range(0, len(chosen), _BATCH):
            users = [{"openid": openid, "lang": "zh_CN"} for openid in chosen[start : start + _BATCH]]
            told = await self.api.read("cgi-bin/user/info/batchget", {"user_list": users})
            rows = told.get("user_info_list")
            records += [_record(row, now) for row in (rows if isinstance(rows, list) else ())]
        total = answer.get("total")
        return PulledPage(
            records,
            {"next_openid": chosen[-1]} if chosen else {},
            more=bool(chosen),
            total=total if isinstance(total, int) else None,
        )

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


def _record(row: Any, now: datetime) -> Verified:
    user = optional_mapping(row)
    payload = row_payload(row)
    number = user.get("openid") or content_digest(payload)
    key = f"{FOLLOWERS}:{number}:{user.get('subscribe')}:{user.get('subscribe_time')}"
    return Verified(FOLLOWERS, payload, key[:256], now)
