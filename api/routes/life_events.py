"""Stages of life that staff heard of: written down."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.routes.tags import CustomerTagsOut
from api.routing import router
from domain.access import Actor, Permission
from services.life_events import NAME

life_events = router("/api/v1/customers/{customer_id}/life-events", "customers")


class LifeEventIn(BaseModel):
    """name: `pregnancy`, `birth`, `birthday`, `new_pet` …, as rules ask for it. due_on: the day it is about (an
    expected birth, a birthday). account: the shop where it was heard of, `wecom/main`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=f"^{NAME}$")
    due_on: date | None = None
    account: str = Field(min_length=3, max_length=128)


@life_events.post("", summary="登记人生阶段 · Note a stage of life")
async def note_life_event(
    customer_id: UUID,
    heard: LifeEventIn,
    actor: Annotated[Actor, requires(Permission.CUSTOMERS_TAG)],
    deps: Deps,
) -> CustomerTagsOut:
    """登记导购得知的人生阶段（孕期、生日、新宠物），标签随即更新；再登记一次即更正日期。写入审计。

    What staff heard of a stage of life: rules look at once, and noting it again corrects the day. It is audited.
    """
    customer = await deps.life_events.note(actor, customer_id, heard.account, heard.name, heard.due_on)
    return CustomerTagsOut.model_validate(await deps.customer_tags.of_customer(actor, customer))
