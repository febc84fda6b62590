"""Tags: what a customer carries and why, decisions about them, and what a rule would change."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.routes.definitions import Name
from api.routes.releases import ReleaseIn, Releaser
from api.routing import router
from domain.access import Actor, Permission
from domain.definitions import DefinitionVersion
from domain.tags.views import LONGEST_REASON, LONGEST_TAG
from services.customer_tags import Decision

customer_tags = router("/api/v1/customers/{customer_id}/tags", "tags")
tag_rules = router("/api/v1/tag-rules", "tags", authored=True)
gradings = router("/api/v1/gradings", "tags", authored=True)

Customer = Annotated[UUID, Path(examples=["0199c0de-0000-7000-8000-000000000001"])]
Tag = Annotated[str, Path(min_length=1, max_length=LONGEST_TAG, examples=["高价值"])]
Reader = Annotated[Actor, requires(Permission.CUSTOMERS_READ)]
RuleReader = Annotated[Actor, requires(Permission.DEFINITIONS_READ)]
Author = Annotated[Actor, requires(Permission.DEFINITIONS_DRAFT)]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SeenOut(BaseModel):
    """What a rule saw: a measure of a fact's records, and whether that met its condition. Amounts are minor units of
    `currency`, the merchant's own when there is none."""

    place: str
    fact: str
    measure: str
    of: str
    value: int | str | None
    met: bool
    currency: str | None = None


class CarriedTagOut(_Out):
    """A tag that counts now. source: `rule`, `manual` or `platform:…`; actor, reason: of a decision."""

    tag: str
    source: str
    since: AwareDatetime
    rule: str | None
    version: str | None
    why: list[SeenOut]
    actor: str | None
    reason: str | None


class TagMarkOut(_Out):
    """A decision: a tag given (`add`) or kept from the customer (`exclude`)."""

    tag: str
    kind: str
    source: str
    actor: str
    reason: str
    marked_at: AwareDatetime


class MetStepOut(BaseModel):
    """A step of a grading that was met, and what it is worth."""

    name: str
    points: int


class GradeOut(_Out):
    """A grade, null when no word fits; score: points, 0 for stages."""

    grading: str
    version: str
    grade: str | None
    score: int
    since: AwareDatetime
    why: list[MetStepOut]


class CustomerTagsOut(_Out):
    """customer_id: who stands for the customer now, after merges. too_many_records: there are so many that rules and
    gradings do not look at the customer any more; what they said last stays."""

    customer_id: UUID
    carried: list[CarriedTagOut]
    excluded: list[TagMarkOut]
    grades: list[GradeOut]
    too_many_records: bool


class RuleReasonOut(_Out):
    """A rule's answer. why: what `version` saw when the answer last turned; now: what `decides` sees at this moment.

    decides: the version that counts for this customer, null where none does; share_percent: of a version that is tried
    out, null when none is.
    """

    rule: str
    version: str
    title: str
    held: bool
    since: AwareDatetime | None
    why: list[SeenOut]
    now: list[SeenOut]
    next_check_at: AwareDatetime | None
    decides: str | None
    share_percent: float | None


class StepReasonOut(_Out):
    """A stage, or a condition worth points; whether it is met now, and what it sees."""

    name: str
    points: int
    met: bool
    seen: list[SeenOut]


class GradeReasonOut(_Out):
    """A grading's answer: the grade and score as they stand, and every step as it is now."""

    grading: str
    version: str
    title: str
    grade: str | None
    score: int
    since: AwareDatetime | None
    steps: list[StepReasonOut]


class ExplanationOut(_Out):
    """Why a customer carries a tag or a grade, or does not."""

    customer_id: UUID
    tag: str
    carried: bool
    rules: list[RuleReasonOut]
    marks: list[TagMarkOut]
    grades: list[GradeReasonOut]


class TagDecisionIn(BaseModel):
    """decision: `add` gives the tag, `remove` takes that back, `exclude` keeps every rule from giving it, `include`
    takes that back."""

    model_config = ConfigDict(extra="forbid")

    tag: Annotated[str, Field(min_length=1, max_length=LONGEST_TAG)]
    decision: Decision
    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)]


class TagRuleOut(_Out):
    """A rule in force. complete: whether everybody was looked at with this version; customers: how many were.

    holders: customers who carry the tag by rules; 10,000 stands for so many and more. candidate: the version that is
    tried out on `share_percent` of the customers, null when none is.
    """

    rule: str
    version: str
    tag: str
    group: str | None
    title: str
    active: bool
    customers: int
    complete: bool
    holders: int
    candidate: str | None
    share_percent: float | None


class TagRuleList(BaseModel):
    items: list[TagRuleOut]


class TagPreviewIn(BaseModel):
    """The YAML text of one tag rule, and for which share of the customers it would count."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=65_536)]
    share_percent: Annotated[float, Field(ge=0, le=100)] = 100


class TagPreviewOut(_Out):
    """What a rule would change.

    examined: customers looked at before the time was up, those known longest first; complete: those were all. Else the
    figures are theirs alone, and no sample of everybody.
    """

    rule: str
    version: str
    tag: str
    customers: int
    examined: int
    complete: bool
    holds: int
    gained: int
    lost: int
    gained_samples: list[UUID]
    lost_samples: list[UUID]
    share_percent: float


class GradePreviewIn(BaseModel):
    """A grading as YAML text."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=65_536)]


