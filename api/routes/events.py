"""Events: published as CloudEvents; what could not be dispatched is looked at and tried again."""

from typing import Annotated, Any

from fastapi import Request, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.cloud_events import BATCHED, STRUCTURED, events_of
from api.deps import Deps
from api.paging import PageOf, Paging, RowId
from api.routing import router
from domain.access import Actor, Permission
from domain.events import Event

events = router("/api/v1/events", "events")

Reader = Annotated[Actor, requires(Permission.EVENTS_READ)]
Sender = Annotated[Actor, requires(Permission.EVENTS_PUBLISH)]

_EVENT = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "/pos/store-0017",
    "type": "com.example.visit",
    "subject": "customer:42",
    "data": {"seconds": 300},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": {"$ref": "#/components/schemas/Event"}, "example": _EVENT},
            BATCHED: {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
                "example": [_EVENT],
            },
        },
    }
}


class PublishedOut(BaseModel):
    """How many events came, and how many were new (by source and id)."""

    model_config = ConfigDict(from_attributes=True)

    received: int
    new: int


class ParkedOut(BaseModel):
    """An event that was given up after too many attempts, and why."""

    model_config = ConfigDict(from_attributes=True)

    seq: int
    event: Event
    attempts: int
    reason: str
    parked_at: AwareDatetime


class AgainIn(BaseModel):
    """Which ones to try again."""

    model_config = ConfigDict(extra="forbid")

    ids: list[RowId] = Field(min_length=1, max_length=1_000)


class AgainOut(BaseModel):
    """How many of them there were."""

    found: int


@events.post("", status_code=status.HTTP_202_ACCEPTED, openapi_extra=_BODY, summary="发布事件 · Publish events")
async def publish_events(request: Request, actor: Sender, deps: Deps) -> PublishedOut:
    """CloudEvents 单个（结构化或二进制）或批量，同 source 与 id 只算一次；限数据范围内的账号，只到达范围内的运行。

    One CloudEvent (structured or binary), or a batch; the same source and id count once. With a narrow data scope one
    publishes for the accounts within it, and reaches the runs within it.
    """
    return PublishedOut.model_validate(await deps.events.publish(actor, await events_of(request)))


@events.get("/parked", summary="搁置的事件 · Events given up")
async def list_parked_events(actor: Reader, deps: Deps, page: Paging) -> PageOf[ParkedOut]:
    """多次分发失败的事件，最早在前。· Events whose dispatch failed too often, the oldest first."""
    found: Any = await deps.events.parked(actor, page)
    return PageOf[ParkedOut].model_validate(found)


@events.post("/parked/retry", summary="重新分发 · Dispatch again")
async def retry_parked_events(wanted: AgainIn, actor: Sender, deps: Deps) -> AgainOut:
    """按 seq 重新分发。· Dispatches parked events again, by their seq."""
    return AgainOut(found=await deps.events.unpark(actor, wanted.ids))
