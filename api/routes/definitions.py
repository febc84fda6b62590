"""Definitions of flows: checked, uploaded, published, compared, tried out."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.auth import requires
from api.bodies import UPLOAD_MEDIA_TYPES, uploaded_texts
from api.deps import Deps
from api.drawings import ANSWERS, Style, drawn
from api.paging import PageOf, Paging, Word
from api.routing import router
from domain.access import Actor, Permission
from domain.definitions import DefinitionDiff, DefinitionVersion
from domain.dsl.definition import parse_definition
from domain.dsl.dry_run import TimedEvent
from domain.events import Event
from storage.paging import Page

definitions = router("/api/v1/definitions", "definitions", authored=True)

Namespace = Annotated[str, Path(max_length=64, examples=["apparel"])]
Name = Annotated[str, Path(max_length=64, examples=["return-refund"])]
Version = Annotated[str, Path(max_length=64, examples=["1.0.0"])]
Reader = Annotated[Actor, requires(Permission.DEFINITIONS_READ)]
Author = Annotated[Actor, requires(Permission.DEFINITIONS_DRAFT)]
Uploader = Annotated[Actor, requires(Permission.DEFINITIONS_DRAFT, Permission.SCHEMES_DRAFT)]
Publisher = Annotated[Actor, requires(Permission.DEFINITIONS_PUBLISH)]
Approver = Annotated[Actor, requires(Permission.DEFINITIONS_APPROVE)]

LONGEST_DRY_RUN = timedelta(days=3660)
_YAML = {"schema": {"type": "string"}, "example": "document:\n  dsl: '1.0.3'\n  namespace: apparel\n  name: hello\n"}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["files"],
        "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    }
}
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: _FORM if kind == "multipart/form-data" else _YAML for kind in UPLOAD_MEDIA_TYPES},
    }
}
FileName = Annotated[
    str | None, Query(alias="file", max_length=200, description="单个文本的文件名 · name of a single text")
]


class Sentence(BaseModel):
    """One sentence in both languages."""

    zh: str
    en: str


class FindingOut(BaseModel):
    """One remark of the linter: where, how bad, and what to do."""

    file: str
    code: str
    severity: Literal["error", "warning", "info"]
    line: int
    column: int
    message: Sentence


class Check(BaseModel):
    """Everything there is to say about the texts; `ok` when none of it is an error."""

    ok: bool
    findings: list[FindingOut]


class UploadedOut(BaseModel):
    """What became of one document."""

    model_config = ConfigDict(from_attributes=True)

    file: str
    version: DefinitionVersion
    outcome: Literal["created", "unchanged"]
    warnings: list[FindingOut]


class Uploads(BaseModel):
    """Every document of an upload; all were stored."""

    documents: list[UploadedOut]


class VersionWithText(DefinitionVersion):
    """A version, its text as its author wrote it, and the same parsed."""

    text: str
    document: dict[str, Any]


class Versions(BaseModel):
    """All versions of one definition, the newest upload first."""

    items: list[DefinitionVersion]


class TimedEventIn(BaseModel):
    """An event that arrives so many seconds after the start."""

    model_config = ConfigDict(extra="forbid")

    after_s: float = Field(ge=0, le=LONGEST_DRY_RUN.total_seconds())
    event: Event


class DryRunIn(BaseModel):
    """What to try: a text, or a version that was uploaded; with input and scripted events."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, max_length=500_000)
    namespace: str | None = Field(default=None, max_length=64)
    name: str | None = Field(default=None, max_length=64)
    version: str | None = Field(default=None, max_length=64)
    input: Any = None
    subject: str = Field(default="", max_length=256)
    events: list[TimedEventIn] = Field(default=[], max_length=1_000)

    @model_validator(mode="after")
    def _one_source(self) -> "DryRunIn":
        if (self.text is None) == (self.key is None):
            raise ValueError(
                "请给出 text，或 namespace、name 与 version · give either `text`, or `namespace`, `name` and `version`"
            )
        return self

    @property
    def key(self) -> tuple[Literal["flow"], str, str, str] | None:
        if self.namespace is None or self.name is None or self.version is None:
            return None
        return ("flow", self.namespace, self.name, self.version)


class DryRunOut(BaseModel):
    """How a dry-run ended, and what it would have done. virtual_s: how much time passed on its clock."""

    model_config = ConfigDict(from_attributes=True)

    status: Literal["completed", "faulted", "cancelled"]
    output: Any
    error: dict[str, Any] | None
    tasks: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    emitted: list[dict[str, Any]]
    virtual_s: float


@definitions.post(
    "", status_code=status.HTTP_201_CREATED, openapi_extra=UPLOAD, summary="上传定义 · Upload definitions"
)
async def upload_definitions(request: Request, actor: Uploader, deps: Deps, file: FileName = None) -> Uploads:
    """上传一个或多个 YAML（流程、表单、队列、消息模板、标签规则、分级、结算方案、归属规则），全部成功或全部不变。

    财务只可上传结算方案与归属规则。

    Uploads one or many YAML texts of flows, forms, queues, messages, tag rules, gradings, schemes and whose orders are:
    all are stored, or none. Finance uploads schemes and whose orders are, and nothing else.
    """
    uploaded = await deps.definitions.upload(actor, await uploaded_texts(request, file))
    return Uploads(documents=[UploadedOut.model_validate(each) for each in uploaded])


