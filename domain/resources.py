"""What operations and finance upload beside flows: forms, queues, message templates, tag rules, gradings, schemes, and
whose orders are.

Each is a YAML document with one top key, `form:`, `queue:`, `message:`, `tag-rule:`, `grading:`, `scheme:` or
`attribution:`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.canonical.consents import Channel
from domain.dsl.model import SEMVER_PATTERN
from domain.money import HOME_CURRENCY
from domain.privacy import misplaced_in
from domain.problems import Text, ValidationProblem
from domain.settlement.attribution_reading import check_attribution
from domain.settlement.levels import LAW, LEGAL_LEVELS, LevelLimit
from domain.settlement.scheme_reading import check_scheme
from domain.tags import Remark, check_grading, check_rule
from domain.validation_texts import explain

ResourceKind = Literal["form", "queue", "message", "tag-rule", "grading", "scheme", "attribution"]
RESOURCE_KINDS: tuple[ResourceKind, ...] = (
    "form",
    "queue",
    "message",
    "tag-rule",
    "grading",
    "scheme",
    "attribution",
)

# What of a pattern matters for how long it may run; an escape and a class of characters are one each.
_PATTERN_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?|\{\d*,?\d*\}|[()+*?|]", re.DOTALL)

_RUNAWAY = Text(
    "重复的分组里不能再有重复、可省略的部分或“或”，请换一种写法",
    "a repeated group must not contain a repetition, an optional part or an alternative; write it without",
)
_MOST_ERRORS = 20

Name = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$")]


def _both_languages(value: Any) -> Any:
    return {"zh": value, "en": value} if isinstance(value, str) else value


Caption = Annotated[dict[Literal["zh", "en"], str], BeforeValidator(_both_languages), Field(min_length=1)]
"""A short text for people; one plain string stands for both languages."""


class _Resource(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Name
    version: Annotated[str, Field(pattern=SEMVER_PATTERN)] = "1.0.0"
    title: Caption


class Form(_Resource):
    """What a person fills in: a JSON Schema (draft 2020-12) of an object."""

    schema_: dict[str, Any] = Field(alias="schema")


class Queue(_Resource):
    """Where tasks wait. members: logins that serve it; empty: whoever's account names the queue."""

    members: tuple[str, ...] = ()
    description: Caption | None = None


class Message(_Resource):
    """A template of what customers are told: Jinja text for one channel."""

    channel: Channel = "wecom"
    text: str = Field(min_length=1, max_length=20_000)


class TagRule(_Resource):
    """Who carries a tag. group: under which heading it is shown. when: see `domain.tags.reading`.

    active: false takes the tag away from everybody who has it by this rule. share: whether the tag, whoever gives it,
    is set at the customer's contacts in WeCom, under the same group.
    """

    tag: str = Field(min_length=1, max_length=30)
    group: str | None = Field(default=None, min_length=1, max_length=15)
    share: bool = False
    active: bool = True
    when: dict[str, Any]


class Grading(_Resource):
    """One word for every customer: see `domain.tags.grading`."""

    active: bool = True
    stages: list[dict[str, Any]] | None = None
    points: list[dict[str, Any]] | None = None
    grades: list[dict[str, Any]] | None = None
    rfm: dict[str, Any] | None = None


class SettlementScheme(_Resource):
    """Who earns what by which rule: see `domain.settlement.scheme_reading`, which says what each part may be.

    active: false ends it: the periods that the version is for are settled no more, by earlier versions neither.
    """

    active: bool = True
    currency: str = HOME_CURRENCY
    cycle: str
    counts: str = "completed"
    from_: date = Field(alias="from")
    until: date | None = None
    payees: dict[str, Any] | None = None
    levels: int = LEGAL_LEVELS
    rounding: dict[str, Any] | None = None
    earns: list[dict[str, Any]] = Field(min_length=1)
    floor: str | None = None
    cap: str | None = None
    minimum: str | None = None
    hold_days: int | None = Field(default=None, alias="hold-days")
    clawback: dict[str, Any] | None = None


class Attribution(_Resource):
    """Whose an order is: see `domain.settlement.attribution_reading`, which says what each part may be."""

    since: date
    counts: list[str] = Field(default=["completed"])
    roles: dict[str, Any]
    bonded: dict[str, Any] | None = None


Resource = Form | Queue | Message | TagRule | Grading | SettlementScheme | Attribution
_MODELS: dict[ResourceKind, type[Resource]] = {
    "form": Form,
    "queue": Queue,
    "message": Message,
    "tag-rule": TagRule,
    "grading": Grading,
    "scheme": SettlementScheme,
    "attribution": Attribution,
}
_TITLES: dict[ResourceKind, str] = {
    "form": "表单",
    "queue": "队列",
    "message": "消息模板",
    "tag-rule": "标签规则",
    "grading": "分级",
    "scheme": "结算方案",
    "attribution": "归属规则",
}
_CHECKS: dict[ResourceKind, Callable[[Mapping[str, Any]], list[Remark]]] = {
    "tag-rule": check_rule,
    "grading": check_grading,
}


