"""WeChat Pay API v3: merchant transfers, profit sharing, bills, notices; everything signed and verified with RSA.

Source: pay.weixin.qq.com, API v3 conventions, merchant transfer and bills [O].
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, timedelta
from hashlib import sha1
from typing import Any

from fastapi import APIRouter, Request, Response

from simulator.entities import Push, Shop
from simulator.faults import Fault
from simulator.platforms.base import Incoming, Json, PlatformBase, PushRequest
from simulator.platforms.wechat_pay import bills, keys
from simulator.platforms.wechat_pay.refusals import UNSIGNED, Refused
from simulator.platforms.wechat_pay.sharing import Sharing
from simulator.platforms.wechat_pay.transfers import (
    DayLimit,
    FundAccount,
    PayingAccount,
    Transfer,
    instant,
    require_reports,
    require_within,
    shown,
)
from simulator.quotas import Limit
from simulator.seeding import CHINA
from simulator.world import World

UNVERIFIED = (
    "the caps of a transfer",
    "that refusals for too many calls and for trouble of its own are not signed, and that of a day's limit is",
    "which fail_reason 24 hours without confirmation end with",
    "that an order which is sent again is answered with the package of the first time",
    "that the fund-flow bill names the merchant's own number as its voucher",
    "in the fund-flow bill of which account transfers stand, and what is said of one that a merchant has not",
)
SCHEME = "WECHATPAY2-SHA256-RSA2048"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000001092026110100000000000001"
CLOCK_TOLERANCE_S = 300
NAME_REQUIRED_FROM = 200_000
QUERIED = timedelta(days=30)
"""How far back transfers can be asked about [O]."""
UNCLAIMED = timedelta(hours=24)
TRANSFER_API = "transfer-bills"
FINISHED = "MCHTRANSFER.BILL.FINISHED"
_TRANSFERS = "/v3/fund-app/mch-transfer/transfer-bills"
_SHARING = "/v3/profitsharing"
_OUT_BILL_NO = re.compile(r"[A-Za-z0-9]{1,32}")
_AUTHORIZATION = re.compile(r'(\w+)="([^"]*)"')


class WechatPay(PlatformBase):
    """The platform."""

    name = "wechat_pay"
    retry_delays_s = (15.0, 15.0, 30.0, 180.0, 600.0, 1200.0, 1800.0, 1800.0, 1800.0, 3600.0)
    limits = (Limit(100, 1.0, 1.0),)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.transfers = world.shelf("wechat_pay_transfer", Transfer, by={"account": lambda row: row.account})
        self.paying_accounts = world.shelf("wechat_pay_paying_account", PayingAccount)
        self.day_limits = world.shelf("wechat_pay_day_limit", DayLimit)
        self.sharing = Sharing(world, world.settings.calls_per_second.get(self.name))

    def router(self) -> APIRouter:
        """Everything below /v3."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/v3/{rest:path}", self._call, methods=["GET", "POST"])
        return router

    def api_of(self, incoming: Incoming) -> str | None:
        """The path without numbers: `transfer-bills`, `transfer-bills/out-bill-no`, `bill/tradebill`,
        `profitsharing/orders`, `profitsharing/orders/out-order-no` …"""
        path = f"/{incoming.path.strip('/')}"
        if path.startswith(f"{_SHARING}/orders/") and path != f"{_SHARING}/orders/unfreeze":
            return "profitsharing/orders/out-order-no"
        if path.startswith(f"{_SHARING}/transactions/"):
            return "profitsharing/transactions/amounts"
        if path.startswith(f"{_TRANSFERS}/"):
            return f"{TRANSFER_API}/out-bill-no"
        return TRANSFER_API if path == _TRANSFERS else path.removeprefix("/v3/")

    def account_of(self, incoming: Incoming) -> str:
        """The merchant that the request says it is from."""
        told = dict(_AUTHORIZATION.findall(incoming.headers.get("authorization", "")))
        return next((shop.id for shop in self.shops() if str(shop.number) == told.get("mchid")), "")

    def answer_for(self, fault: Fault) -> Json:
        """SYSTEM_ERROR for busy, FREQUENCY_LIMITED for too many calls."""
        if fault is Fault.BUSY:
            return {"code": "SYSTEM_ERROR", "message": "系统繁忙，请稍后重试"}
        if fault in (Fault.FORBIDDEN, Fault.UNTRUSTED_IP):
            return {"code": "NO_AUTH", "message": "商户无权限，或 IP 不在白名单"}
        return {"code": "FREQUENCY_LIMITED", "message": "频率超限"}

    def status_for(self, fault: Fault) -> int:
        """API v3 speaks by status."""
        if fault in (Fault.FORBIDDEN, Fault.UNTRUSTED_IP):
            return 403
        return 500 if fault is Fault.BUSY else 429

    def headers_for(self, fault: Fault, body: bytes) -> Mapping[str, str]:
        """The signature of a refusal."""
        return self._refusal_headers(body, is_signed=self.status_for(fault) not in UNSIGNED)

    def credentials(self, shop: Shop) -> Json:
        """The merchant's key, the platform's public key, and the key of notices."""
        return {
            "mch_id": str(shop.number),
            "app_id": shop.client_id,
            "serial_no": self.world.token("serial", shop.id)[:40].upper(),
            "private_key": keys.private_pem(self._merchant_key(shop)),
            "apiv3_key": shop.data_key,
            "public_key": keys.public_pem(self._platform_key()),
            "public_key_id": PUBLIC_KEY_ID,
        }

    def sign(self, push: Push) -> PushRequest:
        """The notice with its contents sealed, and the platform's signature in the headers."""
        shop = self.shop(push.account)
        text = json.dumps(push.payload["resource"], ensure_ascii=False)
        nonce = self.world.token("nonce", push.id)[:12]
        resource = {
            "original_type": "mch_payment",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": keys.sealed_resource(shop.data_key, text, nonce, "mch_payment"),
            "associated_data": "mch_payment",
            "nonce": nonce,
        }
        body = json.dumps({**push.payload, "resource": resource}, ensure_ascii=False).encode()
        headers = self._signature(body, push.id, str(push.attempts))
        if push.bad_signature:
            headers["Wechatpay-Signature"] = keys.sign(keys.rsa_key("forged"), "forged")
        return PushRequest(body=body, headers={"Content-Type": "application/json", **headers})

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """SUCCESS, FAIL or CANCELLED of a transfer (out_bill_no): the payee confirms it, or it ends without them."""
        shop, row = self.shop(account), self.transfers.get(f"{account}/{subjects.get('out_bill_no', '')}")
        if row is None:
            raise LookupError(f"no transfer {dict(subjects)} of {account}")
        if event not in ("SUCCESS", "FAIL", "CANCELLED"):
            raise ValueError(f"a transfer ends as SUCCESS, FAIL or CANCELLED, not {event!r}")
        return self._ended(shop, row, event)

    def confirm(self, mch_id: str, app_id: str, package: str, openid: str | None = None) -> Push:
        """The payee takes what a package stands for; openid: who is there, when it is not the payee.

        LookupError for a package of nobody's, ValueError for one that has lapsed or was used.
        """
        shop = next((each for each in self.shops() if str(each.number) == mch_id and each.client_id == app_id), None)
        rows = self.transfers.having(account=shop.id) if shop is not None else []
        row = next((each for each in rows if self.world.token("package", each.id) == package), None)
        if shop is None or row is None:
            raise LookupError("no transfer of this merchant and app has such a package")
        if openid is not None and openid != row.openid:
            raise ValueError("你的微信号与商家指定的微信号不一致")
        if self._settled(row).state != "WAIT_USER_CONFIRM":
            raise ValueError("the package was used, or a day has passed")
        return self._ended(shop, row, "SUCCESS")

    def pay_from(self, shop: str, account: FundAccount) -> None:
        """Let a merchant's new transfers leave another of its accounts."""
        self.paying_accounts.put(PayingAccount(id=self.shop(shop).id, name=account))

    def _settled(self, row: Transfer) -> Transfer:
        """The transfer as it is now: one that nobody confirmed for a day has failed."""
        now = self.world.clock.now()
        if row.state == "WAIT_USER_CONFIRM" and now - row.created_at > UNCLAIMED:
            return self.transfers.change(row, state="FAIL", updated_at=now, fail_reason="OVERDUE_CLOSE")
        return row

    def _ended(self, shop: Shop, row: Transfer, state: str) -> Push:
        if row.state == "WAIT_USER_CONFIRM":
            reason = "OVERDUE_CLOSE" if state == "FAIL" else ""
            row = self.transfers.change(row, state=state, updated_at=self.world.clock.now(), fail_reason=reason)
            if state == "SUCCESS":
                subjects = {"out_bill_no": row.out_bill_no, "openid": row.openid}
                self._record(shop, "transferred", {}, subjects, amount_minor=row.amount_minor)
        contents = {"mch_id": str(shop.number), **shown(row)}
        number = self.world.token("notice", row.id, state)[:32]
        payload: Json = {
            "id": number,
            "create_time": instant(self.wall()),
            "resource_type": "encrypt-resource",
            "event_type": FINISHED,
            "summary": "商家转账单据终态通知",
            "resource": contents,
        }
        return self.make_push(shop.id, FINISHED, payload, number)

    async def _call(self, request: Request, rest: str) -> Response:
        body = (await request.body()).decode("utf-8", "replace")
        target = f"/v3/{rest}" + (f"?{request.url.query}" if request.url.query else "")
        try:
            shop = self._caller(request.method, target, request.headers.get("authorization", ""), body)
            answered, kind = self._run(shop, request, rest, body)
        except Refused as refusal:
            headers = self._refusal_headers(refusal.content, is_signed=refusal.is_signed)
            return Response(refusal.content, refusal.status, headers, media_type="application/json")
        signed = {} if kind in bills.HANDED_OUT else self._signature(answered, "answer", self.world.next("pay_answer"))
        return Response(answered, 200, signed, media_type=kind)

    def _run(self, shop: Shop, request: Request, rest: str, body: str) -> tuple[bytes, str]:
        path = f"/v3/{rest}"
        if not self.quotas.take(f"{shop.id}:{path.rpartition('/')[0]}", self.world.clock.wall()):
            raise Refused(429, "FREQUENCY_LIMITED", "频率超限")
        query = dict(request.query_params)
        if request.method == "POST" and path == _TRANSFERS:
            return _json(self._transfer(shop, body))
        if request.method == "GET" and path.startswith(f"{_TRANSFERS}/out-bill-no/"):
            return _json(self._query(shop, path.rpartition("/")[2]))
        if path.startswith(f"{_SHARING}/"):
            return _json(self._shared(shop, request.method, path.removeprefix(_SHARING), query, body))
        if request.method == "GET" and path in ("/v3/bill/tradebill", "/v3/bill/fundflowbill"):
            kind, day = path.rpartition("/")[2], query.get("bill_date", "")
            account = query.get("account_type", "BASIC")
            text = self._bill(shop, kind, account, day)
            base = str(request.base_url).rstrip("/")
            packed = "&tartype=gzip" if query.get("tar_type") == "GZIP" else ""
            url = f"{base}/{self.name}/v3/billdownload/file?token={kind}.{account}.{day}{packed}"
            digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
            return _json({"hash_type": "SHA1", "hash_value": digest, "download_url": url})
        if request.method == "GET" and path == "/v3/billdownload/file":
            kind, account, day = (*query.get("token", "").split("."), "", "")[:3]
            return bills.handed_out(self._bill(shop, kind, account, day), packed=query.get("tartype") == "gzip")
        raise Refused(404, "RESOURCE_NOT_EXISTS", f"no interface {path}")

    def _shared(self, shop: Shop, method: str, path: str, query: Mapping[str, str], body: str) -> Json:
        first, last = path.rsplit("/", 1)
        match method, first, last:
            case "POST", "/receivers", "add":
                wanted = _object(body)
                name = "" if wanted.get("name") is None else self._opened(wanted["name"])
                return self.sharing.add_receiver(shop, wanted, name)
            case "POST", "", "orders":
                return self.sharing.share(shop, _object(body))
            case "POST", "/orders", "unfreeze":
                return self.sharing.unfreeze(shop, _object(body))
            case "GET", "/orders", number:
                return self.sharing.query(shop, number, query.get("transaction_id", ""))
            case "GET", transaction, "amounts":
                return self.sharing.amounts(shop, transaction.removeprefix("/transactions/"))
        raise Refused(404, "RESOURCE_NOT_EXISTS", f"no interface {path}")

    def _caller(self, method: str, target: str, authorization: str, body: str) -> Shop:
        scheme, _, rest = authorization.partition(" ")
        told = dict(_AUTHORIZATION.findall(rest))
        shop = next((shop for shop in self.shops() if str(shop.number) == told.get("mchid")), None)
        if scheme != SCHEME or shop is None:
            raise Refused(401, "SIGN_ERROR", "商户号或签名类型不正确")
        timestamp = told.get("timestamp", "")
        if not timestamp.isdigit() or abs(int(timestamp) - self.wall().timestamp()) > CLOCK_TOLERANCE_S:
            raise Refused(401, "SIGN_ERROR", "时间戳过期")
        key, lines = self._merchant_key(shop), (method, target, timestamp, told.get("nonce_str", ""), body)
        serial = self.world.token("serial", shop.id)[:40].upper()
        if told.get("serial_no") != serial or not keys.is_signed(key, told.get("signature", ""), *lines):
            raise Refused(401, "SIGN_ERROR", "签名错误，请检查后再试")
        return shop

    def _transfer(self, shop: Shop, body: str) -> Json:
        wanted = _object(body)
        number, amount = str(wanted.get("out_bill_no", "")), wanted.get("transfer_amount")
        if not _OUT_BILL_NO.fullmatch(number) or not isinstance(amount, int) or amount <= 0:
            raise Refused(400, "PARAM_ERROR", "out_bill_no 或 transfer_amount 不正确")
        if wanted.get("appid") != shop.client_id:
            raise Refused(400, "INVALID_REQUEST", "appid 与商户号不匹配")
        require_reports(wanted.get("transfer_scene_id"), wanted.get("transfer_scene_report_infos"))
        name = self._opened_name(wanted.get("user_name"), amount)
        subjects = {"out_bill_no": number, "openid": str(wanted.get("openid", ""))}
        known = self.transfers.get(f"{shop.id}/{number}")
        if known is not None:
            self._record(shop, "transfer", wanted, subjects, code=1)
            if (known.openid, known.amount_minor) != (wanted.get("openid"), amount):
                raise Refused(400, "ALREADY_EXISTS", "商户单号已存在，且参数不一致")
            return self._accepted(self._settled(known))
        now, paying = self.world.clock.now(), self.paying_accounts.get(shop.id)
        require_within(self.day_limits.get(shop.id), self.transfers.having(account=shop.id), amount, now)
        row = self.transfers.put(
            Transfer(
                id=f"{shop.id}/{number}",
                account=shop.id,
                out_bill_no=number,
                transfer_bill_no=f"1330000{int(self.world.token('transfer', shop.id, number)[:15], 16):018d}",
                openid=subjects["openid"],
                amount_minor=amount,
                remark=str(wanted.get("transfer_remark", "")),
                payee_name=name,
                state="WAIT_USER_CONFIRM",
                created_at=now,
                updated_at=now,
                paid_from=paying.name if paying is not None else "BASIC",
            )
        )
        self._record(shop, "transfer", wanted, subjects, amount_minor=amount)
        return self._accepted(row)

    def _opened_name(self, sealed: Any, amount: int) -> str:
        if sealed is None:
            if amount >= NAME_REQUIRED_FROM:
                raise Refused(400, "PARAM_ERROR", "转账金额大于等于 2000 元时必须填写收款人姓名")
            return ""
        return self._opened(sealed)

    def _opened(self, sealed: Any) -> str:
        try:
            return keys.opened(self._platform_key(), str(sealed))
        except ValueError:
            raise Refused(400, "PARAM_ERROR", "姓名解密失败") from None

    def _query(self, shop: Shop, number: str) -> Json:
        row = self.transfers.get(f"{shop.id}/{number}")
        if row is None or self.world.clock.now() - row.created_at > QUERIED:
            raise Refused(404, "NOT_FOUND", "记录不存在")
        return {"mch_id": str(shop.number), "appid": shop.client_id, **shown(self._settled(row))}

    def _accepted(self, row: Transfer) -> Json:
        package = {"package_info": self.world.token("package", row.id)} if row.state == "WAIT_USER_CONFIRM" else {}
        told = {
            name: value for name, value in shown(row).items() if name in ("out_bill_no", "transfer_bill_no", "state")
        }
        return {**told, "create_time": instant(row.created_at), **package}

    def _bill(self, shop: Shop, kind: str, account: str, told: str) -> str:
        try:
            day = date.fromisoformat(told)
        except ValueError:
            raise Refused(400, "PARAM_ERROR", "bill_date 不正确") from None
        if day >= self.world.clock.now().astimezone(CHINA).date():
            raise Refused(400, "INVALID_REQUEST", "只能下载当日以前的账单")
        if kind == "tradebill":
            text = bills.trade_bill(self.world, str(shop.number), shop.client_id, day)
        else:
            if account not in ("BASIC", "OPERATION"):
                raise Refused(400, "PARAM_ERROR", "account_type 不正确")
            transfers, shared = self.transfers.having(account=shop.id), self.sharing.shared(shop.id)
            text = bills.fund_bill(self.world, account, day, transfers, shared)
        if text is None:
            raise Refused(400, "NO_STATEMENT_EXIST", "账单不存在")
        return text

    def _record(
        self,
        shop: Shop,
        kind: str,
        request: Json,
        subjects: dict[str, str],
        *,
        code: int = 0,
        amount_minor: int | None = None,
    ) -> None:
        known = {name: value for name, value in request.items() if name != "user_name"}
        self.world.ledger.record(
            kind, self.name, shop.id, request=known, subjects=subjects, code=code, amount_minor=amount_minor
        )

    def _refusal_headers(self, body: bytes, *, is_signed: bool) -> dict[str, str]:
        """Whoever's own signature was right gets an answer that is signed, whatever it says [O]."""
        return self._signature(body, "answer", self.world.next("pay_answer")) if is_signed else {}

    def _signature(self, body: bytes, *parts: object) -> dict[str, str]:
        timestamp = str(int(self.wall().timestamp()))
        nonce = self.world.token("pay", *parts)[:32]
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": keys.sign(self._platform_key(), timestamp, nonce, body.decode()),
            "Wechatpay-Signature-Type": SCHEME,
            "Wechatpay-Serial": PUBLIC_KEY_ID,
        }

    def _merchant_key(self, shop: Shop) -> Any:
        return keys.rsa_key(self.world.token("rsa", shop.id))

    def _platform_key(self) -> Any:
        return keys.rsa_key(self.world.token("rsa", "platform"))


def _object(body: str) -> Json:
    try:
        value = json.loads(body or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "PARAM_ERROR", "the body is no JSON object")
    return value


def _json(value: Json) -> tuple[bytes, str]:
    return json.dumps(value, ensure_ascii=False).encode(), "application/json"