@definitions.post(
    "/lint",
    dependencies=[requires(Permission.DEFINITIONS_DRAFT, Permission.SCHEMES_DRAFT)],
    openapi_extra=UPLOAD,
    summary="检查定义 · Check definitions",
)
async def lint_definitions(request: Request, deps: Deps, file: FileName = None) -> Check:
    """只检查，不保存。· Says everything there is to say, and stores nothing."""
    findings = await deps.definitions.check(await uploaded_texts(request, file))
    return Check(
        ok=all(found["severity"] != "error" for found in findings),
        findings=[FindingOut.model_validate(found) for found in findings],
    )


@definitions.post("/dry-run", summary="试运行 · Try a flow out")
async def dry_run_definition(wanted: DryRunIn, actor: Author, deps: Deps) -> DryRunOut:
    """在虚拟时钟上运行到底，不触及任何外部系统。· Runs to the end on a virtual clock; nothing outside is touched."""
    text = wanted.text
    if wanted.key is not None:
        _, text = await deps.definitions.get(actor, wanted.key)
    events = [TimedEvent(timedelta(seconds=each.after_s), each.event) for each in wanted.events]
    result = await deps.definitions.dry_run(actor, text or "", wanted.input, events, wanted.subject)
    return DryRunOut.model_validate(result)


@definitions.get("", summary="查询定义 · List definitions")
async def list_definitions(
    actor: Reader,
    deps: Deps,
    page: Paging,
    namespace: Word | None = None,
    name: Word | None = None,
    published: bool | None = None,
) -> PageOf[DefinitionVersion]:
    """流程定义的版本，最新上传在前。· Versions of flows, the newest upload first."""
    found: Page[DefinitionVersion] = await deps.definitions.search(
        actor, page, kind="flow", namespace=namespace, name=name, published=published
    )
    return PageOf[DefinitionVersion].model_validate(found)


@definitions.get("/{namespace}/{name}", summary="定义的全部版本 · History of a definition")
async def list_definition_versions(namespace: Namespace, name: Name, actor: Reader, deps: Deps) -> Versions:
    """一个流程的全部版本，最新上传在前。· All versions of one flow, the newest upload first."""
    return Versions(items=await deps.definitions.history(actor, "flow", namespace, name))


@definitions.get("/{namespace}/{name}/diff", summary="比较两个版本 · Compare two versions")
async def compare_definition_versions(
    namespace: Namespace, name: Name, before: Word, after: Word, actor: Reader, deps: Deps
) -> DefinitionDiff:
    """文本差异与任务增删改。· The texts' difference, and which tasks were added, removed or changed."""
    return await deps.definitions.diff(actor, "flow", namespace, name, before, after)


@definitions.get("/{namespace}/{name}/{version}", summary="查看版本 · Show a version")
async def show_definition_version(
    namespace: Namespace, name: Name, version: Version, actor: Reader, deps: Deps, response: Response
) -> VersionWithText:
    """作者的 YAML 原文与解析结果。· The text as its author wrote it, and the same parsed."""
    found, text = await deps.definitions.get(actor, ("flow", namespace, name, version))
    response.headers["ETag"] = f'"{found.digest}"'
    return VersionWithText(**found.model_dump(), text=text, document=parse_definition(text).data)


@definitions.get(
    "/{namespace}/{name}/{version}/graph",
    response_class=Response,
    responses=ANSWERS,
    summary="流程图 · Draw a version",
)
async def draw_definition_version(
    namespace: Namespace,
    name: Name,
    version: Version,
    actor: Reader,
    deps: Deps,
    request: Request,
    style: Annotated[Style, Query(alias="format", description="图片、Mermaid 或节点与边 · the form")] = "svg",
) -> Response:
    """流程图：SVG 图片、Mermaid 文本，或 JSON 的节点与边；文字语言随 Accept-Language。

    The graph: an SVG picture, Mermaid's notation, or nodes and edges as JSON; `Accept-Language` chooses its words.
    """
    return await drawn(request, deps.definitions, actor, ("flow", namespace, name, version), style)


@definitions.post("/{namespace}/{name}/{version}/publish", summary="发布版本 · Publish a version")
async def publish_definition_version(
    namespace: Namespace, name: Name, version: Version, actor: Publisher, deps: Deps
) -> DefinitionVersion:
    """发布后才能放量；重复发布不改变任何东西。· A published version can be released; doing it again changes nothing."""
    return await deps.definitions.publish(actor, ("flow", namespace, name, version))


@definitions.post("/{namespace}/{name}/{version}/approve", summary="批准版本 · Approve a version")
async def approve_definition_version(
    namespace: Namespace, name: Name, version: Version, actor: Approver, deps: Deps
) -> DefinitionVersion:
    """由作者以外的人批准并发布。· Publishes what somebody else wrote: the second pair of eyes."""
    return await deps.definitions.approve(actor, ("flow", namespace, name, version))
