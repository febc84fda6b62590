"""Which rows a request is about: those it numbers, or those that its conditions have in common."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.paging import RowId


class Chosen(BaseModel):
    """By number, or by conditions that subclasses add: one of them at least, so that nobody means everything."""

    model_config = ConfigDict(extra="forbid")

    ids: list[RowId] | None = Field(None, min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if all(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("请给出 ids 或至少一个条件 · give `ids`, or one condition at least")
        return self
