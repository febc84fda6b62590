"""Subscriptions: events sent out as CloudEvents to whoever subscribes, signed by Standard Webhooks."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.idempotency import SHOWN_ONCE
from api.paging import PageOf, Paging, RowId
from api.routing import router
from domain.access import Actor, Permission
from domain.subscriptions import LONGEST_OVERLAP, NewSubscription
from storage.subscriptions import DeadLetter

subscriptions = router("/api/v1/subscriptions", "subscriptions")

Reader = Annotated[Actor, requires(Permission.SUBSCRIPTIONS_READ)]
Manager = Annotated[Actor, requires(Permission.SUBSCRIPTIONS_MANAGE)]


class SubscriptionOut(BaseModel):
    """A subscription without its secret. cursor: the seq of the last event that is done with. problem: why the last
    delivery failed, null once one succeeded. previous_until: how long the secret before this one signs as well."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    url: str
    types: list[str]
    accounts: list[str]
    masked: bool
    batched: bool
    created_at: AwareDatetime
    created_by: str
    paused_at: AwareDatetime | None
    cursor: int
    delivered: int
    attempts: int
    next_attempt_at: AwareDatetime
    problem: str | None
    problem_at: AwareDatetime | None
    previous_until: AwareDatetime | None


class CreatedOut(BaseModel):
    """The new subscription and the secret that signs its deliveries, shown this once."""

    secret: str
    subscription: SubscriptionOut


class LagOut(BaseModel):
    """How far the subscriber is behind. events: not yet looked at, counted up to 10,000; since: the arrival of the
    oldest; dead: letters that were not delivered."""

    model_config = ConfigDict(from_attributes=True)

    events: int
    since: AwareDatetime | None
    dead: int


class FollowedOut(BaseModel):
    """A subscription and its lag."""

    model_config = ConfigDict(from_attributes=True)

    subscription: SubscriptionOut
    lag: LagOut


class SubscriptionList(BaseModel):
    """All subscriptions, the oldest first."""

    items: list[SubscriptionOut]


class DeadLetterOut(BaseModel):
    """An event that was given up for this subscriber, without its data. redriven_at: when one more attempt was asked
    for that is still due."""

    seq: int
    source: str
    event_id: str
    type: str
    reason: str
    attempts: int
    failed_at: AwareDatetime
    redriven_at: AwareDatetime | None


class RotateIn(BaseModel):
    """overlap_s: how long the present secret signs beside the new one; 0 ends it at once, for one that got out."""

    model_config = ConfigDict(extra="forbid")

    overlap_s: int = Field(default=86_400, ge=0, le=int(LONGEST_OVERLAP.total_seconds()))


class RedriveIn(BaseModel):
    """Which dead letters, by seq; null means all of them."""

    model_config = ConfigDict(extra="forbid")

    seqs: list[RowId] | None = Field(default=None, min_length=1, max_length=1_000)


class RedrivenOut(BaseModel):
    """How many of them there were."""

    found: int


@subscriptions.post(
    "",
    status_code=status.HTTP_201_CREATED,
    openapi_extra={SHOWN_ONCE: "secret"},
    summary="订阅事件 · Subscribe to events",
)
async def create_subscription(wanted: NewSubscription, actor: Manager, deps: Deps) -> CreatedOut:
    """地址须在 TANDEM_HTTP_ALLOWED_HOSTS 中；密钥只显示一次；不打码（masked=false）另需 customers.unmask。

    The host must be on `TANDEM_HTTP_ALLOWED_HOSTS`. The secret is shown once. Clear text (`masked: false`) needs
    `customers.unmask` as well.
    """
    made, secret = await deps.subscriptions.create(actor, wanted)
    return CreatedOut(secret=secret, subscription=SubscriptionOut.model_validate(made))


@subscriptions.get("", summary="查询订阅 · List subscriptions")
async def list_subscriptions(actor: Reader, deps: Deps) -> SubscriptionList:
    """数据范围内的订阅，最早在前。· Those within the data scope, the oldest first."""
    found = await deps.subscriptions.list(actor)
    return SubscriptionList(items=[SubscriptionOut.model_validate(each) for each in found])


