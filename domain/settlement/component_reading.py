"""One way of earning, read from YAML: a base, what of it counts, and one formula or a share of the downline's.

- name: live-sales
  title: 直播销售
  of: kept
  where: { channel: [live], order-amount: { at-least: '1000.00' } }
  weights: [ { where: { first: true }, times: '1.5' } ]
  rate: '5%'
- name: team
  title: 团队返利
  overrides: { of: live-sales, levels: ['10%', '5%'] }
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from domain.dsl.findings import child, did_you_mean, listed
from domain.money import major_from_minor
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.counted_facts import read_counted
from domain.settlement.factor_reading import read_factor
from domain.settlement.formula_reading import FORMULA_WORDS, read_formula
from domain.settlement.formulas import Fixed, Formula, Proportion
from domain.settlement.line_filters import read_line_tests
from domain.settlement.line_promises import refuse_fewer_counted
from domain.settlement.promises import FALLS_BY_FACTOR, read_promise, refuse_unkept
from domain.settlement.recruiting import REFUSAL, is_recruiting, refuse_recruiting
from domain.settlement.role_reading import read_roles
from domain.settlement.scalars import NAME, read_amount, read_count, read_day, read_rate, read_times
from domain.settlement.scheme import (
    BASES,
    DONE_BASES,
    LINE_BASES,
    Base,
    Component,
    Grain,
    LineTest,
    Override,
    Weighting,
)

_KEYS = (
    "name",
    "title",
    "of",
    "score",
    "count",
    "level",
    "where",
    "weights",
    "days",
    "roles",
    "grain",
    "deducts",
    "factor",
    "floor",
    "cap",
    "promise",
    *FORMULA_WORDS,
    "overrides",
)
# What a formula is read with whose base is wrong, so that both are told at once.
_STAND_INS: Mapping[str, Base] = {"rate": "kept", "each": "orders"}
_OF_LINES_ONLY = ("where", "weights", "grain", "level")
_GRAINS: tuple[Grain, ...] = ("payee", "line")
MOST_WEIGHTS = 20


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a component is read with. roles: those of the scheme's payees, none for everybody; levels: how many of them
    may earn by one sale; before: the components above it, by name; unread: names of those that are wrong themselves."""

    currency: str
    roles: tuple[str, ...]
    levels: int
    before: Mapping[str, Component]
    unread: Collection[str] = ()


def read_component(data: Any, around: Surroundings, pointer: str, remarks: Remarks) -> Component | None:
    """The component at a pointer; None with remarks."""
    if not isinstance(data, Mapping):
        text = Text("这里要写一项收入，例如 name、of、rate", "A component belongs here: name, of, rate …")
        remarks.error("bad-component", pointer, text)
        return None
    before = len(remarks.found)
    remarks.unknown_keys(data, _KEYS, pointer)
    reader = _Reader(data, around, pointer, remarks)
    read = reader.override() if "overrides" in data else reader.earning()
    if any(each.severity == "error" for each in remarks.found[before:]):
        return None
    return read


