"""The schemes of the seeded year, read from their YAML: what each component is, and which sales it counts how often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from tests.reports.expected.raw import Books, Row
from tests.reports.year_schemes import SCHEMES

BOUNDS = "floor-and-cap"
LINES = ("paid", "kept", "quantity", "orders", "fx-difference")
_MONEY = ("paid", "kept", "fx-difference")
_OF_LINES = {"article", "category", "bonded"}
_MEASURES = {"paid": "paid_minor", "kept": "kept_minor", "quantity": "quantity", "orders": "orders"}


@dataclass(frozen=True)
class Component:
    """One of a scheme. data: its YAML; none of the scheme's own floor and cap."""

    name: str
    data: Mapping[str, Any]

    @property
    def title(self) -> str:
        return str(self.data.get("title", "保底与封顶"))

    @property
    def sort(self) -> str:
        """Which of the reports of some components it is in."""
        if not self.data:
            return "bounds"
        if "overrides" in self.data:
            return "override"
        if self.data.get("deducts"):
            return "deduction"
        if self.data.get("of") == "fx-difference":
            return "fx"
        if "bonus" in self.data:
            return "bonus"
        if self.level:
            return "downline"
        return "sale" if self.data.get("of") in LINES else "deed"

    @property
    def level(self) -> int:
        return int(self.data.get("level", 0))

    @property
    def measured(self) -> str:
        """In what its base is."""
        of = str(self.data.get("of", "period"))
        return "money" if self.sort in ("override", "bounds") or of in _MONEY else of

    @property
    def base_unit(self) -> int:
        """What a base of a calculation is multiplied by to be in ten-thousandths."""
        return 10_000 if self.sort in ("override", "bounds") else 1

    @property
    def marks(self) -> Sequence[int] | None:
        """Where its tiers or bonuses begin, in whole units."""
        tiers = self.data.get("tiers")
        steps = next(iter(tiers.values())) if tiers else self.data["bonus"]["steps"] if "bonus" in self.data else None
        return [_whole(each["from"], self.measured) for each in steps] if steps is not None else None

    @property
    def overrides(self) -> tuple[str, Sequence[Decimal]] | None:
        """Of which component it is a share, and how much of it by level."""
        of = self.data.get("overrides")
        return (of["of"], [Decimal(each.rstrip("%")) for each in of["levels"]]) if of else None

    @property
    def score(self) -> str | None:
        """By which score it is paid."""
        factor = self.data.get("factor")
        return factor["score"] if factor else self.data.get("score")

    def counts(self, books: Books, sale: Row) -> bool:
        """Whether a sale counts."""
        abroad = self.data.get("of") != "fx-difference" or books.words[sale.currency] != ""
        return abroad and _passes(books, sale, self.data.get("where", {}))

    @property
    def is_by_line(self) -> bool:
        """Whether it counts orders by what is said of their lines."""
        told = [self.data.get("where", {}), *(each["where"] for each in self.data.get("weights", ()))]
        return self.data.get("of") == "orders" and any(each.keys() & _OF_LINES for each in told)

    def weighting(self, books: Books, sale: Row) -> int:
        """The number of the first weighting that a sale fits; one more than the last, if it fits none."""
        weightings = self.data.get("weights", ())
        fits = [number for number, each in enumerate(weightings) if _passes(books, sale, each["where"])]
        return min(fits, default=len(weightings))

    def times(self, books: Books, sale: Row) -> int:
        """How often, in ten-thousandths."""
        weightings, number = self.data.get("weights", ()), self.weighting(books, sale)
        return int(Decimal(weightings[number]["times"]) * 10_000) if number < len(weightings) else 10_000

    def weight(self, books: Books, sale: Row) -> int:
        """What a sale weighs when what was earned is cut; of exchange differences what was kept."""
        measure = _MEASURES.get(str(self.data.get("of")), "kept_minor")
        return int(getattr(sale, measure)) * self.times(books, sale)


class Scheme:
    """A scheme of the year."""

    def __init__(self, text: str) -> None:
        data: Mapping[str, Any] = yaml.safe_load(text)["scheme"]
        self.name = str(data["name"])
        self.cycle = str(data["cycle"])
        self.basis = {"paid": 1, "completed": 2}[data["counts"]]
        self.minimum = _whole(data.get("minimum", "0"), "money")
        self.hold_days = int(data.get("hold-days", 0))
        clawback = data.get("clawback", {})
        self.instalments = int(clawback.get("instalments", 1))
        self.keep = Decimal(clawback.get("keep", "0%").rstrip("%")) / 100
        self.components = {each["name"]: Component(each["name"], each) for each in data["earns"]}

    def component(self, calculation: Row, number: int) -> Component:
        """The one that stands under a number in a calculation."""
        return Component(BOUNDS, {}) if number < 0 else self.components[calculation.components[number]]


def _passes(books: Books, sale: Row, where: Mapping[str, Any]) -> bool:
    for field, value in where.items():
        if field in ("first", "bonded"):
            if getattr(sale, f"is_{field}") is not value:
                return False
        elif books.words[getattr(sale, field)] not in (value if isinstance(value, list) else [value]):
            return False
    return True


def _whole(value: object, measured: str) -> int:
    """A mark in whole units: cents of an amount."""
    return int(Decimal(str(value)) * (100 if measured == "money" else 1))


BY_NAME: Mapping[str, Scheme] = {each.name: each for each in map(Scheme, SCHEMES)}
