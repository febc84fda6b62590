"""From the YAML of a condition to its tree, with every mistake told at its place, in Chinese and in English.

all:
  - orders: { within: P365D, count: { at-least: 3 } }
  - coupons: { where: { channel: live, state: taken } }
  - none:
      - refunds: { sum: { of: amount, at-least: '500.00' } }
      - orders: { latest: { after: { coupons: { where: { channel: live } } } } }
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, NamedTuple, get_args

from domain.dsl.durations import parse_duration
from domain.dsl.findings import child, did_you_mean, listed
from domain.problems import ProblemError, Text
from domain.remarks import Remark, Remarks
from domain.tags.bounds import read_bounds
from domain.tags.conditions import Bounds, Condition, Group, GroupWord, Leaf, Measure, RecordTest
from domain.tags.currencies import FIELD, currency_named, in_one_currency, speaks_of_amounts
from domain.tags.facts import FACTS, PAID_STATUSES, Fact
from domain.tags.record_tests import read_tests

_WORDS: tuple[GroupWord, ...] = get_args(GroupWord)
_MEASURES: tuple[Measure, ...] = get_args(Measure)
_LEAF_KEYS = ("where", "within", *_MEASURES)
_REFERENCE_KEYS = ("where",)
_PAID = RecordTest("status", "in", PAID_STATUSES)
DEEPEST = 6
MOST_LEAVES = 60


class ReadCondition(NamedTuple):
    """The tree, None when something in it cannot be read."""

    condition: Condition | None
    remarks: list[Remark]


def read_condition(data: Any, pointer: str) -> ReadCondition:
    """The condition at a pointer of a document, and what is wrong with it; warnings leave it usable."""
    remarks = Remarks()
    condition = _Reader(remarks).condition(data, pointer, 0)
    return ReadCondition(None if remarks.has_errors else condition, remarks.found)


class _Reader:
    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks
        self._leaves = 0

    def condition(self, data: Any, pointer: str, depth: int) -> Condition | None:
        if not isinstance(data, Mapping) or len(data) != 1:
            self._remarks.error(
                "bad-condition",
                pointer,
                Text(
                    f"一个条件只能有一个键：{listed(_WORDS)}，或一种事实（{listed(FACTS)}）",
                    f"A condition has exactly one key: {listed(_WORDS)}, or a fact ({listed(FACTS)})",
                ),
            )
            return None
        word, body = next(iter(data.items()))
        place = child(pointer, str(word))
        if word in _WORDS:
            return self._group(word, body, place, depth)
        fact = FACTS.get(str(word))
        if fact is None:
            near = did_you_mean(str(word), (*FACTS, *_WORDS))
            self._remarks.error(
                "unknown-fact",
                place,
                Text(
                    f"没有“{word}”这种事实。{near.zh}可用：{listed(FACTS, most=20)}",
                    f"There is no fact “{word}”.{near.en} There are: {listed(FACTS, most=20)}",
                ),
                of_key=True,
            )
            return None
        return self._leaf(fact, {} if body is None else body, place)

    def _group(self, word: GroupWord, body: Any, place: str, depth: int) -> Group | None:
        if not isinstance(body, list) or not body:
            self._remarks.error(
                "bad-condition",
                place,
                Text(
                    f"“{word}”下面要有条件列表（每项以“- ”开头）",
                    f"“{word}” needs a list of conditions, each with “- ”",
                ),
            )
            return None
        if depth >= DEEPEST:
            self._remarks.error(
                "too-deep", place, Text(f"条件嵌套超过 {DEEPEST} 层", f"Conditions are nested more than {DEEPEST} deep")
            )
            return None
        read = [self.condition(each, child(place, index), depth + 1) for index, each in enumerate(body)]
        children = tuple(each for each in read if each is not None)
        return Group(word, children) if len(children) == len(read) else None

    def _leaf(self, fact: Fact, body: Any, place: str) -> Leaf | None:
        if not self._is_body(body, place, _LEAF_KEYS):
            return None
        within = self._within(body, place)
        measures = [each for each in _MEASURES if each in body]
        if len(measures) > 1:
            self._remarks.error(
                "bad-condition",
                child(place, measures[1]),
                Text(
                    f"一个条件只能有一种度量，这里有 {listed(measures)}；请拆成两个条件",
                    f"A condition has one measure and this one has {listed(measures)}; make two conditions of it",
                ),
                of_key=True,
            )
            return None
        measure: Measure = measures[0] if measures else "count"
        read = (
            read_bounds(
                fact,
                measure,
                body[measure],
                child(place, measure),
                self._remarks,
                currency=currency_named(body.get("where")),
                read_latest=self._latest,
            )
            if measures
            else ("", Bounds(low=1))
        )
        of, bounds = read or ("", Bounds())
        tests, among = self._tests(fact, body, place, measure, of)
        if fact.endless and within is None and measure in ("count", "sum", "distinct", "share"):
            self._remarks.add(
                "endless-window",
                "warning",
                place,
                Text(
                    f"没有写 within：{fact.name} 只增不减，过了很久也算。请写要看多久，例如 within: P90D",
                    f"There is no `within`: {fact.name} only pile up, and old ones count for ever. Say how far back to "
                    "look, such as within: P90D",
                ),
                of_key=True,
            )
        return None if read is None else Leaf(fact.name, tests, within, measure, of, bounds, place, among)

    def _tests(
        self, fact: Fact, body: Mapping[str, Any], place: str, measure: Measure, of: str
    ) -> tuple[tuple[RecordTest, ...], tuple[RecordTest, ...]]:
        """Which records count, and of a share the records that they are a part of."""
        where, currency = body.get("where"), currency_named(body.get("where"))
        tests = read_tests(fact, where, child(place, "where"), self._remarks, currency)
        among: tuple[RecordTest, ...] = ()
        if measure == "share" and isinstance(body["share"], Mapping) and "among" in body["share"]:
            pointer = child(child(place, "share"), "among")
            among = read_tests(fact, body["share"]["among"], pointer, self._remarks, currency)
        if fact.statuses and not any(test.field == "status" for test in (*tests, *among)):
            tests, among = (*tests, _PAID), (*among, _PAID)
        if speaks_of_amounts(fact, [*(test.field for test in (*tests, *among)), of]):
            tests = in_one_currency(tests, place, self._remarks)
            among = (*among, *(test for test in tests if test.field == FIELD))
        if measure != "share":
            return tests, ()
        return (*among, *(test for test in tests if test not in among)), among

    def _latest(self, data: Any, place: str) -> Leaf | None:
        """The records whose newest one another instant has to lie after: a fact and its `where`."""
        word, body = next(iter(data.items())) if isinstance(data, Mapping) and len(data) == 1 else (None, None)
        fact = FACTS.get(str(word))
        if fact is None:
            text = Text(
                "after 下面要写一种事实，例如 after: { coupons: { where: { channel: live } } }",
                "`after` needs a fact below it, such as after: { coupons: { where: { channel: live } } }",
            )
            self._remarks.error("bad-bounds", place, text, of_key=True)
            return None
        inner = child(place, str(word))
        body = {} if body is None else body
        if not self._is_body(body, inner, _REFERENCE_KEYS):
            return None
        tests, _ = self._tests(fact, body, inner, "latest", "at")
        return Leaf(fact.name, tests, None, "latest", "at", Bounds())

    def _is_body(self, body: Any, place: str, keys: Collection[str]) -> bool:
        """Whether a fact's keys can be read; each is one condition more."""
        self._leaves += 1
        if self._leaves > MOST_LEAVES:
            if self._leaves == MOST_LEAVES + 1:
                self._remarks.error(
                    "too-many-conditions",
                    place,
                    Text(f"一条规则最多 {MOST_LEAVES} 个条件", f"A rule has at most {MOST_LEAVES} conditions"),
                )
            return False
        if not isinstance(body, Mapping):
            self._remarks.error(
                "bad-condition",
                place,
                Text(
                    "这里要写“键: 值”，例如 count: { at-least: 3 }", "Write keys here, such as count: { at-least: 3 }"
                ),
            )
            return False
        self._remarks.unknown_keys(body, keys, place)
        return True

    def _within(self, body: Mapping[str, Any], place: str) -> timedelta | None:
        if "within" not in body:
            return None
        pointer = child(place, "within")
        return read_length(body["within"], pointer, self._remarks)


def read_length(value: Any, pointer: str, remarks: Remarks) -> timedelta | None:
    """A length of time longer than nothing, None with a remark otherwise."""
    try:
        length = parse_duration(value)
    except ProblemError as problem:
        remarks.problem("bad-duration", pointer, problem)
        return None
    if length <= timedelta(0):
        remarks.error(
            "bad-duration",
            pointer,
            Text("时长必须大于零，例如 P30D", "The length has to be more than nothing, such as P30D"),
        )
        return None
    return length
