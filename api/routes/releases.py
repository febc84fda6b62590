"""Releases: which version new runs get, in which share."""

from typing import Annotated, Any

from fastapi import Response, status
from pydantic import BaseModel, ConfigDict, Field

from api.auth import requires
from api.deps import Deps
from api.etags import etag
from api.paging import PageOf, Paging
from api.routes.definitions import Name, Namespace, Reader
from api.routing import router
from domain.access import Actor, Permission
from storage.releases import Release

releases = router("/api/v1/releases", "releases")

Releaser = Annotated[Actor, requires(Permission.RELEASES_MANAGE)]
Reason = Annotated[str | None, Field(max_length=500)]


class ReleaseIn(BaseModel):
    """A version and the share (of new runs; of customers, for tag rules and gradings) that gets it; at 100 it becomes
    the stable version. A flow's has to be published before."""

    model_config = ConfigDict(extra="forbid")

    version: str = Field(max_length=64)
    share_percent: float = Field(ge=0, le=100)
    reason: Reason = None


class RollBackIn(BaseModel):
    """Why; kept in the release history."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = None


@releases.post("/{namespace}/{name}", status_code=status.HTTP_201_CREATED, summary="放量 · Release to a share")
async def release_version(namespace: Namespace, name: Name, wanted: ReleaseIn, actor: Releaser, deps: Deps) -> Release:
    """按主体的稳定哈希分配新运行；进行中的运行保持原版本。

    New runs are drawn by a stable hash of their subject; runs under way keep their version.
    """
    return await deps.releases.release(actor, namespace, name, wanted.version, wanted.share_percent, wanted.reason)


@releases.post("/{namespace}/{name}/rollback", status_code=status.HTTP_201_CREATED, summary="回滚 · Roll back")
async def roll_back_release(
    namespace: Namespace, name: Name, actor: Releaser, deps: Deps, wanted: RollBackIn | None = None
) -> Release:
    """撤回灰度版本；没有灰度时回到上一个正式版本。

    Takes back the candidate; without one, returns to the stable version before the present one.
    """
    return await deps.releases.roll_back(actor, namespace, name, wanted.reason if wanted else None)


@releases.get("/{namespace}/{name}", summary="当前放量 · The release that counts")
async def show_release(namespace: Namespace, name: Name, actor: Reader, deps: Deps, response: Response) -> Release:
    """新运行现在得到哪个版本。· What new runs get now."""
    release = await deps.releases.current(actor, namespace, name)
    response.headers["ETag"] = etag(release.id)
    return release


@releases.get("/{namespace}/{name}/history", summary="放量历史 · Release history")
async def list_releases(namespace: Namespace, name: Name, actor: Reader, deps: Deps, page: Paging) -> PageOf[Release]:
    """全部放量与回滚，最新在前。· Every release and roll-back, the newest first."""
    found: Any = await deps.releases.history(actor, namespace, name, page)
    return PageOf[Release].model_validate(found)
