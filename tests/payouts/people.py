"""The payees of the drill, what they sell in its month, and how each ends a transfer at WeChat Pay."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from domain.settlement.payouts import NAMED_FROM_MINOR

MINIMUM_MINOR = 100
LATE_S = (15.0, 40.0)
SOON_S = (0.0, 4.0)
_SCHEME = """\
scheme:
  name: {name}
  version: 1.0.0
  title: 演练
  cycle: month
  from: {start}
  payees: {{ roles: [drill-promoter, drill-city] }}
  minimum: '{minimum}'
  earns:
    - name: sales
      title: 推广
      of: kept
      roles: [drill-promoter]
      tiers:
        graduated:
          - {{ from: '0.00', rate: '5%' }}
          - {{ from: '1000.00', rate: '6%' }}
          - {{ from: '5000.00', rate: '8%' }}
    - {{ name: first, title: 首单, of: orders, roles: [drill-promoter], where: {{ first: true }}, each: '2.00' }}
    - {{ name: city, title: 城市, roles: [drill-city], overrides: {{ of: sales, levels: ['10%'] }} }}
"""
_MANY, _FEW, _LARGE = range(4, 9), range(1, 2), range(1, 3)


@dataclass(frozen=True, slots=True)
class Person:
    """A payee. Some have nothing to be paid to, some no real name; some leave between settlement and payouts."""

    number: int
    cities: int

    @property
    def code(self) -> str:
        return f"D{self.number:05d}"

    @property
    def is_city(self) -> bool:
        return self.number <= self.cities

    @property
    def openid(self) -> str | None:
        return None if self.number % 37 == 5 else f"o-{self.code}"

    @property
    def real_name(self) -> str | None:
        return None if self.number % 11 == 3 else f"名{self.code}"

    @property
    def leaves(self) -> bool:
        return self.number % 41 == 7

    @property
    def upline(self) -> "Person | None":
        return None if self.is_city else Person(1 + self.number % self.cities, self.cities)

    def reason(self, balance_minor: int) -> str | None:
        """Why they are not paid such a balance; None when they are."""
        if balance_minor < MINIMUM_MINOR:
            return "below-minimum"
        if self.leaves:
            return "inactive"
        if self.openid is None:
            return "no-account"
        return "no-real-name" if balance_minor >= NAMED_FROM_MINOR and self.real_name is None else None

    def described(self, *, active: bool = True) -> dict[str, Any]:
        """As the API takes payees."""
        details = {"openid": self.openid, "real_name": self.real_name}
        return {
            "code": self.code,
            "name": self.code,
            "role": "drill-city" if self.is_city else "drill-promoter",
            "active": active,
            "details": {name: value for name, value in details.items() if value is not None},
        }

    def sales(self) -> Sequence[int]:
        """What buyers paid for each order line, in fen: mostly some hundred yuan, some a lot, some next to nothing."""
        if self.is_city:
            return ()
        pick = Random(f"sales:{self.number}")
        if self.number % 53 == 2:
            return [pick.randrange(100, 1_500) for _ in _FEW]
        if self.number % 25 == 8:
            return [pick.randrange(2_000_000, 3_000_000) for _ in _LARGE]
        return [pick.randrange(2_000, 40_000) for _ in _MANY]


def people(count: int) -> list[Person]:
    """So many, of whom each hundredth is above the others."""
    cities = max(count // 100, 1)
    return [Person(number, cities) for number in range(1, count + 1)]


def scheme_name(run: int) -> str:
    return f"drill-{run}"


def scheme(run: int, start: date) -> str:
    """The text of a run's own scheme, which is for the months from the start on."""
    minimum = f"{MINIMUM_MINOR // 100}.{MINIMUM_MINOR % 100:02d}"
    return _SCHEME.format(name=scheme_name(run), start=start.isoformat(), minimum=minimum)


@dataclass(frozen=True, slots=True)
class End:
    """How a payee ends a transfer: SUCCESS, FAIL or CANCELLED, and after how many seconds."""

    event: str
    after_s: float


def end_of(seed: int, run: int, batch: int, openid: str) -> End:
    """Most confirm soon, some late; some let it lapse, some have it called off."""
    pick = Random(f"{seed}:{run}:{batch}:{openid}")
    (event,) = pick.choices(("SUCCESS", "FAIL", "CANCELLED"), (88, 6, 6))
    return End(event, pick.uniform(*(LATE_S if pick.random() < 0.05 else SOON_S)))


def sales_rows(everybody: Sequence[Person], ids: Mapping[str, int], month: date) -> Iterator[tuple[object, ...]]:
    """Rows for the table of sales: order, amount, payee, day, pieces, whether it was its customer's first."""
    for person in everybody:
        for line, amount in enumerate(person.sales()):
            order = 9_000_000_000 + 100 * person.number + line
            day = month.replace(day=1 + order % 28)
            yield order, amount, ids[person.code], day, 1 + order % 3, order % 4 == 1
