"""What every construct is made of: the common base, unions that the kind of value decides, durations."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictInt, Tag, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$"
SEMVER_PATTERN = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$"
)


TEXT_TAG, FIELDS_TAG, FALSE_TAG = "<text>", "<fields>", "<false>"
"""Tags of unions whose branch the kind of value decides; in brackets, so that no key of an author is one of them."""


def _keyword(name: str) -> str:
    return to_camel(name.removesuffix("_"))


def kind_tag(value: Any) -> str | None:
    """The tag of the branch that a value of a union belongs to."""
    if isinstance(value, str):
        return TEXT_TAG
    if value is False:
        return FALSE_TAG
    return FIELDS_TAG if isinstance(value, dict | BaseModel) else None


BY_KIND = Discriminator(kind_tag)
TextBranch = Annotated[str, Tag(TEXT_TAG)]


_Model = TypeVar("_Model", bound=BaseModel)


class DslModel(BaseModel):
    """Base of every construct: unknown keys are refused, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_keyword, populate_by_name=True)


def something_given(model: _Model) -> _Model:
    """The model itself. Raises PydanticCustomError when nothing at all is given."""
    if not model.model_fields_set:
        keys = ", ".join(field.alias or name for name, field in type(model).model_fields.items())
        raise PydanticCustomError("nothing_given", "give at least one of {keys}", {"keys": keys})
    return model


def require_one_of(model: BaseModel, *names: str) -> None:
    """Raises PydanticCustomError unless exactly one of the fields has a value."""
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        keys = ", ".join(name.removesuffix("_") for name in names)
        raise PydanticCustomError("exactly_one", "give exactly one of {keys}", {"keys": keys, "given": len(given)})


class DurationFields(DslModel):
    """A duration by its parts; they add up."""

    days: StrictInt = Field(default=0, ge=0)
    hours: StrictInt = Field(default=0, ge=0)
    minutes: StrictInt = Field(default=0, ge=0)
    seconds: StrictInt = Field(default=0, ge=0)
    milliseconds: StrictInt = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _says_something(self) -> "DurationFields":
        return something_given(self)


_NUMBER = r"\d+(?:\.\d+)?"
DURATION_TEXT_PATTERN = (
    rf"^\s*(?:P(?=\d|T\d)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?|\$\{{[\s\S]*\}})\s*$"
)
"""For editors; `durations.parse_duration` decides."""

_DurationText = Annotated[
    str, Tag(TEXT_TAG), WithJsonSchema({"type": "string", "pattern": DURATION_TEXT_PATTERN, "examples": ["PT15M"]})
]
Duration = Annotated[Annotated[DurationFields, Tag(FIELDS_TAG)] | _DurationText, BY_KIND]
"""Parts, an ISO 8601 duration, or an expression that yields either."""


class Timeout(DslModel):
    after: Duration


TimeoutOrName = Annotated[Annotated[Timeout, Tag(FIELDS_TAG)] | TextBranch, BY_KIND]
"""A timeout, or the name of one under `use.timeouts`."""
