"""How well platforms are read: where each stream of each account stands, and what comparing it found."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, status
from pydantic import AwareDatetime, BaseModel, ConfigDict

from api.auth import requires
from api.deps import Deps
from api.paging import PageOf, Paging, Word
from api.routing import router
from domain.access import Actor, Permission
from domain.organisation import Slug

streams = router("/api/v1/streams", "accounts")
comparisons = router("/api/v1/comparisons", "accounts")

Reader = Annotated[Actor, requires(Permission.ACCOUNTS_READ)]
Steward = Annotated[Actor, requires(Permission.ACCOUNTS_MANAGE)]
Name = Annotated[str, Path(max_length=64, examples=["orders"])]


class AskedOut(BaseModel):
    """What was asked for; it is done in the background."""

    account_id: str
    stream: str


class StreamOut(BaseModel):
    """One stream of one account. reached_at: everything the platform changed before it was read; null at the beginning.

    records: read so far; missed: those of them that no push had brought. pulled_at: the last attempt; where
    a stream is asked every second and has nothing new, one of the last 15 seconds. problem: why it stopped;
    problem_since: since when no attempt has gone through.
    """

    model_config = ConfigDict(from_attributes=True)

    account_id: str
    stream: str
    reached_at: AwareDatetime | None
    records: int
    missed: int
    problem: str | None
    problem_since: AwareDatetime | None
    pulled_at: AwareDatetime


class ComparisonOut(BaseModel):
    """What comparing a stream over `[since, until)` found before it was mended. records: the platform's; missing: not
    here; differing: otherwise here; unread: not to be understood; accuracy: the share of the others, null when there
    were no records. parts: in how many of the differing ones what differed (`status`, `lines`, `buyer` …).

    state: `done`; `under_way`; `stopped`, for the problem, and it will be gone on with; `failed`, it was given up.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    account_id: str
    stream: str
    since: AwareDatetime
    until: AwareDatetime
    records: int
    missing: int
    differing: int
    unread: int
    parts: dict[str, int]
    accuracy: float | None
    state: Literal["under_way", "stopped", "failed", "done"]
    problem: str | None
    begun_at: AwareDatetime
    compared_at: AwareDatetime


@streams.get("", summary="查询数据流 · Where streams stand")
async def list_streams(actor: Reader, deps: Deps, page: Paging, account: Word | None = None) -> PageOf[StreamOut]:
    """各账号的数据流拉取到何时、推送漏了多少、因何停下。

    Up to when each stream was read, how much its pushes had missed, and why it stopped, if it did.
    """
    found: Any = await deps.pull_reports.streams(actor, page, account_id=account)
    return PageOf[StreamOut].model_validate(found)


@streams.post(
    "/{platform}/{slug}/{stream}/read", status_code=status.HTTP_202_ACCEPTED, summary="立即拉取 · Read a stream now"
)
async def read_stream(platform: Slug, slug: Slug, stream: Name, actor: Steward, deps: Deps) -> AskedOut:
    """不等下一个五分钟；正在拉取时，随后再拉一次。· Now, or once more after the reading that is under way."""
    await deps.stream_readings.ask(actor, f"{platform}/{slug}", stream, "pull")
    return AskedOut(account_id=f"{platform}/{slug}", stream=stream)


@streams.post(
    "/{platform}/{slug}/{stream}/compare",
    status_code=status.HTTP_202_ACCEPTED,
    summary="立即比对 · Compare a stream now",
)
async def compare_stream(platform: Slug, slug: Slug, stream: Name, actor: Steward, deps: Deps) -> AskedOut:
    """不等当夜：比对最近两天并补正，结果见比对列表。· The last two days, now; the comparisons tell what was found."""
    await deps.stream_readings.ask(actor, f"{platform}/{slug}", stream, "compare")
    return AskedOut(account_id=f"{platform}/{slug}", stream=stream)


@comparisons.get("", summary="查询比对结果 · What comparisons found")
async def list_comparisons(
    actor: Reader, deps: Deps, page: Paging, account: Word | None = None, stream: Word | None = None
) -> PageOf[ComparisonOut]:
    """每夜与平台比对的结果：缺失、不符、无法解析与准确率，没有完成的也在内并注明原因，最新的在前。

    What the nightly comparisons with the platforms found, the newest first: missing, differing, unread, accuracy. Those
    that came to no end are among them, with the reason.
    """
    found: Any = await deps.pull_reports.comparisons(actor, page, account_id=account, stream=stream)
    return PageOf[ComparisonOut].model_validate(found)
