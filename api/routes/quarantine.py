"""The quarantine: pushes that could not be read are looked at, corrected, read again or put away."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.auth import requires
from api.chosen import Chosen
from api.deps import Deps
from api.masking import UnmaskFor, disclose
from api.paging import Instant, PageOf, Paging, RowId, Word
from api.routing import router
from domain.access import Actor, Permission
from domain.exact_json import read_exactly
from services.quarantine import LARGEST_CONTENT, LONGEST_REASON, QuarantinedPush
from storage.inbox import StoredPush
from storage.quarantine import QuarantineFilter

quarantine = router("/api/v1/events/quarantine", "events")

Reader = Annotated[Actor, requires(Permission.EVENTS_READ)]
Sender = Annotated[Actor, requires(Permission.EVENTS_PUBLISH)]
Raw = Annotated[
    bool,
    Query(
        description="收到的原始字节（base64），需要 unmask=true · the bytes as they came, in base64; needs unmask=true"
    ),
]
Reason = Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)]


class QuarantinedOut(BaseModel):
    """A push that could not be read, and why; lists never show its content."""

    id: int
    platform: str
    account: str
    kind: str
    received_at: AwareDatetime
    reason: str | None


class QuarantinedPushOut(QuarantinedOut):
    """The same with its content. media: `json` (a value), `text` or `base64`; those two are shown in clear only."""

    media: str
    content: Any
    masked: bool


class QuarantineGroupOut(BaseModel):
    """Pushes that have all of this in common, and when the first and the last of them came."""

    model_config = ConfigDict(from_attributes=True)

    platform: str
    account: str
    kind: str
    reason: str
    count: int
    oldest: AwareDatetime
    newest: AwareDatetime


class GroupsOut(BaseModel):
    """The largest groups, a hundred at most."""

    groups: list[QuarantineGroupOut]


class ChosenIn(Chosen):
    """Which quarantined pushes: by id, or by what they have in common. reason: a part of it."""

    platform: str | None = Field(None, max_length=256)
    account: str | None = Field(None, max_length=256)
    kind: str | None = Field(None, max_length=256)
    reason: str | None = Field(None, min_length=1, max_length=256)
    since: Instant | None = None
    before: Instant | None = None

    def filter(self) -> QuarantineFilter:
        return QuarantineFilter(**self.model_dump())


class PutAwayIn(BaseModel):
    """Which ones, and why nothing in them is worth keeping."""

    model_config = ConfigDict(extra="forbid")

    pushes: ChosenIn
    reason: Reason


class CorrectionIn(BaseModel):
    """What the push should have said. content: all of it, as text; patch: members of its JSON to change (RFC 7396)."""

    model_config = ConfigDict(extra="forbid")

    content: str | None = Field(None, min_length=1, max_length=LARGEST_CONTENT)
    patch: dict[str, Any] | None = Field(None, min_length=1, max_length=200)
    reason: Reason

    @model_validator(mode="after")
    def _one_way(self) -> "CorrectionIn":
        if (self.content is None) == (self.patch is None):
            raise ValueError("content 与 patch 必须且只能给出一个 · give either `content` or `patch`")
        return self


class CorrectionsIn(BaseModel):
    """Which ones, and the members of their JSON to change (RFC 7396), the same in each. cursor: of the last answer."""

    model_config = ConfigDict(extra="forbid")

    pushes: ChosenIn
    patch: dict[str, Any] = Field(min_length=1, max_length=200)
    reason: Reason
    cursor: str | None = Field(None, max_length=1024)


class CorrectionsOut(BaseModel):
    """How many were corrected, and how many stay as they are; problem: the number of the first of these, and why."""

    model_config = ConfigDict(from_attributes=True)

    corrected: int
    refused: int
    problem: str | None
    next_cursor: str | None


class CorrectedOut(BaseModel):
    """The push that is read in its place."""

    id: int


class MovedOut(BaseModel):
    """How many there were; more: as many as one request moves, so ask again for the rest."""

    model_config = ConfigDict(from_attributes=True)

    found: int
    more: bool


def _wanted(
    platform: Word | None = None,
    account: Word | None = None,
    kind: Word | None = None,
    reason: Word | None = None,
    since: Instant | None = None,
    before: Instant | None = None,
) -> QuarantineFilter:
    return QuarantineFilter(None, platform, account, kind, reason, since, before)


@quarantine.get("", summary="隔离的推送 · Pushes that could not be read")
async def list_quarantined_pushes(
    actor: Reader, deps: Deps, wanted: Annotated[QuarantineFilter, Depends(_wanted)], page: Paging
) -> PageOf[QuarantinedOut]:
    """平台推送中无法解析的，最早在前。· Pushes of platforms that no connector understood, the oldest first."""
    found = await deps.quarantine.list(actor, wanted, page)
    return PageOf[QuarantinedOut](
        items=[QuarantinedOut(**_members(each)) for each in found.items], next_cursor=found.next_cursor
    )


@quarantine.get("/groups", summary="隔离原因汇总 · Why pushes are there")
async def list_quarantine_groups(actor: Reader, deps: Deps) -> GroupsOut:
    """按平台、账号、类型与原因汇总，数量多的在前。· By platform, account, kind and reason, the largest groups first."""
    groups = await deps.quarantine.groups(actor)
    return GroupsOut(groups=[QuarantineGroupOut.model_validate(each) for each in groups])


@quarantine.post("/retry", summary="重新解析 · Read again")
async def retry_quarantined_pushes(chosen: ChosenIn, actor: Sender, deps: Deps) -> MovedOut:
    """修复连接器或账号后重新解析，一次最多 10000 条。

    Reads them again, after the connector or the account was mended; 10,000 at a time.
    """
    return MovedOut.model_validate(await deps.quarantine.redrive(actor, chosen.filter()))


@quarantine.post("/put-away", summary="搁置无用的推送 · Be done with them")
async def put_quarantined_pushes_away(wanted: PutAwayIn, actor: Sender, deps: Deps) -> MovedOut:
    """不再解析；按保留期删除。· They are not read any more, and deleted by age."""
    return MovedOut.model_validate(await deps.quarantine.put_away(actor, wanted.pushes.filter(), wanted.reason))


@quarantine.post("/correct", summary="按条件更正并重新解析 · Correct many and read them again")
async def correct_quarantined_pushes(
    wanted: CorrectionsIn, actor: Sender, deps: Deps, request: Request
) -> CorrectionsOut:
    """同样的字段，逐条先试着解析，一次最多 200 条；仍不能理解的保持不变，用 next_cursor 继续。

    The same members in each, each tried first, 200 at a time; what still cannot be read stays as it is, and
    `next_cursor` goes on.
    """
    patch = read_exactly((await request.body()).decode())["patch"]
    done = await deps.quarantine.correct_all(actor, wanted.pushes.filter(), patch, wanted.reason, cursor=wanted.cursor)
    return CorrectionsOut.model_validate(done)


@quarantine.get("/{push_id}", summary="推送内容 · What came")
async def show_quarantined_push(
    push_id: RowId, actor: Reader, deps: Deps, request: Request, unmask_for: UnmaskFor, raw: Raw = False
) -> QuarantinedPushOut:
    """JSON 内容打码显示；其他内容与原始字节只能查看明文，并写入审计。

    JSON is shown masked; whatever else, and the bytes as they came, in clear only, for a reason that is audited.
    """
    found = disclose(request, await deps.quarantine.show(actor, push_id, unmask_for=unmask_for, raw=raw))
    return _shown(found)


@quarantine.post("/{push_id}/correct", summary="更正并重新解析 · Correct it and read it again")
async def correct_quarantined_push(
    push_id: RowId, wanted: CorrectionIn, actor: Sender, deps: Deps, request: Request
) -> CorrectedOut:
    """先试着解析：仍不能理解则拒绝，什么都不变；原推送保留。

    Tried first: what still cannot be read is refused and changes nothing. The push as it came is kept.
    """
    whole = wanted.content is not None
    # The body once more: in `wanted` long fractions are floats already.
    correction = wanted.content if whole else read_exactly((await request.body()).decode())["patch"]
    return CorrectedOut(id=await deps.quarantine.correct(actor, push_id, correction, wanted.reason, whole=whole))


def _members(stored: StoredPush) -> dict[str, Any]:
    push = stored.push
    return {
        "id": stored.id,
        "platform": push.platform,
        "account": push.account,
        "kind": push.kind,
        "received_at": push.received_at,
        "reason": stored.reason,
    }


def _shown(found: QuarantinedPush) -> QuarantinedPushOut:
    return QuarantinedPushOut(**_members(found.push), media=found.media, content=found.content, masked=found.masked)
