"""What a flow can note of a payee: a visit, a review, a booking or a score, which settlement pays by."""

from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from domain.calls import Arguments, Call, Result
from domain.problems import Text
from domain.settlement.days import Day
from domain.settlement.payees import LARGEST_FACT, Code, RoleName


class NoteFactArguments(Arguments):
    """A fact of a payee, on a Shanghai day or the one of an instant. Without a key it is named after the run and the
    task, and noted once however often that is tried; with one it is noted once by whatever flow or person."""

    payee: Code = Field(description="收款人编号 · The payee's code")
    name: RoleName = Field(description="visits、reviews、bookings，或方案里的考核分 · Or a score that a scheme goes by")
    amount: int = Field(
        ge=-LARGEST_FACT, le=LARGEST_FACT, description="次数（可为负以冲减）或分数 · A count, or a score"
    )
    day: Day | None = Field(default=None, description="哪一天（上海）· The Shanghai day")
    at: AwareDatetime | None = Field(default=None, description="或哪一刻，取上海的日期 · Or an instant of it")
    key: str | None = Field(
        default=None, min_length=1, max_length=200, description="同一收款人同名同 key 只记一次 · Noted once by its key"
    )

    @model_validator(mode="after")
    def _on_one_day(self) -> Self:
        if (self.day is None) == (self.at is None):
            raise ValueError("day 与 at 写其中一个 · say one of `day` and `at`")
        return self


class NoteFactOutput(Result):
    """The fact as it stands: on which Shanghai day, and the key that names it."""

    day: Day
    key: str


NOTE_FACT: Call[NoteFactArguments, NoteFactOutput] = Call(
    name="payee.note_fact",
    title=Text("登记收款人的到店、评价、预约或考核分", "Note a visit, review, booking or score of a payee"),
    input=NoteFactArguments,
    output=NoteFactOutput,
    effect="keyed",
    timeout_s=10,
    grants=frozenset({"admin", "finance"}),
    example={"day": "2026-11-11", "key": "visit-20261111-0001"},
)

PAYEE_CALLS = (NOTE_FACT,)
