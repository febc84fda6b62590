"""The audit log: who did what to what, in a chain that shows a change or a gap."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict

from api.auth import requires
from api.deps import Deps
from api.paging import Instant, PageOf, Paging, Word
from api.routing import router
from domain.access import Actor, Permission
from domain.problems import Text, ValidationProblem
from storage.audit import ChainHead, ChainReport

audit = router("/api/v1/audit", "audit")

Auditor = Annotated[Actor, requires(Permission.AUDIT_READ)]


class EntryOut(BaseModel):
    """One entry. target: `kind:id`; token_id: the token it was done with."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    at: AwareDatetime
    actor: str
    token_id: UUID | None
    action: str
    target: str
    detail: dict[str, Any]


class ChainFindingOut(BaseModel):
    """What is wrong at a position: altered, missing, broken, gap, unchained, truncated or unverifiable."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    position: int | None
    entry_id: UUID | None


class HeadOut(BaseModel):
    """The last link; keep it elsewhere and give it back as `position` and `seal` to notice an end that was cut off."""

    position: int
    seal: str


class ChainOut(BaseModel):
    """What verifying saw: links checked, entries that wait for theirs, and what is wrong."""

    intact: bool
    sealed: int
    pending: int
    findings: list[ChainFindingOut]
    head: HeadOut | None


@audit.get("", summary="查询审计记录 · List audit entries")
async def list_audit_entries(
    reader: Auditor,
    deps: Deps,
    page: Paging,
    actor: Word | None = None,
    action: Annotated[str | None, Query(max_length=100, description="user.disable，或前缀 user. · or a prefix")] = None,
    target: Annotated[str | None, Query(max_length=400)] = None,
    since: Instant | None = None,
    until: Instant | None = None,
) -> PageOf[EntryOut]:
    """数据范围内的记录，最新在前。· Entries within one's data scope, the newest first."""
    found: Any = await deps.audit.list(
        reader, page, actor=actor, action=action, target=target, since=since, until=until
    )
    return PageOf[EntryOut].model_validate(found)


@audit.get("/verification", summary="校验审计链 · Verify the chain")
async def verify_audit_chain(
    reader: Auditor,
    deps: Deps,
    position: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    seal: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
) -> ChainOut:
    """重新计算整条链；可附上另存的链头以发现被截断的结尾。

    Computes the whole chain again; with a head that was kept elsewhere, an end that was cut off shows as well.
    """
    if (position is None) != (seal is None):
        raise ValidationProblem(
            Text("position 与 seal 需要一起给出", "Give `position` and `seal` together"),
            errors=[{"pointer": "query/seal" if seal is None else "query/position"}],
        )
    known = ChainHead(position, bytes.fromhex(seal)) if position is not None and seal is not None else None
    return _shown(await deps.audit.verify(reader, known))


def _shown(report: ChainReport) -> ChainOut:
    return ChainOut(
        intact=report.intact,
        sealed=report.sealed,
        pending=report.pending,
        findings=[ChainFindingOut.model_validate(each) for each in report.findings],
        head=HeadOut(position=report.head.position, seal=report.head.seal.hex()) if report.head else None,
    )
