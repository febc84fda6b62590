"""Bodies that nobody means well by, and how each platform would sign them: so that what reads them runs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import md5
from time import time
from urllib.parse import parse_qsl, urlencode

from simulator.entities import Push
from simulator.platforms.base import PushRequest
from simulator.platforms.douyin import wire as douyin
from simulator.platforms.erp import wire as erp
from simulator.platforms.meituan import signature as meituan_signature
from simulator.platforms.wechat import xml
from simulator.platforms.wechat_pay import keys
from simulator.platforms.wecom import crypto
from simulator.platforms.youzan import wire as youzan
from tests.api.bad_pushes import Teller

MAY_REFUSE = frozenset({"wechat_pay", "meituan", "eleme"})
"""Platforms whose pushes are refused when they cannot be read so far, and not put aside: see docs/connectors.md."""
TOO_LARGE = "one megabyte and a byte"
NO_TEXT = ("GB 18030", "UTF-16")
"""What Standard Webhooks sign is text in UTF-8."""
HOSTILE: Mapping[str, bytes] = {
    "nothing": b"",
    "a document type": b'<!DOCTYPE x [<!ENTITY a "b">]><xml><Encrypt>&a;</Encrypt></xml>',
    "an outside entity": b'<!DOCTYPE x SYSTEM "http://203.0.113.1/x"><xml><Encrypt>a</Encrypt></xml>',
    "many entities": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml>&b;</xml>',
    "GB 18030": '{"msg":"中文"}'.encode("gb18030"),
    "UTF-16": '{"msg":"中文"}'.encode("utf-16"),
    "deep JSON": b"[" * 100_000,
    "deep XML": b"<a>" * 100_000,
    "deep, and whole": b'{"a":' * 200 + b"1" + b"}" * 200,
    "half a surrogate": b'{"msg_id": "\\ud800"}',
    "a huge number": b'{"version": 1e99999999999999999999}',
    TOO_LARGE: b"x" * 1_048_577,
}

_Signed = Callable[[Teller, Push, bytes], PushRequest]


def signed_body(teller: Teller, platform: str, body: bytes) -> PushRequest:
    """This body as the platform signs its pushes; where a push is a form or sealed, the body is what it holds."""
    return SIGNED[platform](teller, teller.genuine(platform), body)


def _youzan(teller: Teller, push: Push, body: bytes) -> PushRequest:
    shop = teller.platforms["youzan"].shop(push.account)
    sign = youzan.event_sign(shop.client_id, body, shop.client_secret)
    return PushRequest(body, {**teller.signed(push).headers, "Event-Sign": sign})


def _douyin(teller: Teller, push: Push, body: bytes) -> PushRequest:
    shop = teller.platforms["douyin"].shop(push.account)
    sign = douyin.event_sign(shop.client_id, body, shop.client_secret)
    return PushRequest(body, {**teller.signed(push).headers, "event-sign": sign})


def _erp(teller: Teller, push: Push, body: bytes) -> PushRequest:
    secret = erp.secret_of(teller.platforms["erp"].shop(push.account).client_secret)
    return PushRequest(body, erp.headers(secret, push.message_id, int(time()), body))


def _meituan(teller: Teller, push: Push, body: bytes) -> PushRequest:
    form = dict(parse_qsl(teller.signed(push).body.decode()))
    form |= {"data": body.decode(errors="replace")}
    del form["sig"]
    form["sig"] = meituan_signature("", form, teller.platforms["meituan"].shop(push.account).client_secret)
    return replace(teller.signed(push), body=urlencode(form).encode())


def _eleme(teller: Teller, push: Push, body: bytes) -> PushRequest:
    form = json.loads(teller.signed(push).body)
    del form["signature"]
    form["message"] = body.decode(errors="replace")
    joined = "".join(f"{name}={form[name]}" for name in sorted(form))
    secret = teller.platforms["eleme"].shop(push.account).client_secret
    form["signature"] = md5((joined + secret).encode(), usedforsecurity=False).hexdigest()
    return replace(teller.signed(push), body=json.dumps(form).encode())


def _wecom(teller: Teller, push: Push, body: bytes) -> PushRequest:
    corp = teller.world.corps.get(push.account)
    assert corp is not None
    return _sealed(teller.signed(push), body, corp.encoding_aes_key, corp.corp_id, corp.callback_token)


def _wechat(teller: Teller, push: Push, body: bytes) -> PushRequest:
    shop = teller.platforms[push.platform].shop(push.account)
    return _sealed(teller.signed(push), body, shop.encoding_aes_key, shop.client_id, shop.callback_token)


def _sealed(genuine: PushRequest, body: bytes, key: str, receiver: str, token: str) -> PushRequest:
    encrypted = crypto.encrypt(key, body, receiver, b"0" * 16)
    sign = crypto.signature(token, genuine.query["timestamp"], genuine.query["nonce"], encrypted)
    return PushRequest(
        xml({"ToUserName": receiver, "Encrypt": encrypted}).encode(),
        genuine.headers,
        {**genuine.query, "msg_signature": sign},
    )


def _wechat_pay(teller: Teller, push: Push, body: bytes) -> PushRequest:
    genuine = teller.signed(push)
    notice, headers = json.loads(genuine.body), dict(genuine.headers)
    sealed, merchant = notice["resource"], teller.platforms["wechat_pay"].shop(push.account)
    said = body.decode(errors="replace")
    sealed["ciphertext"] = keys.sealed_resource(merchant.data_key, said, sealed["nonce"], sealed["associated_data"])
    told, key = json.dumps(notice), keys.rsa_key(teller.world.token("rsa", "platform"))
    stamp = headers["Wechatpay-Timestamp"], headers["Wechatpay-Nonce"]
    headers["Wechatpay-Signature"] = keys.sign(key, *stamp, told)
    return PushRequest(told.encode(), headers)


SIGNED: Mapping[str, _Signed] = {
    "youzan": _youzan,
    "douyin": _douyin,
    "erp": _erp,
    "wecom": _wecom,
    "official_account": _wechat,
    "wechat_store": _wechat,
    "wechat_pay": _wechat_pay,
    "meituan": _meituan,
    "eleme": _eleme,
}
