"""What a flow can ask about the breaks of a day before it takes the day for worked through."""

from datetime import date
from uuid import UUID

from pydantic import Field

from domain.calls import Arguments, Call, Result
from domain.problems import Text


class BreaksLeftArguments(Arguments):
    """A day's bill of an account, as `tandem.breaks.opened` names it."""

    platform: str = Field(min_length=1, max_length=64, description="平台，如 wechat_pay · The platform")
    account: str = Field(min_length=1, max_length=64, description="账号代号 · The account's slug")
    day: date = Field(description="账单日 · The bill's day")


class BreakLeft(Result):
    """A break that nobody has explained. path: of the API, where it is explained."""

    id: UUID
    kind: str
    family: str
    number: str | None = None
    difference_minor: int
    path: str


class BreaksLeftOutput(Result):
    """open: breaks that nobody has explained, those left out that a later bill may still settle; explained: that wait
    for a second person. items: of the open ones at most 50. path: of the API, lists all that are not solved."""

    open: int
    explained: int
    items: tuple[BreakLeft, ...] = ()
    path: str


_ID = "0f9e2a6c-54a1-5f5e-8c31-2f7a61c40e11"
_PATH = "/api/v1/settlement/breaks"
BREAKS_LEFT: Call[BreaksLeftArguments, BreaksLeftOutput] = Call(
    name="breaks.left",
    title=Text("查询某日未说明的差异", "Find the breaks of a day that nobody has explained"),
    input=BreaksLeftArguments,
    output=BreaksLeftOutput,
    timeout_s=10,
    example={
        "open": 1,
        "explained": 0,
        "items": [
            {
                "id": _ID,
                "kind": "amount",
                "family": "payment",
                "number": "E20261111000001",
                "difference_minor": -100,
                "path": f"{_PATH}/{_ID}",
            }
        ],
        "path": f"{_PATH}?account=wechat_pay/main&day=2026-11-11",
    },
)

BREAK_CALLS = (BREAKS_LEFT,)
