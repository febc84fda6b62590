"""Canonical records that others hand in as they are: a signed webhook, an imported file, a site.

A record is `{"type": "order", "data": {…}}`, its data the fields of the canonical model of that type. Whose record it
is follows from the account it came in by, so `platform` and `account` may be left out. Without `version` the instant of
the change (`occurred_at`, in milliseconds) is the version.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from domain.canonical.consents import ConsentData
from domain.canonical.goods import GoodsData, StockData
from domain.canonical.interactions import CartData, ChatData, CouponData, LifeEventData, ScanData, VisitData
from domain.canonical.orders import LONGEST_ORDER_ID, Buyer, OrderData, RefundData, ShipmentData
from domain.canonical.origin import NUMBER_THEIR_BUYERS, Origin
from domain.canonical.people import ContactData, FollowerData, MemberData
from domain.organisation import is_account_id
from domain.problems import Text, ValidationProblem
from domain.storable import is_storable
from domain.validation_texts import explain

RECORD_TYPES: Mapping[str, type[Origin]] = {
    "order": OrderData,
    "refund": RefundData,
    "shipment": ShipmentData,
    "member": MemberData,
    "contact": ContactData,
    "follower": FollowerData,
    "chat": ChatData,
    "scan": ScanData,
    "visit": VisitData,
    "cart": CartData,
    "coupon": CouponData,
    "life_event": LifeEventData,
    "consent": ConsentData,
    "goods": GoodsData,
    "stock": StockData,
}
"""What can be handed in, by its name."""

FUTURE_TOLERANCE = timedelta(hours=1)
MOST_ERRORS = 20
_LONGEST_ID, _LONGEST_TEXT, _LONGEST_CHAT = LONGEST_ORDER_ID, 2_048, 20_000
# What rows are found by: an index holds some 2,700 bytes of it at most.
_IDS = ("_id", "userid", "unionid", "openid", "device", "waybill", "code", "category")
_LARGEST_NUMBER = 10**15
_LARGEST = {"version": 10**18, "quantity": 10**9}
_MOST_MEMBERS = 500


class FieldError(NamedTuple):
    """What is wrong with one field. path: its JSON path within the record (`data/lines/0/price_minor`)."""

    path: str
    text: Text

    def as_dict(self) -> dict[str, str]:
        return {"path": self.path, **self.text.as_dict()}


def parse_record(
    kind: Any,
    data: Any,
    *,
    platform: str,
    account: str,
    received_at: datetime,
    accounts: Collection[str] | None = None,
) -> Origin:
    """The canonical record of an account.

    accounts: the ids of all there are, one of which a key of another account has to name; None where nobody knows them.
    :raises ValidationProblem: `errors` names each wrong field: missing, unknown, of the wrong kind, negative, too long,
        or past `received_at`.
    """
    model = RECORD_TYPES.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(RECORD_TYPES)
        raise _refused([FieldError("type", Text(f"可选值：{known}", f"this must be one of {known}"))])
    if not isinstance(data, Mapping):
        raise _refused([FieldError("data", Text("应为对象", "this must be an object"))])
    whole, errors = _with_origin(data, platform, account)
    errors += _unknown_fields(model, data, "data")
    errors += _values_out_of_bounds(data, "data")
    if not errors:
        try:
            record = model.model_validate(whole)
        except ValidationError as error:
            errors = [
                FieldError("/".join(("data", *map(str, item["loc"]))), explain(item))
                for item in error.errors(include_url=False, include_input=False)
            ]
        else:
            errors = [*_contradictions(record, received_at), *_nobodys_keys(record, accounts)]
            if not errors:
                return record
    raise _refused(errors)


def _with_origin(data: Mapping[str, Any], platform: str, account: str) -> tuple[dict[str, Any], list[FieldError]]:
    whole = {**data, "platform": platform, "account": account}
    errors = [
        FieldError(f"data/{name}", Text(f"应为 {right} 或省略", f"this must be {right}, or be left out"))
        for name, right in (("platform", platform), ("account", account))
        if data.get(name, right) != right
    ]
    if whole.get("version") is None:
        moment = _instant(whole.get("occurred_at"))
        if moment is None:
            text = Text("缺少 version；也可以给出 occurred_at", "version is missing; occurred_at would do instead")
            return whole, [*errors, FieldError("data/version", text)]
        whole["version"] = int(moment.timestamp() * 1000)
    return whole, errors


def _instant(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) and value.tzinfo is not None and value.year > 1 else None


def _unknown_fields(model: type[BaseModel], data: Any, path: str) -> list[FieldError]:
    """Fields that no model knows: a misspelt one must not be dropped unseen."""
    if isinstance(data, list | tuple):
        return [error for place, item in enumerate(data) for error in _unknown_fields(model, item, f"{path}/{place}")]
    if not isinstance(data, Mapping):
        return []
    errors: list[FieldError] = []
    known = _models_within(model)
    for name, value in data.items():
        if name not in known:
            text = Text("没有这个字段，请删除或更正", "there is no such field; remove or correct it")
            errors.append(FieldError(f"{path}/{str(name)[:64]}", text))
        elif (inner := known[name]) is not None:
            errors += _unknown_fields(inner, value, f"{path}/{name}")
    return errors


@cache
def _models_within(model: type[BaseModel]) -> Mapping[str, type[BaseModel] | None]:
    """The fields of a model, each with the model that its values are of, if they are of one."""
    return {name: _model_within(spec.annotation) for name, spec in model.model_fields.items()}


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_within(each)) is not None), None)


def _values_out_of_bounds(value: Any, path: str) -> list[FieldError]:
    """Texts, lists and numbers that no database column or subject takes."""
    name = path.rpartition("/")[2]
    if isinstance(value, Mapping):
        return [
            error for key, item in value.items() for error in _values_out_of_bounds(item, f"{path}/{str(key)[:64]}")
        ]
    if isinstance(value, list | tuple):
        if len(value) > _MOST_MEMBERS:
            return [FieldError(path, Text(f"最多 {_MOST_MEMBERS} 项", f"at most {_MOST_MEMBERS} items"))]
        return [error for place, item in enumerate(value) for error in _values_out_of_bounds(item, f"{path}/{place}")]
    if isinstance(value, str):
        longest = _LONGEST_CHAT if name == "text" else _LONGEST_ID if name.endswith(_IDS) else _LONGEST_TEXT
        if len(value) > longest:
            return [FieldError(path, Text(f"最多 {longest} 个字符", f"at most {longest} characters"))]
        if not is_storable(value):
            return [FieldError(path, Text("含有无法保存的字符", "this holds characters that cannot be stored"))]
        return []
    if name.endswith("_minor") and isinstance(value, Decimal | float):
        return [FieldError(path, Text("应为整数（分）", "this must be a whole number of minor units (fen)"))]
    is_count = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if is_count and (name.endswith("_minor") or name == "version") and not 0 <= value <= 10**18:
        return [FieldError(path, Text("不能为负", "this must not be negative"))]
    if is_count and abs(value) > _LARGEST.get(name, _LARGEST_NUMBER):
        return [FieldError(path, Text("数值过大", "this number is too large"))]
    return []


def _contradictions(record: Origin, received_at: datetime) -> Iterator[FieldError]:
    """What the types allow and sense does not."""
    for name in type(record).model_fields:
        value = getattr(record, name)
        if isinstance(value, datetime) and value > received_at + FUTURE_TOLERANCE:
            yield FieldError(f"data/{name}", Text("晚于收到的时间", "this lies in the future"))
    for name in ("order_id", "refund_id", "waybill", "item_id"):
        if getattr(record, name, None) == "":
            yield FieldError(f"data/{name}", Text("不能为空", "this must not be empty"))
    if isinstance(record, OrderData | CartData):
        for place, line in enumerate(record.lines):
            if line.quantity < 1:
                yield FieldError(f"data/lines/{place}/quantity", Text("应大于 0", "this must be more than 0"))
    if isinstance(record, MemberData | ConsentData) and not any(record.identity_keys()):
        yield FieldError(
            "data", Text("至少需要一个标识，如 member_id 或 phone", "one key is needed, such as member_id or phone")
        )


_NO_ACCOUNT = Text("应为账号，如 wecom/main", "this must be an account such as wecom/main (platform/slug)")
_NO_SCOPE = Text(
    "应为已接入的账号（如 generic/crm），或为买家统一编号的平台（如 youzan）",
    "this must be a connected account such as generic/crm, or a platform that numbers its buyers such as youzan",
)


def _nobodys_keys(record: Origin, accounts: Collection[str] | None) -> Iterator[FieldError]:
    """Keys of an account that there is not: whoever has one would be a customer that nobody ever meets."""
    for path, named in _accounts_named(record):
        if not named or named == record.account_id:
            continue
        if path.endswith("buyer_scope") and _numbers_buyers(named, record, accounts):
            continue
        if not is_account_id(named):
            text = _NO_SCOPE if path.endswith("buyer_scope") else _NO_ACCOUNT
            yield FieldError(f"data/{path}", text)
        elif accounts is not None and named not in accounts:
            text = Text(
                f"没有账号 {named}：请改为已接入的账号，或先接入它",
                f"there is no account {named}: name a connected one, or connect it first",
            )
            yield FieldError(f"data/{path}", text)


def _numbers_buyers(scope: str, record: Origin, accounts: Collection[str] | None) -> bool:
    """Whether this is a platform, which may number the buyers of all of its accounts."""
    if scope == record.platform or scope in NUMBER_THEIR_BUYERS:
        return True
    platforms = None if accounts is None else {each.partition("/")[0] for each in accounts}
    return "/" not in scope and (platforms is None or scope in platforms)


def _accounts_named(record: Origin) -> Iterator[tuple[str, str | None]]:
    for name in ("corp", "openid_scope", "buyer_scope", "order_account"):
        yield name, getattr(record, name, None)
    buyer = getattr(record, "buyer", None)
    if isinstance(buyer, Buyer):
        yield "buyer/openid_scope", buyer.openid_scope
        yield "buyer/member_scope", buyer.member_scope
        yield "buyer/buyer_scope", buyer.buyer_scope


def _refused(errors: list[FieldError]) -> ValidationProblem:
    first = errors[0]
    more = Text(f"（共 {len(errors)} 处）", f" ({len(errors)} in all)") if len(errors) > 1 else Text("", "")
    return ValidationProblem(
        Text(f"记录的字段 {first.path}：{first.text.zh}{more.zh}", f"{first.path}: {first.text.en}{more.en}"),
        errors=[error.as_dict() for error in errors[:MOST_ERRORS]],
        retryable=False,
    )
