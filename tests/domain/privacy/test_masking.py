"""What masking promises for whatever JSON comes: total, idempotent, of the same shape, and blind to other numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.privacy import Masking, Shape
from domain.privacy.kinds import KINDS, masked, masked_text

ID_CARD = "11010519491231002X"
CARD = "6222021234567890128"
PERSON = {
    "receiver_name": "张三丰",
    "receiver_mobile": "13812345678",
    "address": "浙江省杭州市西湖区文三路478号",
    "email": "zhang.san@example.com",
    "id_card": ID_CARD,
    "bank_card": CARD,
}
MASKED_PERSON = {
    "receiver_name": "张**",
    "receiver_mobile": "138****5678",
    "address": "浙江省杭州市****",
    "email": "z***@example.com",
    "id_card": "110***********002X",
    "bank_card": "****0128",
}
SHAPES = (Shape(frozenset({"code", "label"}), frozenset({"code", "label", "more"}), {"label": "name"}),)
masking = Masking(SHAPES)

_fragments = st.sampled_from(
    f"13812345678|+86 138-1234-5678|138****5678|张三|张**|{ID_CARD}|{CARD}|6222 0212 3456 7890 128|a@b.cn"
    "|浙江省杭州市文三路1号|E20261115093000900000001|收件人：|62|1|86|.|@|*|****| |-|，".split("|")
)
texts = st.one_of(st.text(), st.lists(_fragments, max_size=6).map("".join))
keys = st.one_of(
    st.sampled_from(
        [*PERSON, "name", "openid", "id", "code", "label", "properties", "手机号", "detail", "city", "note"]
    ),
    st.text(max_size=8),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=6)),
    max_leaves=25,
)
declarations = st.dictionaries(keys, st.sampled_from(KINDS), max_size=3)


@given(values, declarations)
def test_masking_twice_is_masking_once(value: Any, declared: Any) -> None:
    once = masking.mask(value, declared)
    assert masking.mask(once, declared) == once


@given(st.sampled_from(KINDS), texts)
def test_each_kind_is_idempotent(kind: Any, text: str) -> None:
    once = masked(kind, text)
    assert masked(kind, once) == once
    assert not text.strip() or "*" in once or kind == "address"


@given(texts)
def test_texts_are_idempotent(text: str) -> None:
    assert masked_text(masked_text(text)) == masked_text(text)


@given(values, declarations)
def test_the_shape_stays(value: Any, declared: Any) -> None:
    _require_same_shape(value, masking.mask(value, declared))


def _require_same_shape(before: Any, after: Any) -> None:
    if isinstance(before, dict):
        assert list(before) == list(after)
        for key in before:
            _require_same_shape(before[key], after[key])
    elif isinstance(before, list):
        assert len(before) == len(after)
        for inner in zip(before, after, strict=True):
            _require_same_shape(*inner)
    elif isinstance(before, str):
        assert isinstance(after, str)
    else:
        assert after == before or isinstance(after, str)


# What may stand around a number in a sentence without making it another number.
_around = st.sampled_from(["", " ", "，", "：", "电话", "(", ")", "/", ";", "\n", "退款"])
_mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
_prefixes = st.sampled_from(["", "+86", "+86 ", "+86-", "86-", "0086 "])
_separators = st.sampled_from(["", " ", "-"])


@given(_around, _prefixes, _mobiles, _separators, _around)
def test_a_mobile_number_is_found_in_any_sentence(
    before: str, prefix: str, mobile: str, separator: str, after: str
) -> None:
    written = separator.join((mobile[:3], mobile[3:7], mobile[7:]))
    shown = masked_text(f"{before}{prefix}{written}{after}")
    assert shown == f"{before}{prefix}{mobile[:3]}****{mobile[7:]}{after}"


_numbers = st.one_of(
    st.from_regex(r"[0-9]{12,15}", fullmatch=True),
    st.from_regex(r"[0-9]{20,40}", fullmatch=True),
    st.from_regex(r"(E|SF|YT|JD|R)[0-9]{11,24}", fullmatch=True),
    st.from_regex(r"20[0-9]{2}(0[1-9]|1[0-2])[0-9]{10,16}", fullmatch=True),
    st.from_regex(r"2[0-9]{5}-[0-9]{15}", fullmatch=True),
    st.from_regex(r"1[3-9][0-9]{9}\.[0-9]{1,2}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", fullmatch=True),
    st.datetimes().map(lambda instant: instant.isoformat() + "Z"),
    st.integers(1_000_000_000_000, 2_000_000_000_000).map(str),
)


@given(_around, _numbers, _around)
def test_other_numbers_stay_as_they_are(before: str, number: str, after: str) -> None:
    assert masked_text(before + number + after) == before + number + after


@given(_mobiles, st.sampled_from(["order_id", "refundNo", "waybill", "tracking_number", "id", "订单号", "subjects"]))
def test_an_id_is_never_masked_whatever_it_looks_like(number: str, key: str) -> None:
    assert masking.mask({key: number, "list": {key: [number]}}) == {key: number, "list": {key: [number]}}


def test_a_sentence_under_such_a_key_is_no_id() -> None:
    value = {"subject": "请回电 13812345678", "user_id": "a.b@example.com", "subjects": ["customer:13812345678"]}
    shown = {"subject": "请回电 138****5678", "user_id": "a***@example.com", "subjects": ["customer:13812345678"]}
    assert masking.mask(value) == shown


@given(st.integers(), st.sampled_from(["amount_minor", "at", "version", "seq"]))
def test_numbers_stay_numbers(number: int, key: str) -> None:
    assert masking.mask({key: number, "rows": [number, 13812345678]}) == {key: number, "rows": [number, 13812345678]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"身份证{ID_CARD}，请核对", "身份证110***********002X，请核对"),
        ("卡号6222 0212 3456 7890 128。", "卡号****0128。"),
        (f"{CARD}/{CARD[:-1]}9", "****0128/6222021234567890129"),
        ("110105194912310021", "110105194912310021"),
        ("写信给 li.lei+shop@mail.example.com.cn", "写信给 l***@mail.example.com.cn"),
    ],
    ids=["id card", "grouped card", "no card: wrong check digit", "no id card: wrong check digit", "e-mail"],
)
def test_other_personal_numbers_are_found_in_sentences(text: str, shown: str) -> None:
    assert masked_text(text) == shown


def test_a_person_is_masked_by_the_names_of_fields() -> None:
    assert masking.mask(PERSON) == MASKED_PERSON
    assert masking.mask([{"order": {"delivery": PERSON}}]) == [{"order": {"delivery": MASKED_PERSON}}]


@pytest.mark.parametrize(
    "key",
    ["phone", "mobile", "buyerPhone", "RECEIVER_MOBILE", "tel1", "phone_number", "手机号", "收货人手机号", "联系电话"],
)
def test_a_phone_is_known_by_many_names(key: str) -> None:
    assert masking.mask({key: "0571-88886666"}) == {key: "057****6666"}
    assert masking.mask({key: [13812345678]}) == {key: ["138****5678"]}


@pytest.mark.parametrize("value", [True, None, 1, 0, 12, "", "  "])
def test_a_flag_or_a_count_under_such_a_name_is_no_phone(value: Any) -> None:
    assert masking.mask({"mobile": value}) == {"mobile": value}


def test_names_of_things_and_ids_of_people_stay() -> None:
    value = {
        "name": "return-refund",
        "item": {"name": "羊毛大衣", "sku_id": "1"},
        "buyer": {"openid": "oEXAMPLE", "unionid": "13812345678", "external_userid": "wm13812345678"},
        "phone_ciphertext": "$MTM4$",
        "ip_address": "10.0.0.1",
    }
    assert masking.mask(value) == value


def test_a_name_beside_something_personal_is_a_persons() -> None:
    assert masking.mask({"name": "林晓", "external_userid": "wm1"}) == {"name": "林**", "external_userid": "wm1"}
    assert masking.mask({"buyer": {"name": "林晓", "phone": None}}) == {"buyer": {"name": "林**", "phone": None}}


def test_an_address_in_parts_shows_its_region() -> None:
    parts = {"province": "浙江省", "city": "杭州市", "district": "西湖区", "detail": "文三路478号", "name": "李四"}
    shown = masking.mask({"address": parts})["address"]
    assert shown == {"province": "浙江省", "city": "杭州市", "district": "****", "detail": "****", "name": "李**"}


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("浙江省杭州市西湖区文三路478号", "浙江省杭州市****"),
        ("浙江 杭州市 文三路478号", "浙江 杭州市****"),
        ("上海市浦东新区世纪大道1号", "上海市****"),
        ("内蒙古自治区呼和浩特市新城区1号", "内蒙古自治区呼和浩特市****"),
        ("新疆克孜勒苏柯尔克孜自治州阿图什1号", "新疆克孜勒苏柯尔克孜自治州****"),
        ("广东省文三路好又多超市", "广东省****"),
        ("文三路478号", "****"),
        ("1 Main Street, Springfield", "****"),
        ("浙江省杭州市", "浙江省杭州市"),
    ],
)
def test_an_address_keeps_province_and_city(address: str, shown: str) -> None:
    assert masked("address", address) == shown


def test_a_name_and_an_address_are_found_in_the_sentences_beside_them() -> None:
    value = {
        "title": "致电张三丰13812345678，取件：浙江省杭州市西湖区文三路478号",
        "data": PERSON,
    }
    assert masking.mask(value)["title"] == "致电张**138****5678，取件：浙江省杭州市****"


def test_a_schema_of_personal_fields_stays_a_schema() -> None:
    schema = {
        "type": "object",
        "required": ["phone", "name"],
        "properties": {
            "phone": {"type": "string", "pattern": "^1[3-9]"},
            "name": {"type": "string"},
            "address": {"type": "object", "properties": {"detail": {"type": "string", "title": "详细地址"}}},
        },
    }
    assert masking.mask(schema) == schema


def test_an_object_of_a_declared_shape_is_recognised() -> None:
    assert masking.mask({"code": 1, "label": "李四", "more": 2}) == {"code": 1, "label": "李**", "more": 2}
    assert masking.mask({"label": "李四"}) == {"label": "李四"}


def test_a_declared_field_wins_over_what_its_name_says() -> None:
    value = {"order_id": "X1", "allergy": "花生", "list": [{"allergy": ["虾", "蟹"]}]}
    shown = masking.mask(value, {"order_id": "name", "allergy": "other"})
    assert shown == {"order_id": "X**", "allergy": "****", "list": [{"allergy": ["****", "****"]}]}


def test_no_depth_and_no_odd_value_is_too_much() -> None:
    deep: Any = "13812345678"
    for _ in range(100_000):
        deep = {"phone": [deep]}
    shown = masking.mask(deep)
    for _ in range(100_000):
        shown = shown["phone"][0]
    assert shown == "138****5678"
    odd = {1: "13812345678", None: [], "phone": 10**5_000, "tel": float("inf"), "mobile": float("nan"), "x": object()}
    shown = masking.mask(odd)
    assert (shown[1], shown["phone"], shown["tel"]) == ("138****5678", "****", "****")
    assert len(masking.mask("13812345678 " * 100_000)) == 12 * 100_000