class _Reader:
    def __init__(self, data: Mapping[str, Any], around: Surroundings, pointer: str, remarks: Remarks) -> None:
        self._data = data
        self._around = around
        self._pointer = pointer
        self._remarks = remarks
        self._rising = read_promise(data.get("promise"), child(pointer, "promise"), remarks)

    def override(self) -> Component | None:
        """A share of what the downline earned."""
        place = self._at("overrides")
        self._refuse(("of", "score", "count", *_OF_LINES_ONLY, "days", *FORMULA_WORDS), "overrides")
        data = self._data["overrides"]
        if not isinstance(data, Mapping):
            example = "overrides: { of: sales, levels: ['10%', '5%'] }"
            self._error("bad-override", place, Text(f"请写成 {example}", f"Write {example}"))
            return None
        self._remarks.unknown_keys(data, ("of", "levels"), place)
        name = data.get("of")
        known = self._around.before.get(name) if isinstance(name, str) else None
        if known is None and name not in self._around.unread:
            near = did_you_mean(str(name), self._around.before)
            text = Text(
                f"前面没有名为“{name}”的收入项。{near.zh}可用：{listed(self._around.before) or '无'}",
                f"No component above is called “{name}”.{near.en} There are: {listed(self._around.before) or 'none'}",
            )
            self._error("unknown-component", child(place, "of"), text)
        elif known is not None and (known.override is not None or known.level > 0 or known.deducts):
            text = Text(
                f"“{name}”是返利、下级业绩或扣款，不能再按它返利",
                f"“{name}” is an override, of what others sold, or a deduction itself; overrides are of what somebody "
                "earned by their own",
            )
            self._error("override-of-override", child(place, "of"), text)
        elif known is not None and self._rising:
            self._refuse_unkept_of(known)
        rates = self._level_rates(data.get("levels"), child(place, "levels"))
        return self._made(None, None, Override(str(name), rates) if rates else None)

    def earning(self) -> Component | None:
        """A base and one formula."""
        words = [word for word in FORMULA_WORDS if word in self._data]
        base = self._base(words)
        if len(words) != 1:
            zh = (
                f"只能写一种算法，这里有 {listed(words)}；请拆成两项"
                if words
                else f"还要写算法：{listed(FORMULA_WORDS)} 之一"
            )
            en = (
                f"A component has one formula and this one has {listed(words)}; make two components of it"
                if words
                else f"A formula is missing: one of {listed(FORMULA_WORDS)}"
            )
            self._error("one-formula", self._at(words[1]) if words else self._pointer, Text(zh, en), of_key=True)
            return None
        of = base or _STAND_INS.get(words[0])
        if of is None:
            return None
        at = self._at(words[0])
        told = self._data[words[0]]
        formula = read_formula(words[0], told, of, self._around.currency, at, self._remarks, rising=self._rising)
        if base is None:
            return None
        if base not in LINE_BASES:
            self._refuse(_OF_LINES_ONLY, base)
        self._refuse_unheeded(base, formula)
        if base == "fx-difference" and formula is not None and not isinstance(formula, Proportion):
            text = Text("汇兑差额可正可负，只能按比例（rate）", "An FX difference may be negative: only `rate` fits it")
            self._error("wrong-formula", self._at(words[0]), text, of_key=True)
        if base == "fx-difference":
            self._refuse(("level",), base)
        return self._made(base, formula, None)

    def _made(self, base: Base | None, formula: Formula | None, override: Override | None) -> Component | None:
        name, title = self._data.get("name"), self._data.get("title")
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            text = Text(
                "name 用小写字母、数字和连字符，最多 40 个",
                "`name` is lower-case letters, digits and hyphens, 40 at most",
            )
            self._error("bad-name", self._at("name"), text)
        elif name in self._around.before:
            self._error("same-name", self._at("name"), Text(f"已有名为 {name} 的收入项", f"There is a {name} already"))
        if not isinstance(title, str) or not 0 < len(title) <= 40:
            text = Text("title 写给收款人看，1 到 40 字", "`title` is what payees read, 1 to 40 characters")
            self._error("bad-title", self._at("title"), text)
        floor, cap = self._amount("floor"), self._amount("cap")
        if floor is not None and cap is not None and floor > cap:
            text = Text("保底 floor 高于封顶 cap", "The floor is above the cap")
            self._error("floor-above-cap", self._at("floor"), text)
        deducts, grain, days = self._flag("deducts"), self._grain(formula), self._days()
        factor = read_factor(self._data.get("factor"), self._at("factor"), self._remarks, rising=self._rising)
        refuse_recruiting(self._data, base, self._pointer, self._remarks)
        tests = read_line_tests(self._data.get("where"), self._around.currency, self._at("where"), self._remarks)
        weightings = self._weightings()
        if self._rising:
            place = self._at("promise")
            refuse_unkept(base, place, self._remarks, deducts=deducts, has_factor=factor is not None)
            if base is not None:
                refuse_fewer_counted(base, tests, weightings, self._shown, self._pointer, self._remarks)
        if formula is None and override is None:
            return None
        return Component(
            name=str(name),
            title=str(title),
            base=base,
            formula=formula,
            override=override,
            score=self._score(base),
            counted=self._counted(base),
            level=self._level(),
            tests=tests,
            weightings=weightings,
            days=days if base in DONE_BASES else None,
            roles=self._roles(),
            grain=grain,
            deducts=deducts,
            factor=factor,
            floor=floor,
            cap=cap,
            rising=self._rising,
        )

    def _refuse_unkept_of(self, known: Component) -> None:
        """Refuse the promise of a share of what was promised nothing, or may fall as its coefficient rises."""
        place = self._at("promise")
        if not known.rising:
            text = Text(
                f"“{known.name}”没有承诺只升不降，按它的返利也不能承诺；请在“{known.name}”也写 promise: rising",
                f"“{known.name}” is not promised to rise, so a share of it cannot be: promise that one, too",
            )
            self._remarks.error_if_new("broken-promise", place, text)
        elif known.base == "fx-difference" and self._data.get("factor") is not None:
            self._remarks.error_if_new("broken-promise", place, FALLS_BY_FACTOR)
        else:
            return
        # Of what is stored: it was never kept, and is not said to be.
        self._rising = False

    def _base(self, words: list[str]) -> Base | None:
        given = self._data.get("of", "period" if words == ["fixed"] else None)
        found = next((base for base in BASES if base == given), None)
        if found is None:
            if is_recruiting(given):
                self._error("pay-for-recruiting", self._at("of"), REFUSAL)
            else:
                near = did_you_mean(str(given), BASES)
                text = Text(
                    f"of 要写按什么计。{near.zh}可用：{listed(BASES)}",
                    f"`of` says what is measured.{near.en} There are: {listed(BASES)}",
                )
                self._error("unknown-base", self._at("of") if "of" in self._data else self._pointer, text)
        return found

    def _score(self, base: Base | None) -> str | None:
        """The name of the marks that a score is of."""
        name = self._data.get("score")
        if base == "score" and (not isinstance(name, str) or NAME.fullmatch(name) is None):
            text = Text("还要写 score：哪一项考核分，例如 after-sale", "Say which score: `score: after-sale`")
            self._error("bad-score", self._at("score") if "score" in self._data else self._pointer, text)
        elif base != "score" and name is not None:
            self._refuse(("score",), str(base))
        return str(name) if name is not None else None

    def _counted(self, base: Base | None) -> tuple[tuple[str, int], ...]:
        if base == "count":
            return read_counted(self._data, self._pointer, self._remarks)
        if "count" in self._data:
            self._refuse(("count",), str(base))
        return ()

    def _level(self) -> int:
        if "level" not in self._data:
            return 0
        place = self._at("level")
        level = read_count(self._data["level"], place, self._remarks, most=10) or 0
        if level >= self._around.levels:
            self._too_deep(place, level + 1)
        return level

    def _level_rates(self, data: Any, place: str) -> tuple[int, ...]:
        if not isinstance(data, list) or not data:
            text = Text(
                "levels 写各级比例，由近到远，例如 ['10%', '5%']", "`levels` are rates, nearest first: ['10%', '5%']"
            )
            self._error("bad-override", place, text)
            return ()
        rates = [read_rate(each, child(place, number), self._remarks) for number, each in enumerate(data)]
        if len(rates) >= self._around.levels:
            self._too_deep(place, len(rates) + 1)
        return tuple(rate for rate in rates if rate is not None)

    def _too_deep(self, place: str, levels: int) -> None:
        text = Text(
            f"这样一笔销售有 {levels} 级获酬，方案只允许 {self._around.levels} 级（含推荐人）",
            f"This pays {levels} levels for one sale; the scheme allows {self._around.levels}, the seller included",
        )
        self._error("too-many-levels", place, text)

    def _weightings(self) -> tuple[Weighting, ...]:
        data, place = self._data.get("weights"), self._at("weights")
        if data is None:
            return ()
        if not isinstance(data, list) or not 0 < len(data) <= MOST_WEIGHTS:
            example = "weights: [ { where: { first: true }, times: '1.5' } ]"
            self._error("bad-weights", place, Text(f"请写成 {example}", f"Write {example}"))
            return ()
        return tuple(each for number, row in enumerate(data) if (each := self._weighting(row, child(place, number))))

    def _weighting(self, data: Any, place: str) -> Weighting | None:
        if not isinstance(data, Mapping):
            self._error("bad-weights", place, Text("每项要写 where 和 times", "Each has `where` and `times`"))
            return None
        self._remarks.unknown_keys(data, ("where", "times"), place)
        tests: tuple[LineTest, ...] = read_line_tests(
            data.get("where"), self._around.currency, child(place, "where"), self._remarks
        )
        times = read_times(data.get("times"), child(place, "times"), self._remarks)
        return None if times is None else Weighting(tests, times)

    def _days(self) -> tuple[date, date] | None:
        data, place = self._data.get("days"), self._at("days")
        if data is None:
            return None
        if isinstance(data, Mapping) and set(data) == {"from", "until"}:
            start = read_day(data["from"], child(place, "from"), self._remarks)
            end = read_day(data["until"], child(place, "until"), self._remarks)
            if start is None or end is None:
                return None
            if start < end:
                return start, end
        example = "days: { from: 2026-11-01, until: 2026-11-12 }"
        text = Text(f"请写成 {example}，不含 until 当天", f"Write {example}; the day of `until` is not included")
        self._error("bad-days", place, text)
        return None

    def _roles(self) -> tuple[str, ...]:
        return read_roles(self._data.get("roles"), self._around.roles, self._at("roles"), self._remarks)

    def _grain(self, formula: Formula | None) -> Grain:
        given = self._data.get("grain", "payee")
        grain = next((each for each in _GRAINS if each == given), None)
        if grain is None:
            text = Text("grain 为 payee（汇总后取整）或 line（逐笔取整）", "`grain` is `payee` or `line`")
            self._error("bad-grain", self._at("grain"), text)
        elif grain == "line" and not isinstance(formula, Proportion):
            text = Text("逐笔取整只能用 rate 或 each", "Only `rate` and `each` can be rounded line by line")
            self._error("bad-grain", self._at("grain"), text)
        elif grain == "line" and self._data.get("level"):
            text = Text("下级的销售汇总后取整，不能逐笔", "What others sold is rounded in all, not line by line")
            self._error("bad-grain", self._at("grain"), text)
        return grain or "payee"

    def _amount(self, key: str) -> int | None:
        if key not in self._data:
            return None
        return read_amount(self._data[key], self._around.currency, self._at(key), self._remarks)

    def _shown(self, amount: int) -> str:
        return major_from_minor(amount, self._around.currency)

    def _flag(self, key: str) -> bool:
        value = self._data.get(key, False)
        if not isinstance(value, bool):
            self._error("bad-value", self._at(key), Text("这里要写 true 或 false", "This is true or false"))
        return value is True

    def _refuse(self, keys: tuple[str, ...], what: str) -> None:
        for key in keys:
            if key in self._data:
                text = Text(f"“{what}”不能有 {key}", f"There is no `{key}` of “{what}”")
                self._error("out-of-place", self._at(key), text, of_key=True)

    def _refuse_unheeded(self, base: Base, formula: Formula | None) -> None:
        """Refuse what limits the base where what is earned does not go by it."""
        fixed = isinstance(formula, Fixed) and base in DONE_BASES
        keys = ("days", "where", "weights", "level") if fixed else () if base in DONE_BASES else ("days",)
        for key in keys:
            if key in self._data:
                text = Text(
                    f"{'fixed' if fixed else f'按 {base} 计的'}每期一份，不看 {key}：请删除。"
                    "整份方案只用于某些账期，写方案的 from、until",
                    f"{'`fixed`' if fixed else f'What is of {base}'} is for the whole period, whatever `{key}` says: "
                    "remove it. `from` and `until` of the scheme say which periods it is for",
                )
                self._remarks.error_if_new("out-of-place", self._at(key), text, of_key=True)

    def _at(self, key: str) -> str:
        return child(self._pointer, key)

    def _error(self, code: str, place: str, text: Text, *, of_key: bool = False) -> None:
        self._remarks.error(code, place, text, of_key=of_key)
