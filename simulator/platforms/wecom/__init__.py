"""WeCom: token desk, API and encrypted callbacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from simulator.entities import App, Chat, Contact, Corp, Push, TagGroup, dump
from simulator.faults import Fault
from simulator.happenings import Happening, What
from simulator.platforms.base import Incoming, Json, PlatformBase, PushRequest
from simulator.platforms.wecom import archive, crypto
from simulator.platforms.wecom.api import APIS
from simulator.platforms.wecom.calls import Call, ErrCode, answer
from simulator.platforms.wecom.messages import welcome_code
from simulator.quotas import Limit, Quotas
from simulator.tokens import TokenDesk, TokenState
from simulator.world import World

TOKEN_ERRORS = {TokenState.MISSING: 41001, TokenState.UNKNOWN: 40014, TokenState.EXPIRED: 42001}
CONTACT_EVENTS = frozenset(
    {
        "add_external_contact",
        "add_half_external_contact",
        "edit_external_contact",
        "del_external_contact",
        "del_follow_user",
        "transfer_fail",
        "msg_audit_approved",
    }
)

HAPPENED = {
    What.CONTACT_ADDED: "add_external_contact",
    What.CONTACT_REMOVED: "del_follow_user",
    What.CONTACT_DROPPED: "del_external_contact",
    What.CONTACT_EDITED: "edit_external_contact",
}


class WeCom(PlatformBase):
    """The platform. Changes made through its API give no callback."""

    name = "wecom"
    shows = frozenset({"external_userid", "unionid", "phone"})
    retry_delays_s = (5.0, 5.0, 5.0)  # 3 retries [S]; their spacing is not documented [U]

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._world = world
        self.tokens = TokenDesk(world, self.name, world.settings.wecom_token_s)
        settings = world.settings
        self._archive_quota = Quotas((archive.LIMIT,))
        self.quotas = Quotas(
            (Limit(settings.wecom_calls_per_minute, 60, 60), Limit(settings.wecom_calls_per_hour, 3600, 3600))
        )

    def router(self) -> APIRouter:
        """GET gettoken and everything in APIS, below /cgi-bin; and the port of the chat archive."""
        router = APIRouter(prefix=f"/{self.name}/cgi-bin", tags=[self.name])
        router.add_api_route("/gettoken", self._token, methods=["GET"])
        router.add_api_route("/{api:path}", self._call, methods=["GET", "POST"])
        both = APIRouter()
        both.include_router(router)
        both.add_api_route(f"/{self.name}/{archive.API}", self._archived, methods=["POST"], tags=[self.name])
        return both

    def api_of(self, incoming: Incoming) -> str | None:
        """`gettoken`, `externalcontact/get` …"""
        if incoming.path.strip("/") == archive.API:
            return archive.API
        prefix, _, api = incoming.path.strip("/").partition("/")
        return api if prefix == "cgi-bin" and api else None

    def answer_for(self, fault: Fault) -> Json:
        """-1, 45033, 45009, 48002 or 60020, which names the caller's address."""
        if fault is Fault.UNTRUSTED_IP:
            return answer(60020, "from ip: 203.0.113.9")
        return answer({Fault.BUSY: -1, Fault.CONCURRENCY: 45033, Fault.FORBIDDEN: 48002}.get(fault, 45009))

    def accounts(self, base_url: str) -> list[Json]:
        """One per corp, with its apps and callback keys."""
        return [
            {
                "platform": self.name,
                "account": corp.id,
                "name": corp.name,
                "base_url": f"{base_url}/{self.name}",
                "corp_id": corp.corp_id,
                "contact_secret": corp.apps[0].secret,
                "agent_id": corp.apps[1].agent_id,
                "agent_secret": corp.apps[1].secret,
                "token": corp.callback_token,
                "encoding_aes_key": corp.encoding_aes_key,
                "archive_url": f"{base_url}/{self.name}/archive",
                "archive_secret": archive.secret_of(self._world, corp),
                "staff": [dump(staff) for staff in corp.staff],
            }
            for corp in self._world.corps
        ]

    def sign(self, push: Push) -> PushRequest:
        """The callback as XML with <Encrypt>, and its signature in the query; time and nonce are of now."""
        corp = self._corp(push.account)
        salt = bytes.fromhex(self._world.token("salt", push.id, push.attempts)[:32])
        message = _xml(push.payload).encode()
        encrypted = crypto.encrypt(corp.encoding_aes_key, message, corp.corp_id, salt)
        body = _xml({"ToUserName": corp.corp_id, "AgentID": "", "Encrypt": encrypted}).encode()
        token = "forged" if push.bad_signature else corp.callback_token
        query = self._signed(push.id, push.attempts, token, encrypted)
        return PushRequest(body=body, headers={"Content-Type": "text/xml"}, query=query)

    def verification(self, account: str) -> tuple[dict[str, str], str]:
        """The query of the URL verification GET, and the plaintext the receiver must answer."""
        corp = self._corp(account)
        number = self._world.next("verification")
        echo = str(int(self._world.token("echo", number)[:15], 16))
        salt = bytes.fromhex(self._world.token("salt", "verification", number)[:32])
        encrypted = crypto.encrypt(corp.encoding_aes_key, echo.encode(), corp.corp_id, salt)
        query = self._signed("verification", number, corp.callback_token, encrypted)
        return {**query, "echostr": encrypted}, echo

    def accepts(self, status: int, body: bytes) -> bool:
        """HTTP 200 with an empty body, `success`, or an encrypted passive answer."""
        text = body.strip()
        return status == 200 and (text in (b"", b"success", b'"success"') or text.startswith(b"<xml"))

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """change_external_contact with `event` as ChangeType; needs external_userid, takes state and userid."""
        corp = self._corp(account)
        if event not in CONTACT_EVENTS:
            raise ValueError(f"unknown event {event!r}: one of {', '.join(sorted(CONTACT_EVENTS))}")
        known = self._world.contacts.having(external_userid=subjects.get("external_userid", ""))
        wanted = (account, subjects.get("userid"))
        contact = next((row for row in known if row.corp == account and wanted[1] in (None, row.userid)), None)
        if contact is None:
            raise LookupError(f"no external contact of {account} for {event}")
        return self._contact_push(corp, event, self._changed(contact, event, subjects), self.wall())

    def pushes_for(self, happening: Happening) -> list[Push]:
        """Contacts that come, go and are edited by people; corp tags that are deleted; that there are chats."""
        if isinstance(happening.row, Chat):
            kept = happening.at >= self._world.clock.now() - archive.KEPT
            return [self._archive_push(self._corp(happening.account), happening.at)] if kept else []
        event = HAPPENED.get(happening.what)
        if happening.what is What.CORP_TAG_REMOVED and isinstance(happening.row, TagGroup):
            return [self._tag_push(self._corp(happening.account), tag.id, happening.at) for tag in happening.row.tags]
        if event is None or not isinstance(happening.row, Contact):
            return []
        return [self._contact_push(self._corp(happening.account), event, happening.row, happening.at)]

    def _archive_push(self, corp: Corp, at: datetime) -> Push:
        payload: dict[str, Any] = {
            "ToUserName": corp.corp_id,
            "FromUserName": "sys",
            "CreateTime": int(at.timestamp()),
            "MsgType": "event",
            "AgentID": archive.AGENT_ID,
            "Event": "msgaudit_notify",
        }
        return self.make_push(corp.id, "msgaudit_notify", payload)

    def _tag_push(self, corp: Corp, tag_id: str, at: datetime) -> Push:
        payload: dict[str, Any] = {
            "ToUserName": corp.corp_id,
            "FromUserName": "sys",
            "CreateTime": int(at.timestamp()),
            "MsgType": "event",
            "Event": "change_external_tag",
            "Id": tag_id,
            "TagType": "tag",
            "ChangeType": "delete",
        }
        return self.make_push(corp.id, "change_external_tag.delete", payload)

    def _contact_push(self, corp: Corp, event: str, contact: Contact, at: datetime) -> Push:
        payload: dict[str, Any] = {
            "ToUserName": corp.corp_id,
            "FromUserName": "sys",
            "CreateTime": int(at.timestamp()),
            "MsgType": "event",
            "Event": "change_external_contact",
            "ChangeType": event,
            "UserID": contact.userid,
            "ExternalUserID": contact.external_userid,
        }
        if event in ("add_external_contact", "add_half_external_contact"):
            payload |= {
                "State": contact.state,
                "WelcomeCode": welcome_code(self._world, at, self._world.next("welcome")),
            }
        return self.make_push(corp.id, event, payload)

    def _changed(self, contact: Contact, event: str, subjects: Mapping[str, str]) -> Contact:
        if event in ("del_external_contact", "del_follow_user"):
            return self._world.contacts.change(contact, deleted=True)
        if event == "add_external_contact":
            return self._world.contacts.change(contact, deleted=False, state=subjects.get("state", contact.state))
        return contact

    def _signed(self, name: str, number: int, token: str, encrypted: str) -> dict[str, str]:
        timestamp = str(int(self.wall().timestamp()))
        nonce = str(int(self._world.token("nonce", name, number)[:8], 16))
        signature = crypto.signature(token, timestamp, nonce, encrypted)
        return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce}

    async def _archived(self, request: Request) -> JSONResponse:
        try:
            asked = json.loads(await request.body())
        except ValueError:
            asked = None
        token = request.query_params.get("access_token", "")
        for corp in self._world.corps:
            if token == archive.secret_of(self._world, corp):
                return JSONResponse(archive.chatdata(self._world, corp, asked, self._archive_quota))
        return JSONResponse(answer(40001))

    async def _token(self, corpid: str = "", corpsecret: str = "") -> JSONResponse:
        corps = [corp for corp in self._world.corps if corp.corp_id == corpid]
        if not corps:
            return JSONResponse(answer(40013))
        apps = [app for app in corps[0].apps if app.secret == corpsecret]
        if not apps:
            return JSONResponse(answer(40001))
        account, app = corps[0].id, str(apps[0].agent_id)
        token = self.tokens.current(account, app) or self.tokens.issue(account, app)
        left = int((token.expires_at - self._world.clock.now()).total_seconds())
        return JSONResponse(answer(access_token=token.id, expires_in=left))

    async def _call(self, request: Request, api: str) -> JSONResponse:
        try:
            return JSONResponse(await self._run(request, api))
        except ErrCode as refusal:
            return JSONResponse(answer(refusal.code, refusal.hint))

    async def _run(self, request: Request, api: str) -> Json:
        if api not in APIS:
            raise ErrCode(40058, f"unknown api {api}")
        method, handler = APIS[api]
        if request.method != method:
            raise ErrCode(43001 if method == "GET" else 43002)
        state, token = self.tokens.check(request.query_params.get("access_token"))
        if token is None:
            raise ErrCode(TOKEN_ERRORS[state])
        corp = self._corp(token.account)
        if not self.quotas.take(f"{corp.id}:{api}", self._world.clock.wall()):
            raise ErrCode(45009)
        app = _app(corp, token.app)
        if api.startswith("externalcontact/") and not app.reaches_customers:
            raise ErrCode(48002)
        params: Any = {name: value for name, value in request.query_params.items() if name != "access_token"}
        if method == "POST":
            try:
                params = json.loads(await request.body() or b"{}")
            except ValueError:
                raise ErrCode(47001) from None
            if not isinstance(params, dict):
                raise ErrCode(47001)
        return handler(Call(self._world, corp, app, params))

    def _corp(self, account: str) -> Corp:
        corp = self._world.corps.get(account)
        if corp is None:
            raise LookupError(f"no WeCom corp {account!r}")
        return corp


def _app(corp: Corp, agent_id: str) -> App:
    return next(app for app in corp.apps if str(app.agent_id) == agent_id)


def _xml(fields: Mapping[str, Any]) -> str:
    """The flat XML that WeCom writes: numbers plain, text in CDATA."""
    parts = []
    for name, value in fields.items():
        shown = str(value) if isinstance(value, int) else f"<![CDATA[{str(value).replace(']]>', ']]]]><![CDATA[>')}]]>"
        parts.append(f"<{escape(name)}>{shown}</{escape(name)}>")
    return f"<xml>{''.join(parts)}</xml>"
