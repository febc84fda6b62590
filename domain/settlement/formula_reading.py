"""How a base becomes money, read from YAML: one of `rate`, `each`, `tiers`, `package`, `bonus`, `fixed`.

rate: '5%'
each: '8.00'
tiers: { graduated: [ { from: '0.00', rate: '5%' }, { from: '10000.00', rate: '8%', flat: '200.00' } ] }
package: { size: 10, price: '100.00', free: 10 }
bonus: { steps: [ { from: 100, pays: '500.00' } ], each: true }
fixed: '3000.00'
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from domain.dsl.findings import child, listed
from domain.money import major_from_minor
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.exact import RATE
from domain.settlement.formulas import Bonus, Fixed, Formula, Package, Proportion, Step, Tiers
from domain.settlement.promises import tell_drops
from domain.settlement.scalars import read_amount, read_count, read_rate
from domain.settlement.scheme import MONEY_BASES, Base

FORMULA_WORDS = ("rate", "each", "tiers", "package", "bonus", "fixed")
_KINDS: tuple[Literal["graduated", "volume"], ...] = ("graduated", "volume")
MOST_STEPS = 50


def read_formula(
    word: str, data: Any, base: Base, currency: str, pointer: str, remarks: Remarks, *, rising: bool = False
) -> Formula | None:
    """The formula that a word stands for; None with remarks. rising: whether it is promised to rise."""
    reader = _Reader(base, currency, remarks, rising)
    match word:
        case "rate":
            return reader.rate(data, pointer)
        case "each":
            return reader.each(data, pointer)
        case "tiers":
            return reader.tiers(data, pointer)
        case "package":
            return reader.package(data, pointer)
        case "bonus":
            return reader.bonus(data, pointer)
        case _:
            amount = read_amount(data, currency, pointer, remarks)
            return None if amount is None else Fixed(amount)


class _Reader:
    def __init__(self, base: Base, currency: str, remarks: Remarks, rising: bool) -> None:
        self._base = base
        self._currency = currency
        self._remarks = remarks
        self._rising = rising

    @property
    def _of_money(self) -> bool:
        return self._base in MONEY_BASES

    def rate(self, data: Any, pointer: str) -> Proportion | None:
        if not self._of_money:
            text = Text(
                f"{self._base} 不是金额，不能按百分比；每件/每单多少请写 each: '8.00'",
                f"{self._base} is no amount, so there is no percentage of it; write each: '8.00' for a sum for each",
            )
            self._remarks.error("wrong-formula", pointer, text, of_key=True)
            return None
        rate = read_rate(data, pointer, self._remarks)
        return None if rate is None else Proportion(rate)

    def each(self, data: Any, pointer: str) -> Proportion | None:
        if self._of_money or self._base == "period":
            text = Text(
                f"{self._base} 不能按个数计；请写 rate 或 fixed",
                f"{self._base} is not counted one by one; write `rate` or `fixed`",
            )
            self._remarks.error("wrong-formula", pointer, text, of_key=True)
            return None
        amount = read_amount(data, self._currency, pointer, self._remarks)
        return None if amount is None else Proportion(amount * RATE)

    def tiers(self, data: Any, pointer: str) -> Tiers | None:
        kind = next((each for each in _KINDS if isinstance(data, Mapping) and each in data), None)
        if kind is None or len(data) != 1:
            text = Text(
                "tiers 下面要写 graduated（分段）或 volume（全额）之一",
                "`tiers` needs either `graduated` (each slice at its own rate) or `volume` (all at the rate reached)",
            )
            self._remarks.error("bad-tiers", pointer, text)
            return None
        worth = "rate" if self._of_money else "each"
        steps = self._steps(data[kind], worth, child(pointer, kind))
        if steps is None:
            return None
        if steps[0].mark != 0:
            text = Text(
                "第一档要从 0 开始，否则低于它的部分没有说法；不付就写 0",
                "The first tier begins at 0, or what lies below it has no rate; write a rate of nothing",
            )
            self._remarks.error("gap-in-tiers", child(pointer, kind, 0, "from"), text)
            return None
        if kind == "volume":
            self._tell_drops(steps, Text("全额的费率", "the rate of all of it"), child(pointer, kind))
            flats = [Step(step.mark, step.flat) for step in steps]
            self._tell_drops(flats, Text("每档固定的一笔", "the flat fee"), child(pointer, kind))
        return Tiers(kind, steps)

    def package(self, data: Any, pointer: str) -> Package | None:
        if not isinstance(data, Mapping) or self._of_money:
            example = "package: { size: 10, price: '100.00', free: 10 }"
            text = Text(f"请写成 {example}，用于件数、单数等", f"Write {example}, of pieces, orders and the like")
            self._remarks.error("bad-package", pointer, text)
            return None
        self._remarks.unknown_keys(data, ("size", "price", "free"), pointer)
        size = read_count(data.get("size"), child(pointer, "size"), self._remarks, least=1)
        price = read_amount(data.get("price"), self._currency, child(pointer, "price"), self._remarks)
        free = read_count(data.get("free", 0), child(pointer, "free"), self._remarks)
        return None if size is None or price is None or free is None else Package(size, price, free)

    def bonus(self, data: Any, pointer: str) -> Bonus | None:
        if not isinstance(data, Mapping) or "steps" not in data:
            example = "bonus: { steps: [ { from: 100, pays: '500.00' } ] }"
            self._remarks.error("bad-bonus", pointer, Text(f"请写成 {example}", f"Write {example}"))
            return None
        self._remarks.unknown_keys(data, ("steps", "each"), pointer)
        each = data.get("each", False)
        if not isinstance(each, bool):
            self._remarks.error("bad-value", child(pointer, "each"), Text("这里要写 true 或 false", "true or false"))
            return None
        steps = self._steps(data["steps"], "pays", child(pointer, "steps"))
        if steps is None:
            return None
        if not each:
            self._tell_drops(steps, Text("奖金", "the bonus"), child(pointer, "steps"))
        return Bonus(steps, each)

    def _steps(self, data: Any, worth: str, pointer: str) -> tuple[Step, ...] | None:
        """Steps of `from` and what each is worth, ascending."""
        if not isinstance(data, list) or not 0 < len(data) <= MOST_STEPS:
            text = Text(f"这里要写 1 到 {MOST_STEPS} 档，每档以“- ”开头", f"1 to {MOST_STEPS} steps, each with “- ”")
            self._remarks.error("bad-steps", pointer, text)
            return None
        before = len(self._remarks.found)
        read = [self._step(each, worth, child(pointer, place)) for place, each in enumerate(data)]
        if len(self._remarks.found) > before:
            return None
        steps = tuple(each for each in read if each is not None)
        for place, (lower, upper) in enumerate(pairwise(steps), start=1):
            if upper.mark <= lower.mark:
                text = Text(
                    f"这一档的起点 {self._shown(upper.mark)} 不高于上一档的 {self._shown(lower.mark)}，两档重叠",
                    f"This step begins at {self._shown(upper.mark)}, not above {self._shown(lower.mark)}: they overlap",
                )
                self._remarks.error("overlapping-tiers", child(pointer, place, "from"), text)
                return None
        return steps

    def _step(self, data: Any, worth: str, pointer: str) -> Step | None:
        if not isinstance(data, Mapping) or "from" not in data or worth not in data:
            keys = listed(("from", worth))
            self._remarks.error("bad-steps", pointer, Text(f"每档要写 {keys}", f"Each step has {keys}"))
            return None
        words = ("from", worth) if worth == "pays" else ("from", worth, "flat")
        self._remarks.unknown_keys(data, words, pointer)
        place = child(pointer, "from")
        mark = (
            read_amount(data["from"], self._currency, place, self._remarks)
            if self._of_money
            else read_count(data["from"], place, self._remarks)
        )
        place = child(pointer, worth)
        if worth == "rate":
            value = read_rate(data[worth], place, self._remarks)
        else:
            value = read_amount(data[worth], self._currency, place, self._remarks)
            value = value * RATE if value is not None and worth == "each" else value
        flat: int | None = 0
        if "flat" in data and worth != "pays":
            flat = read_amount(data["flat"], self._currency, child(pointer, "flat"), self._remarks)
        return None if mark is None or value is None or flat is None else Step(mark, value, flat)

    def _tell_drops(self, steps: Sequence[Step], what: Text, pointer: str) -> None:
        tell_drops(steps, what, self._shown, pointer, self._remarks, promised=self._rising)

    def _shown(self, mark: int) -> str:
        return major_from_minor(mark, self._currency) if self._of_money else str(mark)