@subscriptions.get("/{subscription_id}", summary="订阅状态 · How a subscription is doing")
async def show_subscription(subscription_id: UUID, actor: Reader, deps: Deps) -> FollowedOut:
    """游标、积压与最近的问题。· Cursor, lag and the last problem."""
    return FollowedOut.model_validate(await deps.subscriptions.show(actor, subscription_id))


@subscriptions.delete(
    "/{subscription_id}", status_code=status.HTTP_204_NO_CONTENT, summary="删除订阅 · Remove a subscription"
)
async def remove_subscription(subscription_id: UUID, actor: Manager, deps: Deps) -> None:
    """连同游标与死信一并删除。· Its cursor and dead letters go with it."""
    await deps.subscriptions.remove(actor, subscription_id)


@subscriptions.post("/{subscription_id}/pause", summary="暂停订阅 · Pause a subscription")
async def pause_subscription(subscription_id: UUID, actor: Manager, deps: Deps) -> SubscriptionOut:
    """暂停投递，事件保留到恢复。· Deliveries stop; events wait until it is resumed."""
    return SubscriptionOut.model_validate(await deps.subscriptions.pause(actor, subscription_id))


@subscriptions.post("/{subscription_id}/resume", summary="恢复订阅 · Resume a subscription")
async def resume_subscription(subscription_id: UUID, actor: Manager, deps: Deps) -> SubscriptionOut:
    """从停下处立即继续；等待重试的也立即重试。· Goes on at once where it stopped, without waiting for a retry."""
    return SubscriptionOut.model_validate(await deps.subscriptions.resume(actor, subscription_id))


@subscriptions.post(
    "/{subscription_id}/rotate-secret",
    openapi_extra={SHOWN_ONCE: "secret"},
    summary="轮换签名密钥 · Rotate the signing secret",
)
async def rotate_subscription_secret(subscription_id: UUID, wanted: RotateIn, actor: Manager, deps: Deps) -> CreatedOut:
    """新密钥只显示一次；重叠期内每次投递带两个签名，接收方任选其一校验。

    The new secret is shown once. While the overlap lasts, deliveries carry both signatures, and either may be checked.
    """
    overlap = timedelta(seconds=wanted.overlap_s)
    changed, secret = await deps.subscriptions.rotate(actor, subscription_id, overlap)
    return CreatedOut(secret=secret, subscription=SubscriptionOut.model_validate(changed))


@subscriptions.get("/{subscription_id}/dead-letters", summary="死信 · Dead letters")
async def list_dead_letters(subscription_id: UUID, actor: Reader, deps: Deps, page: Paging) -> PageOf[DeadLetterOut]:
    """多次投递失败的事件，最早在前。· Events whose delivery failed too often, the oldest first."""
    found = await deps.subscriptions.dead_letters(actor, subscription_id, page)
    return PageOf[DeadLetterOut](items=[_shown(each) for each in found.items], next_cursor=found.next_cursor)


@subscriptions.post("/{subscription_id}/redrive", summary="重投死信 · Deliver dead letters again")
async def redrive_dead_letters(subscription_id: UUID, wanted: RedriveIn, actor: Manager, deps: Deps) -> RedrivenOut:
    """每封再投递一次，先于后续事件；仍失败则继续为死信。

    One more attempt each, ahead of the stream; what fails again stays a dead letter.
    """
    return RedrivenOut(found=await deps.subscriptions.redrive(actor, subscription_id, wanted.seqs))


def _shown(letter: DeadLetter) -> DeadLetterOut:
    event = letter.event
    return DeadLetterOut(
        seq=letter.seq,
        source=event.source,
        event_id=event.id,
        type=event.type,
        reason=letter.reason,
        attempts=letter.attempts,
        failed_at=letter.failed_at,
        redriven_at=letter.redriven_at,
    )