def remarks_on(kind: ResourceKind, document: Mapping[str, Any], level_limit: LevelLimit = LAW) -> list[Remark]:
    """What there is to say about a resource beyond its shape: of a rule, every mistake at its own place.

    level_limit: how many levels may earn by a sale.
    """
    if kind == "scheme":
        return check_scheme(document, level_limit)
    if kind == "attribution":
        return check_attribution(document, level_limit)
    check = _CHECKS.get(kind)
    return check(document) if check is not None else []


def resource_kind(document: Any) -> ResourceKind | None:
    """Which resource a parsed YAML document is; None when it is none (then it is a flow)."""
    if not isinstance(document, Mapping):
        return None
    return next((kind for kind in RESOURCE_KINDS if kind in document and "document" not in document), None)


def parse_resource(kind: ResourceKind, document: Mapping[str, Any], level_limit: LevelLimit = LAW) -> Resource:
    """The typed resource. level_limit: as of `remarks_on`.

    :raises ValidationProblem: something is missing or wrong; `errors` lists `{place, message: {zh, en}}`.
    """
    surplus = sorted(str(key) for key in document if key != kind)
    if surplus:
        advice = Text(f"请删除：最上层只能有 {kind}", f"remove it: only `{kind}` belongs at the top")
        raise _refused(kind, [(surplus[0], advice)])
    if wrong := [each for each in remarks_on(kind, document, level_limit) if each.severity == "error"]:
        raise _refused(kind, [(_place(each.pointer), each.message) for each in wrong])
    try:
        resource = _MODELS[kind].model_validate(document[kind])
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise _refused(kind, [(".".join((kind, *map(str, each["loc"]))), explain(each)) for each in found]) from None
    if isinstance(resource, Form):
        check_form_schema(resource.schema_)
    return resource


def check_form_schema(schema: Any) -> None:
    """Returns when it is a JSON Schema of an object, without patterns that one text could keep busy for hours, and
    with every `x-personal` where it protects something.

    :raises ValidationProblem: it is not; `errors` says where.
    """
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(("form", "schema", *map(str, error.absolute_path)))
        advice = Text(f"不是有效的 JSON Schema：{error.message}", f"this is no valid JSON Schema: {error.message}")
        raise _refused("form", [(place, advice)]) from None
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        advice = Text("表单的 schema 须写 type: object", "a form's schema needs `type: object`")
        raise _refused("form", [("form.schema.type", advice)])
    for place, pattern in _patterns(schema, "form.schema"):
        if _may_run_away(pattern):
            raise _refused("form", [(place, _RUNAWAY)])
    if misplaced := misplaced_in(schema):
        raise _refused("form", [(f"form.schema{place}", advice) for place, advice in misplaced])


def _patterns(schema: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key == "pattern" and isinstance(value, str):
                yield f"{place}.pattern", value
            elif key == "patternProperties" and isinstance(value, Mapping):
                yield from ((f"{place}.patternProperties", str(pattern)) for pattern in value)
            yield from _patterns(value, f"{place}.{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _patterns(value, f"{place}.{index}")


def _may_run_away(pattern: str) -> bool:
    """Whether a repeated group repeats, chooses or leaves out inside, however deep: what can take exponential time."""
    open_groups = [False]
    closed = False
    end = 0
    for part in _PATTERN_PART.finditer(pattern):
        sign = part[0]
        repeats_group = sign[0] in "+*{" and closed and part.start() == end
        closed, end = sign == ")", part.end()
        if sign[0] == "(":
            open_groups.append(False)
        elif sign == ")" and len(open_groups) > 1:
            varies = open_groups.pop()
            if varies:
                open_groups[-1] = True
            closed = varies
        elif repeats_group:
            return True
        elif sign[0] in "+*?{|":
            open_groups[-1] = True
    return False


def _place(pointer: str) -> str:
    return pointer.removeprefix("/").replace("/", ".")


def _refused(kind: ResourceKind, found: list[tuple[str, Text]]) -> ValidationProblem:
    """Of what was found, place by place."""
    place, why = found[0]
    return ValidationProblem(
        Text(f"{_TITLES[kind]}定义不正确：{place}：{why.zh}", f"Wrong {kind} definition: {place}: {why.en}"),
        errors=[{"place": place, "message": message.as_dict()} for place, message in found[:_MOST_ERRORS]],
    )
