"""What data must look like and how it is reshaped: schemas, `input`, `output`, `export`."""

from typing import Annotated, Any

from pydantic import Tag, model_validator
from pydantic_core import PydanticCustomError

from domain.dsl.model.access import ExternalResource
from domain.dsl.model.base import BY_KIND, FIELDS_TAG, DslModel, TextBranch


class Schema(DslModel):
    """A JSON Schema, inline or at an address."""

    format: str = "json"
    document: Any = None
    resource: ExternalResource | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Schema":
        if ("document" in self.model_fields_set) == (self.resource is not None):
            given = 2 if self.resource is not None else 0
            keys = {"keys": "document, resource", "given": given}
            raise PydanticCustomError("exactly_one", "give exactly one of {keys}", keys)
        return self


Transformation = Annotated[Annotated[dict[str, Any], Tag(FIELDS_TAG)] | TextBranch, BY_KIND]
"""An expression, or an object that holds some."""


class Input(DslModel):
    schema_: Schema | None = None
    from_: Transformation | None = None


class Output(DslModel):
    schema_: Schema | None = None
    as_: Transformation | None = None


class Export(DslModel):
    schema_: Schema | None = None
    as_: Transformation | None = None