class GradeMoveOut(_Out):
    """How many customers have one grade and would have another; null is none."""

    was: str | None
    grade: str | None
    customers: int


class GradePreviewOut(_Out):
    """What a grading would change.

    examined of customers: how many were looked at before the time was up, those known longest first; complete: those
    were all. Else the figures are theirs alone, and no sample of everybody. moves: also of those who keep their grade,
    the most first.
    """

    grading: str
    version: str
    customers: int
    examined: int
    complete: bool
    moves: list[GradeMoveOut]


@customer_tags.get("", summary="客户标签 · Tags of a customer")
async def list_customer_tags(customer_id: Customer, actor: Reader, deps: Deps) -> CustomerTagsOut:
    """当前标签及依据，以及被排除的标签。· Tags that count now and why, and those that are excluded."""
    return CustomerTagsOut.model_validate(await deps.customer_tags.of_customer(actor, customer_id))


@customer_tags.get("/{tag}", summary="标签原因 · Why a tag")
async def explain_customer_tag(customer_id: Customer, tag: Tag, actor: Reader, deps: Deps) -> ExplanationOut:
    """规则版本、当时与现在的事实、自何时起，分级（等级、RFM、生命周期）的每一项，以及人工决定。

    The rules' versions, what they saw then and see now, since when; every step of gradings; and what people decided.
    """
    return ExplanationOut.model_validate(await deps.customer_tags.explain(actor, customer_id, tag))


@customer_tags.post("", summary="手工标签与排除 · Decide about a tag")
async def decide_customer_tag(
    customer_id: Customer,
    wanted: TagDecisionIn,
    actor: Annotated[Actor, requires(Permission.CUSTOMERS_TAG)],
    deps: Deps,
) -> CustomerTagsOut:
    """加、撤、排除或恢复；写入审计。· Give, take back, exclude or include; it is audited."""
    found: Any = await deps.customer_tags.decide(actor, customer_id, wanted.tag, wanted.decision, wanted.reason)
    return CustomerTagsOut.model_validate(found)


@tag_rules.get("", summary="生效的标签规则 · Tag rules in force")
async def list_tag_rules(actor: RuleReader, deps: Deps) -> TagRuleList:
    """每条规则生效的版本，以及全量补算的进度。· Each rule's version, and how far everybody was looked at with it."""
    return TagRuleList(items=[TagRuleOut.model_validate(each) for each in await deps.customer_tags.rules(actor)])


@tag_rules.post("/preview", summary="预览规则 · Preview a rule")
async def preview_tag_rule(wanted: TagPreviewIn, actor: Author, deps: Deps) -> TagPreviewOut:
    """发布前看会有多少客户得到或失去标签；不写入。

    最多 20 秒，从最早的客户看起，没看完则 complete 为 false；命令行最多 10 分钟。

    How many customers would gain or lose the tag if the rule were published; nothing is written. It takes 20 seconds at
    most and begins with who is known longest; `complete` is false where that was not everybody. The command line takes
    ten minutes.
    """
    found = await deps.customer_tags.preview(actor, wanted.text, share_percent=wanted.share_percent)
    return TagPreviewOut.model_validate(found)


@tag_rules.post("/{name}/release", status_code=status.HTTP_201_CREATED, summary="规则放量 · Release a rule")
async def release_tag_rule(name: Name, wanted: ReleaseIn, actor: Releaser, deps: Deps) -> DefinitionVersion:
    """按客户编号的稳定哈希，一部分客户用这个版本，其余用生效的版本；0 为撤回，100 为发布。

    A share of the customers, drawn by a stable hash of their id, has this version, the others have the one in force; 0
    takes it back, 100 publishes it.
    """
    released = deps.tag_trials.release
    return await released(actor, "tag-rule", name, wanted.version, wanted.share_percent, wanted.reason)


@gradings.post("/preview", summary="预览分级 · Preview a grading")
async def preview_grading(wanted: GradePreviewIn, actor: Author, deps: Deps) -> GradePreviewOut:
    """发布前看会有多少客户从哪一级到哪一级；不写入。时间与顺序同规则预览。

    How many customers would go from which grade to which if the grading were published; nothing is written. Time and
    order are those of a rule's preview.
    """
    return GradePreviewOut.model_validate(await deps.grade_previews.preview(actor, wanted.text))


@gradings.post(
    "/{name}/release", status_code=status.HTTP_201_CREATED, summary="分级放量 · Release a grading to a share"
)
async def release_grading(name: Name, wanted: ReleaseIn, actor: Releaser, deps: Deps) -> DefinitionVersion:
    """与规则放量相同。· As a rule is released to a share."""
    released = deps.tag_trials.release
    return await released(actor, "grading", name, wanted.version, wanted.share_percent, wanted.reason)
