"""What personal data looks like when it is masked: enough to recognise it again, too little to use it.

Every function here takes any text and gives a text, and masking what is masked changes nothing.

Sources: GB 11643 (citizen identification numbers), ISO/IEC 7812-1 (Luhn), China's numbering plan (mobile: 1[3-9]).
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal, get_args

Kind = Literal["phone", "name", "address", "email", "id_card", "bank_card", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)

HIDDEN = "****"

# A number that goes on, to the left or to the right, is another number: an order, a waybill, an instant, an amount.
_BEGINS = r"(?<![0-9A-Za-z_*])(?<![0-9]\.)"
_ENDS = r"(?![0-9A-Za-z_])(?!\.[0-9*])"

_MOBILE = re.compile(
    _BEGINS + r"((?:\+86[ -]?|(?:00)?86[ -])?)(1[3-9][0-9])(?:[0-9]{4}|[ -][0-9]{4}[ -])([0-9]{4})" + _ENDS
)
_ID_CARD = re.compile(
    _BEGINS + r"[1-9][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]" + _ENDS
)
_ID_CARD_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_UNIONPAY = re.compile(_BEGINS + r"62[0-9]{2}(?:[ -]?[0-9]{4}){3}(?:[ -]?[0-9]{1,3})?" + _ENDS)
_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+*@-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")

_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南"
    "|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
# No character of a name of a prefecture that also stands in names of streets and houses.
_IN_A_CITY = "(?:(?![省市区县路街道号巷弄镇乡村城超夜])[\u4e00-\u9fff])"
_REGION = re.compile(
    rf"(?:中国)?[\s,，]*(?:(?:{_PROVINCES})(?:省|市|壮族自治区|回族自治区|维吾尔自治区|自治区|特别行政区)?)?"
    rf"[\s,，/-]*(?:{_IN_A_CITY}{{2,4}}?市|{_IN_A_CITY}{{2,9}}?(?:自治州|地区|盟))?"
)

# Contacts, followers and members go by whom they are about; one that only a phone names, by a number of ours.
_KEPT_BY_PERSON = frozenset({"contact", "follow", "member"})
_BY_NUMBER = "identity"
_INTERACTION = re.compile(r"interactions:[^/ ]+/[^/ ]+/([a-z_]+)/(.+)\Z")


def masked(kind: Kind, text: str) -> str:
    """A piece of personal data of a kind as everybody may see it; nothing but white space stays as it is."""
    bare = text.strip()
    return _MASKS[kind](bare) if bare else text


def masked_text(text: str) -> str:
    """A text without the mobile numbers, identification numbers, UnionPay cards and e-mail addresses in it."""
    if "@" in text:
        text = _EMAIL.sub(lambda found: _email(found[0]), text)
    text = _ID_CARD.sub(lambda found: _id_card(found[0]) if _is_id_card(found[0]) else found[0], text)
    text = _UNIONPAY.sub(lambda found: _bank_card(found[0]) if _is_card(found[0]) else found[0], text)
    return _MOBILE.sub(rf"\1\2{HIDDEN}\3", text)


def masked_key(kind: str, value: str) -> str:
    """A key of a customer: `+86138****8000`, `oABC****wxyz`; enough to tell two apart, short ones by their last
    character. kind: as in `domain.customers.strength`; a phone is in E.164."""
    if kind == "phone" and len(value) >= 11:
        return value[:6] + HIDDEN + value[-4:]
    if len(value) >= 12:
        return value[:4] + HIDDEN + value[-4:]
    return HIDDEN + value[-1:]


def masked_record_key(kind: str, key: str) -> str:
    """The key of an interaction, with the person masked by whose key contacts, followers and members go."""
    person, slash, rest = key.partition("/")
    if kind not in _KEPT_BY_PERSON or person == _BY_NUMBER:
        return key
    return masked_key(kind, person) + slash + rest


def masked_record(name: str) -> str:
    """A record as evidence names it (`interactions:wecom/corp/contact/wm1…/lin`), the person in it masked."""
    found = _INTERACTION.search(name)
    return name if found is None else name[: found.start(2)] + masked_record_key(found[1], found[2])


def _phone(text: str) -> str:
    if len(text) >= 11:
        return text[:3] + HIDDEN + text[-4:]
    return HIDDEN + text[-2:] if len(text) > 4 else HIDDEN


def _name(text: str) -> str:
    return text[0] + "**" if len(text) > 1 else "*"


def _address(text: str) -> str:
    found = _REGION.match(text)
    region = found[0] if found else ""
    return region + HIDDEN if len(region) < len(text) else text


def _email(text: str) -> str:
    local, at, domain = text.rpartition("@")
    first = local[:1] if local[:1].isalnum() else ""
    return f"{first}***@{domain}" if at else HIDDEN


def _id_card(text: str) -> str:
    return text[:3] + "*" * (len(text) - 7) + text[-4:] if len(text) >= 15 else HIDDEN


def _bank_card(text: str) -> str:
    number = "".join(text.split()).replace("-", "")
    return HIDDEN + number[-4:] if len(number) > 4 else HIDDEN


def _other(_: str) -> str:
    return HIDDEN


_MASKS: Mapping[Kind, Callable[[str], str]] = {
    "phone": _phone,
    "name": _name,
    "address": _address,
    "email": _email,
    "id_card": _id_card,
    "bank_card": _bank_card,
    "other": _other,
}


def _is_id_card(number: str) -> bool:
    total = sum(weight * int(digit) for weight, digit in zip(_ID_CARD_WEIGHTS, number[:17], strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def _is_card(number: str) -> bool:
    digits = [int(digit) for digit in number if digit.isdigit()]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
