"""CloudEvents that are published or waited for."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Tag, model_validator
from pydantic_core import PydanticCustomError

from domain.dsl.model.base import BY_KIND, FALSE_TAG, FIELDS_TAG, DslModel, TextBranch, require_one_of, something_given


class EventProperties(DslModel):
    """Attributes of a CloudEvent to emit or to match; extension attributes are allowed."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None


class EmittedProperties(EventProperties):
    """What an emitted event needs at least."""

    source: str
    type: str


class Correlation(DslModel):
    from_: str
    expect: str | None = None


class EventFilter(DslModel):
    with_: Annotated[EventProperties, AfterValidator(something_given)]
    correlate: dict[str, Correlation] = {}


class EventConsumption(DslModel):
    """`one` event, `all` of several, or `any` of several, the last one perhaps `until` something."""

    one: EventFilter | None = None
    all: tuple[EventFilter, ...] | None = None
    any: tuple[EventFilter, ...] | None = None
    until: "Until | None" = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "EventConsumption":
        require_one_of(self, "one", "all", "any")
        if self.until is not None and self.any is None:
            raise PydanticCustomError("until_without_any", "until belongs to any")
        return self

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        """Every filter in declaration order, `until` left out."""
        return ((self.one,) if self.one else ()) + (self.all or ()) + (self.any or ())


Until = Annotated[
    TextBranch | Annotated[EventConsumption, Tag(FIELDS_TAG)] | Annotated[Literal[False], Tag(FALSE_TAG)], BY_KIND
]
"""A condition over the events so far, or further events; `false` means nothing ends it."""

# It was written before what it holds; rebuilt, its fields can be read.
EventConsumption.model_rebuild(force=True)
