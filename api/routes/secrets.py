"""Secrets that flows use: set, named, removed; a value is never given back."""

from typing import Annotated

from fastapi import Path, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.auth import requires
from api.deps import Deps
from api.routing import router
from domain.access import Actor, Permission
from storage.secrets import SecretValue

secrets = router("/api/v1/secrets", "secrets")

Name = Annotated[str, Path(max_length=64, examples=["warehouse"])]
Text = Annotated[str, Field(min_length=1, max_length=65_536)]


class SecretIn(BaseModel):
    """One value, or several named members."""

    model_config = ConfigDict(extra="forbid")

    value: Text | None = None
    members: dict[Annotated[str, Field(min_length=1, max_length=64)], Text] | None = Field(
        default=None, min_length=1, max_length=50
    )

    @property
    def content(self) -> SecretValue:
        return self.value if self.value is not None else self.members or {}

    @model_validator(mode="after")
    def _one_of_them(self) -> "SecretIn":
        if (self.value is None) == (self.members is None):
            raise ValueError("value 与 members 必须且只能给出一个 · give either `value` or `members`")
        return self


class SecretOut(BaseModel):
    """A secret without its value."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    members: list[str] | None
    updated_at: AwareDatetime
    updated_by: str


class SecretList(BaseModel):
    """All secrets, by name."""

    items: list[SecretOut]


@secrets.get("", summary="查询密钥 · List secrets")
async def list_secrets(actor: Annotated[Actor, requires(Permission.SECRETS_READ)], deps: Deps) -> SecretList:
    """名称、成员与最近修改；不含值。· Names, members and last changes; no values."""
    return SecretList(items=[SecretOut.model_validate(each) for each in await deps.secrets.list(actor)])


@secrets.put("/{name}", status_code=status.HTTP_204_NO_CONTENT, summary="设置密钥 · Set a secret")
async def set_secret(
    name: Name, wanted: SecretIn, actor: Annotated[Actor, requires(Permission.SECRETS_MANAGE)], deps: Deps
) -> None:
    """覆盖已有的值。· Replaces what was there."""
    await deps.secrets.set(actor, name, wanted.content)


@secrets.delete("/{name}", status_code=status.HTTP_204_NO_CONTENT, summary="删除密钥 · Remove a secret")
async def remove_secret(name: Name, actor: Annotated[Actor, requires(Permission.SECRETS_MANAGE)], deps: Deps) -> None:
    """使用它的流程之后会报权限错误。· Flows that use it get an authorization error from now on."""
    await deps.secrets.remove(actor, name)
