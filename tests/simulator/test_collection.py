"""Rows are found by key and by time as a scan of all of them would, however they change in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.collection import Collection
from simulator.entities import Scan

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTES = st.integers(0, 30)
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "seed", "remove", "read"]), st.integers(0, 5), st.sampled_from("ab"), MINUTES),
    max_size=40,
)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def collection(written: list[dict[str, Any]]) -> Collection[Scan]:
    return Collection(
        "scan",
        Scan,
        written.append,
        by={"account": lambda row: row.account},
        at={"scanned": lambda row: row.scanned_at if row.code else None},
    )


def scan(number: int, account: str, minutes: int) -> Scan:
    code = "" if minutes % 7 == 3 else "x"
    return Scan(id=str(number), account=account, customer_id="c", code=code, place="", scanned_at=at(minutes))


def found(rows: Collection[Scan], account: str, first: int, last: int) -> tuple[set[str], list[str]]:
    held = rows.having(account=account)
    return {row.id for row in held}, [row.id for row in rows.between("scanned", at(first), at(last), account=account)]


@given(STEPS, MINUTES, MINUTES)
def test_indices_agree_with_a_scan(steps: list[tuple[str, int, str, int]], first: int, last: int) -> None:
    written: list[dict[str, Any]] = []
    rows, model = collection(written), dict[str, Scan]()
    unseeded: set[str] = set()
    for what, number, account, minutes in steps:
        row = scan(number, account, minutes)
        if what == "put":
            rows.put(row)
            model[row.id] = row
            unseeded.add(row.id)
        elif what == "seed":
            rows.seed(row)
            model = model if row.id in unseeded else {**model, row.id: row}
        elif what == "remove":
            rows.remove(row.id)
            model.pop(row.id, None)
            unseeded.discard(row.id)
        wanted = {row.id for row in model.values() if row.account == account}
        timed = [
            (row.scanned_at, row.id)
            for row in model.values()
            if row.account == account and row.code and at(first) <= row.scanned_at <= at(last)
        ]
        assert found(rows, account, first, last) == (wanted, [row_id for _at, row_id in sorted(timed)])
    again = collection([])
    for line in written:
        again.replay(line)
    assert {row.id: row for row in again} == {row_id: model[row_id] for row_id in unseeded}


def test_an_unknown_index_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        collection([]).having(shop="a")
