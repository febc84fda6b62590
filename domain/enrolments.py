"""How often a flow takes somebody in: what its author says under `document.metadata.enrolment`.

    metadata:
      enrolment: { per: customer, again: P30D }

`per` is a kind of subject: one run for each customer, order, coupon … that its events are about. `again` lets the same
one in once more when so much time has passed since; without it never.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.dsl.durations import parse_duration
from domain.problems import ProblemError, Text, ValidationProblem

CUSTOMER = "customer"
KEY = "enrolment"
LONGEST_AGAIN = timedelta(days=366)
"""A run's row tells of the enrolment; rows are kept longer than this, unless somebody shortens their retention."""


def _length(value: Any) -> Any:
    if isinstance(value, timedelta) or value is None:
        return value
    try:
        length = parse_duration(value)
    except ProblemError as problem:
        raise ValueError(" · ".join(problem.text)) from None
    if not timedelta() < length <= LONGEST_AGAIN:
        raise ValueError("应大于零且不超过 366 天 · this must be more than nothing and at most 366 days")
    return length


class Enrolment(BaseModel):
    """per: kind of subject. again: how long after an enrolment the same one may enter once more; None for never."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    again: Annotated[timedelta | None, BeforeValidator(_length)] = None


def read_enrolment(metadata: Mapping[str, Any]) -> Enrolment | None:
    """What the metadata of a document say; None when they say nothing. Raises ValidationProblem."""
    if KEY not in metadata:
        return None
    try:
        return Enrolment.model_validate(metadata[KEY])
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) or KEY for each in error.errors())
        raise ValidationProblem(
            Text(
                f"enrolment 写法有误（{wrong}）。应写成 {{ per: customer, again: P30D }}：per 是主体的种类，"
                "如 customer、order、coupon；again 可省略，最长 P366D",
                f"Wrong enrolment ({wrong}). Write {{ per: customer, again: P30D }}: per is a kind of subject such as "
                "customer, order or coupon; again may be left out, and is P366D at most",
            )
        ) from None
