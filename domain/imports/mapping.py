"""The mapping of a table's columns to a canonical record's fields, as operations write it in YAML.

record: order
fields:
  order_id: 订单编号
  status: {column: 订单状态, values: {交易成功: completed, 等待买家付款: unpaid}, default: unknown}
  paid_minor: 买家实付金额            # amounts are in major units unless `form: fen`
  created_at: 订单创建时间
  buyer.phone: [联系手机, 手机]        # the first of these columns that is there
  dining: {value: takeaway}
lines:                               # rows below each other with one order_id are lines of one order
  title: 商品标题
  quantity: 购买数量
  price_minor: 单价
"""

from collections.abc import Mapping
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.canonical import CartData, OrderData
from domain.canonical.orders import OrderLine
from domain.canonical.records import RECORD_TYPES
from domain.dsl.findings import Finding, did_you_mean
from domain.dsl.source import decode_source, read_source
from domain.imports.cells import Form
from domain.money import CURRENCIES
from domain.problems import Text, ValidationProblem
from domain.validation_texts import explain

MOST_FIELDS = 200
CURRENCY = "currency"
"""The field that says what the amounts of a record are of."""
Value = str | int | bool
Title = Annotated[str, Field(min_length=1, max_length=200)]
_GIVEN = frozenset({"platform", "account"})


def _source(value: Any) -> Any:
    return {"column": value} if isinstance(value, str | list) else value


def _titles(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("没有这个时区，例如 Asia/Shanghai · no such time zone; for example Asia/Shanghai") from None
    return name


class FieldSource(BaseModel):
    """Where a field's value comes from.

    column: the titles it may stand under, the first that is there counts. value: the same for every row. values: what
    the column's words mean; default: what any other word, or none, means. form: how a cell is read, when the field
    alone does not say it. separator: between the texts of a list.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: Annotated[tuple[Title, ...], BeforeValidator(_titles)] = ()
    value: Value | None = None
    values: Mapping[str, Value] = Field(default={}, max_length=500)
    default: Value | None = None
    form: Form | None = None
    separator: str = Field(default=",", min_length=1, max_length=4)


Fields = Annotated[
    dict[Annotated[str, Field(max_length=100)], Annotated[FieldSource, BeforeValidator(_source)]],
    Field(max_length=MOST_FIELDS),
]


class ImportMapping(BaseModel):
    """A whole mapping.

    history: the records are told as the past, and set nothing in motion. header: the line of the column titles,
    counted from 1. as_of: when the table was exported; without it the latest instant of a row is how new it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    record: str
    fields: Fields
    lines: Fields = {}
    history: bool = True
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    as_of: AwareDatetime | None = None
    header: int = Field(default=1, ge=1, le=100)
    sheet: str | None = Field(default=None, max_length=100)
    encoding: Literal["auto", "utf-8", "gb18030", "utf-16"] = "auto"
    delimiter: Literal["auto", ",", ";", "\t", "|"] = "auto"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def parse_mapping(raw: bytes, name: str) -> ImportMapping:
    """The mapping in a YAML text.

    :raises ValidationProblem: `findings` has line, column and reason for what is wrong.
    """
    text = decode_source(raw)
    source = None if isinstance(text, Finding) else read_source(text)
    findings = (text,) if isinstance(text, Finding) else source.findings if source else ()
    if source is None or findings or len(source.documents) != 1:
        one = Text("映射文件应只有一个 YAML 文档", "a mapping is one YAML document")
        raise _refused(name, list(findings) or [Finding("mapping", "error", 1, 1, "", one)])
    document = source.documents[0]
    wrong: list[Finding] = []
    try:
        mapping = ImportMapping.model_validate(document.data)
    except ValidationError as error:
        for item in error.errors(include_url=False)[:20]:
            pointer = "".join(f"/{part}" for part in item["loc"])
            wrong.append(document.finding("mapping", "error", pointer, explain(item)))
    else:
        wrong = [document.finding("mapping", "error", pointer, text) for pointer, text in _unfit(mapping)]
        if not wrong:
            return mapping
    raise _refused(name, wrong)


def form_of(model: type[BaseModel], path: str) -> Form | None:
    """How the field at a dotted path is read; None when the model has no such field."""
    name, _, rest = path.partition(".")
    spec = model.model_fields.get(name)
    if spec is None or name in _GIVEN:
        return None
    kinds = _kinds(spec.annotation)
    inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    if rest:
        if inner is not None:
            return form_of(inner, rest)
        return "text" if dict in kinds and "." not in rest else None
    if inner is not None or dict in kinds:
        return None
    if name.endswith("_minor"):
        return "yuan"
    for kind, form in _FORMS.items():
        if kind in kinds:
            return form
    return "text"


_FORMS: Mapping[Any, Form] = {AwareDatetime: "time", date: "date", tuple: "list", bool: "yes_no", int: "whole"}


def _kinds(annotation: Any) -> list[Any]:
    """What a field may hold: its types without the optional None, generic ones without their members."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType, Annotated):
        parts = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
        return [kind for part in parts for kind in _kinds(part) if kind is not NoneType]
    if origin is tuple and isinstance(get_args(annotation)[0], type) and issubclass(get_args(annotation)[0], BaseModel):
        return [get_args(annotation)[0]]
    return [origin or annotation]


def _unfit(mapping: ImportMapping) -> list[tuple[str, Text]]:
    """What the shape allows and the record's type does not, by JSON pointer."""
    model = RECORD_TYPES.get(mapping.record)
    if model is None:
        known = ", ".join(RECORD_TYPES)
        return [("/record", Text(f"可选值：{known}", f"this must be one of {known}"))]
    wrong: list[tuple[str, Text]] = []
    for path, source in mapping.fields.items():
        wrong += _unfit_field(model, path, source, f"/fields/{path}")
    for path, source in mapping.lines.items():
        wrong += _unfit_field(OrderLine, path, source, f"/lines/{path}")
    if mapping.lines and not issubclass(model, OrderData | CartData):
        wrong.append(("/lines", Text("只有订单和购物车有明细", "only orders and carts have lines")))
    return wrong


def _unfit_field(model: type[BaseModel], path: str, source: FieldSource, pointer: str) -> list[tuple[str, Text]]:
    if form_of(model, path) is None:
        near = did_you_mean(path, model.model_fields)
        return [(pointer, Text(f"没有字段 {path}。{near.zh}", f"There is no field {path}.{near.en}"))]
    if bool(source.column) == (source.value is not None):
        text = Text("column 与 value 二选一", "either `column` or `value` is needed")
        return [(pointer, text)]
    if path == CURRENCY:
        meant = (source.value, source.default, *source.values.values())
        return [
            (pointer, Text(f"没有货币 {word}，例如 CNY、JPY", f"there is no currency {word}; for example CNY or JPY"))
            for word in meant
            if word is not None and word not in CURRENCIES
        ]
    return []


def _refused(name: str, findings: list[Finding]) -> ValidationProblem:
    first = findings[0]
    place = f"{name}:{first.line}:{first.column}"
    return ValidationProblem(
        Text(f"{place} {first.message.zh}", f"{place} {first.message.en}"),
        errors=[],
        findings=[finding.as_dict(name) for finding in findings],
    )
