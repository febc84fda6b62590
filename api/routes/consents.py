"""What a customer agreed to hear about and took back: seen and written down."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.routing import router
from domain.access import Actor, Permission
from domain.canonical.consents import LONGEST_SOURCE, Channel, ConsentState, Purpose
from domain.privacy import masked_text
from services.consents import Consent

consents = router("/api/v1/customers/{customer_id}/consents", "customers")

Reader = Annotated[Actor, requires(Permission.CUSTOMERS_READ)]
Decider = Annotated[Actor, requires(Permission.CUSTOMERS_SUPPRESS)]


class ConsentOut(BaseModel):
    """One statement. channel: null for every one. source, at: how and when they said so. account_id, made_by: the
    account that told it, or who wrote it down. in_force: whether no newer one has taken its place."""

    model_config = ConfigDict(from_attributes=True)

    state: ConsentState
    purpose: Purpose
    channel: Channel | None
    source: str
    at: AwareDatetime
    recorded_at: AwareDatetime
    account_id: str | None
    made_by: str | None
    in_force: bool


class ConsentList(BaseModel):
    """Every statement, the newest first; numbers in a source are masked."""

    items: list[ConsentOut]


class ConsentIn(BaseModel):
    """What the customer said, how (as it can be proved later), and when (now when left out)."""

    model_config = ConfigDict(extra="forbid")

    state: ConsentState
    source: str = Field(min_length=1, max_length=LONGEST_SOURCE)
    purpose: Purpose = "marketing"
    channel: Channel | None = None
    at: AwareDatetime | None = None


@consents.get("", summary="同意记录 · What a customer agreed to")
async def list_consents(customer_id: UUID, actor: Reader, deps: Deps) -> ConsentList:
    """同意与撤回的全部记录，最新在前。· Every statement, the newest first."""
    return _list(await deps.consents.of_customer(actor, customer_id))


@consents.post("", summary="登记同意或撤回 · Write down a consent")
async def record_consent(customer_id: UUID, said: ConsentIn, actor: Decider, deps: Deps) -> ConsentList:
    """登记客户的同意或撤回；撤回营销后，等待中的营销旅程随即结束。写入审计。

    A consent, or that it is taken back: journeys that wait then end at once. It is audited.
    """
    found = await deps.consents.record(
        actor, customer_id, said.state, said.source, purpose=said.purpose, channel=said.channel, at=said.at
    )
    return _list(found)


def _list(found: Sequence[Consent]) -> ConsentList:
    shown = [replace(each, source=masked_text(each.source)) for each in found]
    return ConsentList(items=[ConsentOut.model_validate(each) for each in shown])
