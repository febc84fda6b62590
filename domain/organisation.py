"""Where things belong: the organisation tree (headquarters → region → store) and the shops on platforms.

A unit is named by its materialised path: `/` is headquarters, `/east/` a region, `/east/store-0017/` a store. An
account is named `platform/slug` (`youzan/flagship`) for ever. Rows carry these names, so no query needs a join to know
who may see them.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

HEADQUARTERS = "/"
_SLUG = r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?"
_UNIT_PATH = re.compile(rf"/(?:{_SLUG}/){{0,8}}")
_ACCOUNT_ID = re.compile(rf"{_SLUG}/{_SLUG}")

Slug = Annotated[str, Field(pattern=rf"^{_SLUG}$")]


def _unit_path(value: str) -> str:
    if not _UNIT_PATH.fullmatch(value):
        raise ValueError(
            "应为组织路径，如 / 或 /east/store-0017/（小写字母、数字、连字符） · "
            "this must be a unit path such as / or /east/store-0017/ (small letters, digits, hyphens)"
        )
    return value


def _account_id(value: str) -> str:
    if not is_account_id(value):
        raise ValueError(
            "应为账号，如 youzan/flagship · this must be an account such as youzan/flagship (platform/slug)"
        )
    return value


def is_account_id(value: str) -> bool:
    """Whether this could be the name of an account."""
    return _ACCOUNT_ID.fullmatch(value) is not None


UnitPath = Annotated[str, AfterValidator(_unit_path)]
AccountId = Annotated[str, AfterValidator(_account_id)]


def within(path: str, branch: str) -> bool:
    """Whether a unit is the branch itself or below it."""
    return path.startswith(branch)


def parent_path(path: str) -> str | None:
    """The unit above, None for headquarters."""
    return None if path == HEADQUARTERS else path[: path.rstrip("/").rindex("/") + 1]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one record belongs, which decides who sees it.

    unit_path: the organisation unit. account_id: the shop or corp it came from, None when from none. customer_owner:
    login of the person whose customer it is about, None when nobody's.
    """

    unit_path: str = HEADQUARTERS
    account_id: str | None = None
    customer_owner: str | None = None


class Unit(BaseModel):
    """One node of the organisation tree."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    path: UnitPath
    name: str = Field(min_length=1, max_length=100)
