"""The statement says what the rule says: compared with the rule read record by record, at many instants."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from domain.tags import EVERY_KIND, Condition, Leaf, LiveRule, read_condition
from domain.tags.conditions import Bounds, RecordTest
from storage.customer_tags import CustomerTags
from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.people import add_customers, add_records, order

Record = dict[str, Any]
NUMBER_WORDS = ("at-least", "at-most", "more-than", "less-than", "equals")
_DAYS = st.integers(0, 40).map(lambda days: f"P{days}D")
_WINDOW = st.none() | st.integers(1, 40).map(lambda days: f"P{days}D")
_NUMBERS = st.dictionaries(st.sampled_from(NUMBER_WORDS), st.integers(0, 4), min_size=1, max_size=2)
_AMOUNTS = st.dictionaries(
    st.sampled_from(NUMBER_WORDS), st.integers(0, 9).map(lambda yuan: f"{yuan}.50"), min_size=1, max_size=2
)
_AGES = st.dictionaries(st.sampled_from(["older-than", "newer-than"]), _DAYS, min_size=1, max_size=2)
_WHERE = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.one_of(
            st.sampled_from(["live", "chat"]),
            st.just({"not": "live"}),
            st.just({"exists": False}),
            st.just({"starts-with": "li"}),
        ),
        "coupons": st.one_of(st.just("c1"), st.just({"exists": True}), st.just({"not": "c1"})),
        "paid": st.just({"at-least": "2.00"}),
        "status": st.sampled_from(["paid", "closed", ["paid", "closed"]]),
    },
)
_ENDS = ("latest", "earliest")
_SHARES = st.builds(
    lambda among, bounds: {**({"among": among} if among else {}), **bounds},
    st.sampled_from([{}, {"channel": {"exists": True}}, {"paid": {"at-least": "2.00"}}]),
    st.dictionaries(
        st.sampled_from(NUMBER_WORDS[:4]), st.sampled_from(["0%", "33.33%", "50%", "100%"]), min_size=1, max_size=2
    ),
)
_MEASURES = st.one_of(
    _NUMBERS.map(lambda bounds: {"count": bounds}),
    _AMOUNTS.map(lambda bounds: {"sum": {"of": "paid", **bounds}}),
    _NUMBERS.map(lambda bounds: {"distinct": {"of": "channel", **bounds}}),
    _AGES.map(lambda bounds: {"latest": bounds}),
    _AGES.map(lambda bounds: {"earliest": bounds}),
    _SHARES.map(lambda bounds: {"share": bounds}),
    st.builds(lambda word, where: {word: {"after": {"orders": {"where": where}}}}, st.sampled_from(_ENDS), _WHERE),
)


def _leaf(where: dict[str, Any], within: str | None, measure: dict[str, Any]) -> dict[str, Any]:
    return {"orders": {**({"where": where} if where else {}), **({"within": within} if within else {}), **measure}}


_LEAVES = st.builds(_leaf, _WHERE, _WINDOW, _MEASURES)
_CONDITIONS = st.recursive(
    _LEAVES,
    lambda inner: st.builds(
        lambda word, children: {word: children},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)
_ORDERS = st.lists(
    st.fixed_dictionaries(
        {
            "days": st.integers(0, 50),
            "paid_minor": st.integers(0, 500),
            "channel": st.sampled_from([None, "live", "chat"]),
            "coupon_ids": st.sampled_from([[], ["c1"], ["c2"]]),
            "status": st.sampled_from(["paid", "closed"]),
        }
    ),
    max_size=5,
)


def holds(condition: Condition, records: Sequence[Record], now: datetime) -> bool:
    if not isinstance(condition, Leaf):
        met = [holds(each, records, now) for each in condition.children]
        return all(met) if condition.word == "all" else any(met) == (condition.word == "any")
    counted = [
        record
        for record in records
        if all(passes(record, test) for test in condition.tests)
        and (condition.within is None or record["at"] > now - condition.within)
    ]
    match condition.measure:
        case "count":
            return within(condition.bounds, len(counted), now)
        case "sum":
            return within(condition.bounds, sum(record["paid_minor"] for record in counted), now)
        case "distinct":
            return within(condition.bounds, len({record["channel"] for record in counted} - {None}), now)
        case "share":
            among = [
                record
                for record in records
                if all(passes(record, test) for test in condition.among)
                and (condition.within is None or record["at"] > now - condition.within)
            ]
            return within(condition.bounds, 1_000_000 * len(counted) / len(among) if among else None, now)
        case _:
            end = max if condition.measure == "latest" else min
            at = end((record["at"] for record in counted), default=None)
            return within(condition.bounds, at, now) and is_after(condition.bounds, at, records)


def is_after(bounds: Bounds, at: datetime | None, records: Sequence[Record]) -> bool:
    if bounds.after is None:
        return True
    others = [record["at"] for record in records if all(passes(record, test) for test in bounds.after.tests)]
    return bool(others) and at is not None and at > max(others)


def within(bounds: Bounds, value: Any, now: datetime) -> bool:
    if value is None:
        return False
    return not (
        (bounds.low is not None and value < bounds.low)
        or (bounds.high is not None and value > bounds.high)
        or (bounds.older is not None and value > now - bounds.older)
        or (bounds.newer is not None and value <= now - bounds.newer)
    )


def passes(record: Record, test: RecordTest) -> bool:
    if test.field == "currency":
        return "CNY" in test.values
    value = record[{"coupons": "coupon_ids", "paid": "paid_minor"}.get(test.field, test.field)]
    filled = value if isinstance(value, list) else ([] if value is None else [value])
    match test.operator:
        case "in":
            return bool(set(filled) & set(test.values))
        case "not-in":
            return not set(filled) & set(test.values)
        case "exists":
            return bool(filled) is test.values[0]
        case "starts-with":
            return any(each.startswith(test.values[0]) for each in filled)
        case _:
            return bool(value >= test.values[0])


@pytest.fixture(scope="module")
async def shared(module_database_url: str) -> Any:
    database = Database(module_database_url, Keyring({"k1": b"1" * 32}), pool_size=2, clock=SteppedClock())
    yield database
    await database.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=_CONDITIONS, people=st.lists(_ORDERS, min_size=1, max_size=4), later=st.integers(1, 60))
async def test_the_statement_says_what_the_rule_says_and_when_that_may_change(
    shared: Database, condition: dict[str, Any], people: list[list[Record]], later: int
) -> None:
    read = read_condition(condition, "/when").condition
    if read is None:
        return
    rule = LiveRule("r", "1.0.0", "t", read, EVERY_KIND)
    async with UnitOfWork(shared) as work:
        now = work.now
        await work.session.execute(text("DELETE FROM orders"))
        customers = await add_customers(work, len(people))
        known: dict[UUID, list[Record]] = {}
        for (customer, identity), orders in zip(customers, people, strict=True):
            known[customer] = [{**each, "at": now - timedelta(days=each["days"])} for each in orders]
            for number, each in enumerate(known[customer]):
                more = {name: each[name] for name in ("channel", "coupon_ids", "status")}
                record = order(f"E{identity}-{number}", each["at"], each["paid_minor"], **more)
                await add_records(work, [(identity, *record)])
        first = {seen.customer_id: seen for seen in await CustomerTags(work).compare([rule], known)}
        for hours in (0, 12, 24 * later - 1, 24 * later):
            tags = CustomerTags(work)
            tags.now = now + timedelta(hours=hours)
            for seen in await tags.compare([rule], known):
                expected = holds(read, known[seen.customer_id], tags.now)
                assert seen.holds is expected, (tags.now - now, known[seen.customer_id])
                turns_at = first[seen.customer_id].turns_at
                if turns_at is None or tags.now < turns_at:
                    assert seen.holds is first[seen.customer_id].holds, "it turned before it was to be looked at"
        await work.session.rollback()
