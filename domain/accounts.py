"""Accounts on platforms: one shop, corp or merchant each, with the credentials to speak for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.organisation import HEADQUARTERS, Slug, UnitPath
from domain.problems import Text

AccountTitle = Annotated[str, Field(min_length=1, max_length=100)]


class NewAccount(BaseModel):
    """An account to be connected. credentials: app keys, secrets, callback keys, by the names its connector asks for;
    settings: what is no secret (an agent id, a warehouse)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: Slug
    slug: Slug
    name: AccountTitle
    unit_path: UnitPath = HEADQUARTERS
    credentials: Mapping[str, str] = Field(max_length=50, repr=False)
    settings: Mapping[str, Any] = Field(default={}, max_length=50)

    @property
    def id(self) -> str:
        return f"{self.platform}/{self.slug}"


class Account(BaseModel):
    """A connected account, without its credentials; only their names are told."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    platform: str
    slug: str
    name: str
    unit_path: str
    credential_names: tuple[str, ...]
    settings: Mapping[str, Any]
    active: bool
    created_at: AwareDatetime
    rotated_at: AwareDatetime


@dataclass(frozen=True, slots=True)
class AccountField:
    """One thing that a connector asks of an account. secret: it is given as a credential, else as a setting. type: as
    JSON calls it; choices: the words it may be, empty when any; default: what holds when it is left out."""

    name: str
    secret: bool
    required: bool
    type: str
    choices: tuple[str, ...]
    default: Any
    about: Text | None


@dataclass(frozen=True, slots=True)
class AccountPlatform:
    """A platform whose accounts can be connected, and what its connector asks of them."""

    platform: str
    title: Text
    fields: tuple[AccountField, ...]
