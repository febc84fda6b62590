"""What flows refer to by name: forms, queues and message templates. They are uploaded with the definitions."""

from typing import Annotated, Any

from fastapi import Path, Response
from pydantic import BaseModel

from api.auth import requires
from api.deps import Deps
from api.paging import PageOf, Paging, Word
from api.routes.definitions import Approver, Sentence, Version, Versions, VersionWithText
from api.routing import router
from domain.access import Actor, Permission
from domain.definitions import DefinitionDiff, DefinitionVersion
from domain.resources import ResourceKind

resources = router("/api/v1/resources", "resources", authored=True)

Kind = Annotated[ResourceKind, Path(examples=["form"])]
Name = Annotated[str, Path(max_length=64, examples=["inspection"])]
Reader = Annotated[Actor, requires(Permission.DEFINITIONS_READ)]
Publisher = Annotated[Actor, requires(Permission.DEFINITIONS_PUBLISH, Permission.SCHEMES_PUBLISH)]


class ExplainedOut(BaseModel):
    """A scheme in plain words: on the whole of it, then on each component, with a worked example."""

    sentences: list[Sentence]


@resources.get("/{kind}", summary="查询资源 · List resources of a kind")
async def list_resources(
    kind: Kind, actor: Reader, deps: Deps, page: Paging, name: Word | None = None, published: bool | None = None
) -> PageOf[DefinitionVersion]:
    """表单、队列或消息模板的版本，最新上传在前。· Versions of forms, queues or messages, the newest upload first."""
    found: Any = await deps.definitions.search(actor, page, kind=kind, name=name, published=published)
    return PageOf[DefinitionVersion].model_validate(found)


@resources.get("/{kind}/{name}", summary="资源的全部版本 · History of a resource")
async def list_resource_versions(kind: Kind, name: Name, actor: Reader, deps: Deps) -> Versions:
    """一个资源的全部版本。· All versions of one resource, the newest upload first."""
    return Versions(items=await deps.definitions.history(actor, kind, "", name))


@resources.get("/{kind}/{name}/diff", summary="比较资源版本 · Compare versions of a resource")
async def compare_resource_versions(
    kind: Kind, name: Name, before: Word, after: Word, actor: Reader, deps: Deps
) -> DefinitionDiff:
    """两个版本的文本差异。· The difference of two versions' texts."""
    return await deps.definitions.diff(actor, kind, "", name, before, after)


@resources.get("/{kind}/{name}/{version}", summary="查看资源版本 · Show a version of a resource")
async def show_resource_version(
    kind: Kind, name: Name, version: Version, actor: Reader, deps: Deps, response: Response
) -> VersionWithText:
    """YAML 原文与解析结果。· The text and the same parsed."""
    found, text = await deps.definitions.get(actor, (kind, "", name, version))
    response.headers["ETag"] = f'"{found.digest}"'
    return VersionWithText(**found.model_dump(), text=text, document={kind: found.properties})


@resources.get("/{kind}/{name}/{version}/explained", summary="用白话复述方案 · Tell a scheme back in plain words")
async def explain_resource_version(kind: Kind, name: Name, version: Version, actor: Reader, deps: Deps) -> ExplainedOut:
    """结算方案的任一版本，每项附算例，供财务在发布前核对；其他资源没有复述。

    Any version of a settlement's scheme, with a worked example of each component: what finance reads before it is in
    force. Other kinds are not told back.
    """
    said = await deps.definitions.explained(actor, (kind, "", name, version))
    return ExplainedOut(sentences=[Sentence(zh=each.zh, en=each.en) for each in said])


@resources.post("/{kind}/{name}/{version}/publish", summary="启用资源版本 · Put a version of a resource in force")
async def publish_resource_version(
    kind: Kind, name: Name, version: Version, actor: Publisher, deps: Deps
) -> DefinitionVersion:
    """新打开的任务与消息从此使用它；财务只可启用结算方案与归属规则。

    What opens from now on uses it. Finance puts schemes and whose orders are in force, and nothing else.
    """
    return await deps.definitions.publish(actor, (kind, "", name, version))


@resources.post("/{kind}/{name}/{version}/approve", summary="批准资源版本 · Approve a version of a resource")
async def approve_resource_version(
    kind: Kind, name: Name, version: Version, actor: Approver, deps: Deps
) -> DefinitionVersion:
    """由作者以外的人批准并启用。· Puts in force what somebody else wrote."""
    return await deps.definitions.approve(actor, (kind, "", name, version))
