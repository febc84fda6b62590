"""Who is paid: agents, influencers, stores, group leaders, and who brought in whom."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from domain.organisation import HEADQUARTERS, UnitPath
from domain.privacy.kinds import Kind, masked, masked_key
from domain.problems import Text, ValidationProblem
from domain.settlement.days import Day
from domain.settlement.exact import WEIGHT
from domain.settlement.scheme import Cycle

Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s/?#%]+$")]
Unmasked = Annotated[str, Field(pattern=r"^[^*]*$")]
RoleName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$")]
LARGEST_FACT = 1_000_000_000
KeyKind = Literal["channel", "influencer", "shop", "unit"]
"""What a sale is known to be somebody's by: a channel code, an influencer's id, a shop, a store."""
_KINDS: Mapping[str, Kind] = {"real_name": "name", "bank_account": "bank_card"}
_KEYS = ("openid", "merchant_receiver")


class PayoutDetails(BaseModel):
    """Where the money goes, all of it personal data. openid: of the payee in the WeChat app that pays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    real_name: str | None = Field(default=None, max_length=100)
    openid: str | None = Field(default=None, max_length=64)
    merchant_receiver: str | None = Field(default=None, max_length=64)
    bank_account: str | None = Field(default=None, max_length=30)
    bank_name: str | None = Field(default=None, max_length=100)

    def as_masked(self) -> "PayoutDetails":
        """The same as everybody may see it: enough is left to tell two apart. The bank's name is nobody's secret."""
        shown = {name: masked(kind, value) for name, kind in _KINDS.items() if (value := getattr(self, name))}
        shown |= {name: masked_key("openid", value) for name in _KEYS if (value := getattr(self, name))}
        return self.model_copy(update=shown)


class NewPayoutDetails(PayoutDetails):
    """Where the money goes from now on. What was shown masked is no such thing, and is not taken for it."""

    real_name: Unmasked | None = Field(default=None, max_length=100)
    openid: Unmasked | None = Field(default=None, max_length=64)
    merchant_receiver: Unmasked | None = Field(default=None, max_length=64)
    bank_account: str | None = Field(default=None, pattern=r"^[0-9]{8,30}$")


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    name: str = Field(min_length=1, max_length=100)
    role: RoleName
    unit_path: UnitPath = HEADQUARTERS
    cycle: Cycle | None = None
    active: bool = True


class NewPayee(_Described):
    """A payee to be written down, or how one is from now on. code: the merchant's own number of them.

    since: the Shanghai day from which on role, cycle and active hold; when left out, today.
    """

    name: Unmasked = Field(min_length=1, max_length=100)
    details: NewPayoutDetails = NewPayoutDetails()
    since: Day | None = None


class Payee(_Described):
    """A payee who is written down. version: grows with every change."""

    details: PayoutDetails
    id: int
    version: int
    created_at: datetime
    changed_at: datetime


class KeyChange(BaseModel):
    """A key that belongs to a payee on Shanghai days `[since, until)`. share: of what it finds, in ten-thousandths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    kind: KeyKind
    value: str = Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")
    share: int = Field(default=WEIGHT, ge=1, le=WEIGHT)
    since: Day
    until: Day | None = None

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: Day | None, info: ValidationInfo) -> Day | None:
        since = info.data.get("since")
        if until is not None and since is not None and until <= since:
            raise ValueError("until 要晚于 since，不含当天 · until has to be after since; its day is not included")
        return until


class NewFact(BaseModel):
    """What a payee did or was given on a Shanghai day: `visits`, `reviews` and `bookings` are counts that add up, less
    than nothing to take some back; so do those that a scheme counts (`of: count`); any other name is a score, of
    which the last one counts.

    key: names the fact among those of its payee and name; told again, it is noted once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    name: RoleName
    day: Day
    amount: int = Field(ge=-LARGEST_FACT, le=LARGEST_FACT)
    key: str = Field(min_length=1, max_length=200)


class UplineChange(BaseModel):
    """Who is above a payee from a day on; nobody when left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    upline: Code | None = None
    since: Day

    @field_validator("upline")
    @classmethod
    def _somebody_else(cls, upline: Code | None, info: ValidationInfo) -> Code | None:
        if upline is not None and upline == info.data.get("code"):
            raise ValueError("不能是自己的上级 · nobody is their own upline")
        return upline


def refuse_repeated(names: Sequence[tuple[object, ...]], listed_in: str) -> None:
    """Returns when nothing is said twice in a request. names: of what is changed; listed_in: the member it stands in.

    :raises ValidationProblem: something is; it tells where.
    """
    first: dict[tuple[object, ...], int] = {}
    for place, name in enumerate(names):
        before = first.setdefault(name, place)
        if before != place:
            shown = " ".join(map(str, name))
            text = Text(
                f"{shown} 出现两次：第 {before + 1} 项与第 {place + 1} 项；请只留一项",
                f"{shown} is there twice, as item {before + 1} and item {place + 1}: leave one of them",
            )
            raise ValidationProblem(text, errors=[{"pointer": f"/{listed_in}/{place}", "message": text.as_dict()}])


def refuse_circles(uplines: Mapping[int, int], names: Mapping[int, str]) -> None:
    """Returns when nobody is above themselves. uplines: who is above whom.

    :raises ValidationProblem: somebody is; it names the circle.
    """
    if circle := circle_in(uplines):
        raise circle_problem([names.get(each, str(each)) for each in circle])


def circle_in(uplines: Mapping[int, int | None], changed: Collection[int] | None = None) -> Sequence[int]:
    """Somebody who is above themselves, with all between, and themselves again; nothing when there is none.

    changed: whose upline is another one than when this was last looked at, where that is known.
    """
    done: set[int] = set()
    for start in uplines if changed is None else changed:
        path: list[int] = []
        seen: set[int] = set()
        at: int | None = start
        while at is not None and at not in done and at not in seen:
            path.append(at)
            seen.add(at)
            at = uplines.get(at)
        if at is not None and at in seen:
            return [*path[path.index(at) :], at]
        done |= seen
    return ()


def circle_problem(members: Sequence[str]) -> ValidationProblem:
    """The refusal of a circle, by codes, the first of which is the last again."""
    shown = " → ".join(members if len(members) <= 8 else [*members[:4], "…", *members[-3:]])
    return ValidationProblem(
        Text(
            f"上级关系成环：{shown}。请先改正其中一个上级",
            f"The uplines go round in a circle: {shown}; change one of them",
        ),
        circle=list(members[:20]),
    )
