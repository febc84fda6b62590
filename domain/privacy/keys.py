"""What the key of a value says about it: somebody's phone, an id that links are made of, or nothing.

Keys are read word by word, whatever their case: `receiver_mobile`, `receiverMobile`, `收货人手机号`.

Ids are never masked. Those that platforms give to people (openid, unionid, external_userid, buyer ids) are pseudonyms:
outside of the platform they name nobody, and every subject, link and filter of Tandem is made of them.
"""

import re
from functools import lru_cache
from typing import Literal

from domain.privacy.kinds import Kind

Meaning = Kind | Literal["id", "person", "region"]
"""A kind of personal data; `id`: an identifier is never masked; `person`: a pseudonym, which tells that a `name` beside
it is a person's; `region`: the part of an address that may be shown."""

_LONGEST_KEY = 100
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[\u4e00-\u9fff]+")

_CHINESE: tuple[tuple[Kind | Literal["id", "region"], tuple[str, ...]], ...] = (
    ("id_card", ("身份证", "身份证号", "身份证号码", "证件号", "证件号码", "护照", "护照号")),
    ("bank_card", ("银行卡", "银行卡号", "银行账号", "收款账号")),
    ("phone", ("手机", "手机号", "手机号码", "电话", "电话号码", "联系方式", "联系电话")),
    ("email", ("邮箱", "电子邮件", "邮箱地址")),
    ("address", ("地址", "住址")),
    ("name", ("姓名", "名字", "昵称", "收件人", "收货人", "联系人", "持卡人")),
    ("other", ("生日", "出生日期", "微信号", "微信")),
    ("id", ("单号", "编号", "流水号", "凭证号")),
    ("region", ("省", "省份", "市", "城市", "国家", "地区")),
)

_PHONE = {"phone", "phones", "mobile", "mobiles", "tel", "tels", "telephone", "cellphone", "mobilephone"}
_PHONE |= {"phonenumber", "phoneno", "mobileno", "mobilenumber"}
_EMAIL = {"email", "emails"}
_ADDRESS = {"address", "addresses", "addr", "street"}
_NO_ADDRESS = {"ip", "mac", "web", "http", "url", "server", "host", "wallet", "network"}
_ADDRESS_PARTS = {"detail", "details", "line", "text", "full"}
_ID_CARD = {"idcard", "idcardno", "idcardnumber", "passport"}
_BANK_CARD = {"bankcard", "bankcardno", "bankaccount", "iban"}
_NAMED = {"receiver", "recipient", "consignee", "addressee", "buyer", "customer", "contact", "member", "guest", "child"}
_NAMED |= {"baby", "patient", "guardian", "applicant", "cardholder", "holder", "payer", "payee", "person", "wechat"}
_NAMED |= {"real", "full", "nick", "first", "last", "given", "family", "middle", "legal"}
_NAME = {"receiver", "recipient", "consignee", "addressee", "nick", "nickname", "realname", "fullname", "surname"}
_NAME |= {"firstname", "lastname", "receivername", "buyername", "customername", "contactname", "consigneename"}
_OTHER = {"birthday", "birthdate", "dob", "wechat", "weixin", "qq"}
_NUMBER = {"no", "number", "num", "code"}
_NUMBERED = {"order", "refund", "trade", "waybill", "tracking", "express", "logistics", "shipment", "parcel", "invoice"}
_NUMBERED |= {
    "serial",
    "batch",
    "item",
    "sku",
    "goods",
    "bill",
    "payment",
    "transaction",
    "voucher",
    "coupon",
    "ticket",
}
_ID = {"id", "ids", "userid", "userids", "appid", "corpid", "chatid", "tid", "oid", "sn", "subject", "subjects"}
_ID |= {"tandemkeys", "waybill", "waybills", "digest", "cursor", "etag", "token", "hash", "seq"}
_PERSON = {"openid", "unionid", "externaluserid", "buyerid", "customerid", "memberid", "gender"}
_REGION = {"province", "city", "country", "region", "state", "postcode", "zip", "zipcode"}


def meaning_of(key: str) -> Meaning | None:
    """What values under this key are; None: nothing is known, so only patterns inside of texts count."""
    return _meaning(key) if len(key) <= _LONGEST_KEY else None


@lru_cache(maxsize=8_192)
def _meaning(key: str) -> Meaning | None:
    words = [word.lower() for word in _WORD.findall(key)]
    while words and words[-1].isdigit():
        words.pop()
    if not words:
        return None
    if words[-1] >= "\u4e00":
        return next((meaning for meaning, endings in _CHINESE if words[-1].endswith(endings)), None)
    return _english(["", "", *words])


def _english(words: list[str]) -> Meaning | None:
    """`words` begins with two empty ones, so that there are always a last one and one before it."""
    number = words[-1] in _NUMBER
    before, last = words[-3:-1] if number else words[-2:]
    if last in _PHONE:
        return "phone"
    if last in _EMAIL or (last, before) in (("mail", "e"), ("address", "email")):
        return "email"
    if last in _ID_CARD or (before, last) in (("id", "card"), ("identity", "card")) or (number and last == "id"):
        return "id_card"
    if last in _BANK_CARD or (before, last) in (("bank", "card"), ("bank", "account")):
        return "bank_card"
    if last in _REGION:
        return "region"
    if number:
        return "id" if last in _NUMBERED else None
    if (last in _ADDRESS and before not in _NO_ADDRESS) or (last in _ADDRESS_PARTS and before in _ADDRESS):
        return "address"
    if last in _NAME or (last == "name" and before in _NAMED):
        return "name"
    if last in _OTHER or (before, last) in (("birth", "date"), ("of", "birth")):
        return "other"
    if last in _PERSON or before + last in _PERSON:
        return "person"
    return "id" if last in _ID else None
