"""What flows can call and listen to, and the JSON Schema that editors check definitions by."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel

from api.auth import requires
from api.deps import Deps
from api.routes.definitions import Sentence
from api.routing import router
from domain.access import Permission
from domain.calls import AnyCall
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.dsl.schema import definition_schema
from domain.problems import NotFoundProblem, Text

catalog = router("/api/v1/catalog", "catalog", authored=True)

READER = [requires(Permission.DEFINITIONS_READ)]


class FunctionOut(BaseModel):
    """One capability: what goes in and out as JSON Schemas, where it runs, who may publish flows that use it."""

    name: str
    version: str
    title: Sentence
    kind: Literal["outside", "inside", "flow"]
    effect: Literal["none", "keyed"]
    queue: str
    timeout_s: float
    deadline_s: float
    attempts: int
    grants: list[str]
    input: dict[str, Any]
    output: dict[str, Any]
    example: dict[str, Any]


class FunctionList(BaseModel):
    """Every function, by name."""

    items: list[FunctionOut]


class EventTypeOut(BaseModel):
    """An event that Tandem publishes by itself, with an example of its data."""

    name: str
    title: Sentence
    example: dict[str, Any]


class EventTypeList(BaseModel):
    """Every known event type, by name."""

    items: list[EventTypeOut]


@catalog.get("/functions", dependencies=READER, summary="可调用的功能 · Functions that flows call")
async def list_functions(deps: Deps) -> FunctionList:
    """名称、参数与返回的 JSON Schema。· Names, and JSON Schemas of arguments and results."""
    return FunctionList(items=[_function(deps.catalog[name]) for name in sorted(deps.catalog)])


@catalog.get("/functions/{name}", dependencies=READER, summary="查看功能 · Show a function")
async def show_function(
    name: Annotated[str, Path(max_length=100, examples=["youzan.get_refund"])], deps: Deps
) -> FunctionOut:
    """一个功能的声明。· One function's declaration."""
    call = deps.catalog.get(name)
    if call is None:
        raise NotFoundProblem(Text(f"没有功能 {name}", f"There is no function {name}"))
    return _function(call)


@catalog.get("/event-types", dependencies=READER, summary="事件类型 · Event types")
async def list_event_types() -> EventTypeList:
    """系统自己发布的事件。· Events that Tandem publishes by itself."""
    return EventTypeList(
        items=[
            EventTypeOut(name=name, title=_sentence(kind.title), example=kind.example)
            for name, kind in sorted(KNOWN_EVENT_TYPES.items())
        ]
    )


@catalog.get("/flow-schema", dependencies=READER, summary="流程定义的 JSON Schema · JSON Schema of definitions")
async def show_flow_schema(deps: Deps) -> dict[str, Any]:
    """供编辑器补全与校验。· For completion and checks in editors."""
    return definition_schema(deps.catalog)


def _function(call: AnyCall) -> FunctionOut:
    return FunctionOut(
        name=call.name,
        version=call.version,
        title=_sentence(call.title),
        kind=call.kind,
        effect=call.effect,
        queue=call.queue,
        timeout_s=call.timeout_s,
        deadline_s=call.deadline_s,
        attempts=call.retry.attempts,
        grants=sorted(call.grants),
        input=call.input.model_json_schema(),
        output=call.output.model_json_schema(mode="serialization"),
        example=dict(call.example),
    )


def _sentence(text: Text) -> Sentence:
    return Sentence(zh=text.zh, en=text.en)
