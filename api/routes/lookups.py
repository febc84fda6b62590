"""People whom platforms were asked about in vain: listed, and asked about again."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.chosen import Chosen
from api.deps import Deps
from api.paging import Instant, PageOf, Paging, Word
from api.routes.quarantine import MovedOut
from api.routing import router
from domain.access import Actor, Permission
from storage.failed_lookups import LookupFilter, LookupState

lookups = router("/api/v1/lookups", "events")

Reader = Annotated[Actor, requires(Permission.EVENTS_READ)]
Sender = Annotated[Actor, requires(Permission.EVENTS_PUBLISH)]


class FailedLookupOut(BaseModel):
    """A key that a platform gave no answer about. id: the key's number; value: masked, null when nobody can decrypt it.
    problem: what the platform said.

    state: `given_up`, or `retrying` by itself at `next_at`. attempts: since it answered last. asked_at: when that
    happened because of which it is asked.
    """

    model_config = ConfigDict(from_attributes=True)

    id: int
    account_id: str
    customer: UUID
    kind: str
    scope: str
    value: str | None
    state: LookupState
    problem: str
    attempts: int
    asked_at: AwareDatetime
    answered_at: AwareDatetime | None
    next_at: AwareDatetime | None


class ChosenLookupsIn(Chosen):
    """Which failed lookups: by the numbers of their keys, or by what they have in common. problem: a part of it."""

    platform: str | None = Field(None, max_length=256)
    account: str | None = Field(None, max_length=256)
    state: LookupState | None = None
    problem: str | None = Field(None, min_length=1, max_length=256)
    before: Instant | None = None

    def filter(self) -> LookupFilter:
        return LookupFilter(**self.model_dump())


def _wanted(
    platform: Word | None = None,
    account: Word | None = None,
    state: LookupState | None = None,
    problem: Word | None = None,
    before: Instant | None = None,
) -> LookupFilter:
    return LookupFilter(None, platform, account, state, problem, before)


@lookups.get("", summary="查询失败的人 · People whom a platform was asked about in vain")
async def list_failed_lookups(
    actor: Reader, deps: Deps, wanted: Annotated[LookupFilter, Depends(_wanted)], page: Paging
) -> PageOf[FailedLookupOut]:
    """向平台逐人查询而未得到回答的：原因、次数、何时再试或已放弃；标识打码。

    Keys that a platform gave no answer about: why, how often, when it is tried again, or that it was given up.
    """
    found = await deps.failed_lookups.list(actor, wanted, page)
    return PageOf[FailedLookupOut](
        items=[FailedLookupOut.model_validate(each) for each in found.items], next_cursor=found.next_cursor
    )


@lookups.post("/retry", summary="再次查询 · Ask again")
async def retry_failed_lookups(chosen: ChosenLookupsIn, actor: Sender, deps: Deps) -> MovedOut:
    """补好权限或账号后再次查询，一次最多 10000 人。

    Asks again, once the permission or the account was mended; 10,000 at a time.
    """
    return MovedOut.model_validate(await deps.failed_lookups.ask_again(actor, chosen.filter()))
