"""`tandem settle reconcile|breaks|terms` as finance uses them."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from commands.settle import settle
from domain.accounts import NewAccount
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from storage.accounts import Accounts
from storage.encryption import Keyring
from storage.engine import Database
from storage.orders import OrderRow
from storage.unit_of_work import UnitOfWork
from tests.commands.terminal import run

pytestmark = pytest.mark.usefixtures("environment")


def seeded(url: str) -> None:
    async def seed() -> None:
        database = Database(url, Keyring({"k1": b"1" * 32}))
        at = datetime(2026, 6, 1, 4, tzinfo=UTC)
        head: dict[str, Any] = {"version": 1, "detail_version": 1, "told_at": at, "recorded_at": at, "status": "paid"}
        async with UnitOfWork(database) as work:
            await Accounts(work).add(NewAccount(platform="generic", slug="pos", name="POS", credentials={}))
            work.session.add(OrderRow(**head, account_id="generic/pos", order_id="E1", paid_minor=100, paid_at=at))
        await database.close()

    asyncio.run(seed())
    columns = "columns: { number: 单号, amount: 金额, at: 时间 }\nevery: payment\n"
    Path("columns.yaml").write_text(columns, encoding="utf-8")
    Path("bill.csv").write_text("单号,金额,时间\nE1,1.05,2026-06-01 12:00:00\n", encoding="utf-8")


FILE = ("--file", "bill.csv", "--columns", "columns.yaml")
SUMS = ("--in", "1.05", "--out", "0")


def test_a_file_is_reconciled_and_its_breaks_are_listed(database_url: str) -> None:
    seeded(database_url)
    assert "差异 1" in run(settle, "reconcile", "generic/pos", "2026-06-01", *FILE, *SUMS).stdout
    again = json.loads(run(settle, "reconcile", "generic/pos", "2026-06-01", *FILE, *SUMS, "--json").stdout)
    assert (again["breaks"], again["changed"]) == (1, False)
    (each,) = json.loads(run(settle, "breaks", "--json").stdout)
    assert (each["kind"], each["number"], each["difference"]) == ("amount", "E1", "0.05")
    aged, *unreconciled = json.loads(run(settle, "breaks", "--aged", "--json").stdout)
    assert (aged["age"], aged["difference_minor"]) == (">30", 5)
    assert {each["kind"] for each in unreconciled} == {"unreconciled"}
    missing = json.loads(run(settle, "unreconciled", "--account", "generic/pos", "--json").stdout)
    assert missing[0] == {"account": "generic/pos", "day": "2026-06-02", "why": "no-bill", "missing": "trade"}
    assert len(missing) == sum(each["days"] for each in unreconciled)


def test_what_cannot_be_taken_is_refused_in_words(database_url: str) -> None:
    seeded(database_url)
    for arguments, why in (
        (FILE, "摘要"),
        ((*FILE, "--rows", "1"), "行数不够"),
        ((*FILE, *SUMS, "--rows", "2"), "行数"),
        ((*FILE, "--digest", "0" * 40), "摘要"),
        (("--file", "bill.csv", "--rows", "1"), "--columns"),
        (("--file", "none.csv", "--columns", "columns.yaml", "--rows", "1"), "none.csv"),
    ):
        with pytest.raises(ValidationProblem) as refused:
            run(settle, "reconcile", "generic/pos", "2026-06-01", *arguments)
        assert why in refused.value.text.zh
    with pytest.raises(NotFoundProblem):
        run(settle, "reconcile", "generic/pos", "2026-06-01")


def test_whose_orders_an_account_bills_is_said_and_shown(database_url: str) -> None:
    seeded(database_url)
    assert "generic/pos" in run(settle, "terms", "generic/pos").stdout
    proposed = run(settle, "terms", "generic/pos", "--shop", "generic/pos", "--fee-bps", "60").stdout
    assert "60" in proposed
    found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", proposed)
    assert found is not None
    with pytest.raises(AuthorizationProblem):
        run(settle, "confirm-terms", "generic/pos", found[0])
    assert "60" not in run(settle, "terms", "generic/pos").stdout.splitlines()[1], "nobody has confirmed it"
