"""Lists: what a caller asks for and gets, page after page; and the kinds of parameters that lists share."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from storage.paging import LARGEST_PAGE, PageRequest

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)

Item = TypeVar("Item")


class PageOf(BaseModel, Generic[Item]):
    """Some items, and the cursor of the next page; null on the last."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Item]
    next_cursor: str | None = None


def _page_request(
    size: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="每页条数 · items a page")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=1024, description="上一页的 next_cursor · the previous page's next_cursor")
    ] = None,
) -> PageRequest:
    return PageRequest(size, cursor)


def _sensible(instant: datetime) -> datetime:
    if not _EARLIEST <= instant <= _LATEST:
        raise ValueError("时间应在 2000 至 2200 年之间 · an instant between 2000 and 2200 is meant")
    return instant


Paging = Annotated[PageRequest, Depends(_page_request)]
Instant = Annotated[AwareDatetime, AfterValidator(_sensible)]
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Word = Annotated[str, Query(max_length=256)]
"""A name or id to filter by."""
