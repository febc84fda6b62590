"""What a customer is not to be spoken to about: seen, made, lifted."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.paging import RowId
from api.routes.customers import Reason
from api.routing import router
from domain.access import Actor, Permission
from storage.suppressions import Article

suppressions = router("/api/v1/customers/{customer_id}/suppressions", "customers")

Reader = Annotated[Actor, requires(Permission.CUSTOMERS_READ)]
Decider = Annotated[Actor, requires(Permission.CUSTOMERS_SUPPRESS)]
_Name = Annotated[str, Field(min_length=1, max_length=128)]


class SuppressionOut(BaseModel):
    """One suppression. platform, account, item_id: the article, null for everything. reason: `refund` or `manual`.

    until: null until somebody lifts it. note, made_by: why and who, of a manual one.
    """

    model_config = ConfigDict(from_attributes=True)

    id: int
    reason: str
    platform: str | None
    account: str | None
    item_id: str | None
    until: AwareDatetime | None
    made_at: AwareDatetime
    note: str | None
    made_by: str | None


class SuppressionList(BaseModel):
    """What counts now, the newest first."""

    items: list[SuppressionOut]


class ArticleIn(BaseModel):
    """An article of one shop."""

    model_config = ConfigDict(extra="forbid")

    platform: _Name
    account: _Name
    item_id: _Name


class SuppressionIn(BaseModel):
    """Why, about which article (all marketing when left out), and until when (until it is lifted when left out)."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason
    article: ArticleIn | None = None
    until: AwareDatetime | None = None


@suppressions.get("", summary="停止触达 · What a customer is left alone about")
async def list_suppressions(customer_id: UUID, actor: Reader, deps: Deps) -> SuppressionList:
    """当前生效的停止触达，最新在前。· What counts now, the newest first."""
    return _list(await deps.suppressions.of_customer(actor, customer_id))


@suppressions.post("", summary="停止触达客户 · Leave a customer alone")
async def silence_customer(customer_id: UUID, wanted: SuppressionIn, actor: Decider, deps: Deps) -> SuppressionList:
    """不再发送营销消息（可只针对一件商品），等待中的营销旅程随即结束；写入审计。

    No marketing any more, or none about one article. Journeys that wait end at once. It is audited.
    """
    named = wanted.article
    article = Article(f"{named.platform}/{named.account}", named.item_id) if named is not None else None
    found = await deps.suppressions.silence(actor, customer_id, wanted.reason, article=article, until=wanted.until)
    return _list(found)


@suppressions.delete("/{suppression_id}", summary="恢复触达 · Speak to a customer again")
async def lift_suppression(
    customer_id: UUID, suppression_id: RowId, reason: Annotated[Reason, Query()], actor: Decider, deps: Deps
) -> SuppressionList:
    """解除人工设置的停止触达；退款带来的随退款解除。· Lifts what a person made; a refund's ends with the refund."""
    return _list(await deps.suppressions.lift(actor, customer_id, suppression_id, reason))


def _list(found: Any) -> SuppressionList:
    return SuppressionList(items=[SuppressionOut.model_validate(each) for each in found])
