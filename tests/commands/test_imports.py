"""`tandem import` as a person runs it: what it prints, what it leaves behind, how it ends."""

import asyncio
import csv
import json
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from commands.imports import import_table
from domain.access import system_actor
from domain.accounts import NewAccount
from services.accounts import PlatformAccounts
from storage.encryption import Keyring
from storage.engine import Database
from tests.commands.terminal import run

app = typer.Typer()
app.callback()(lambda: None)
app.command("import")(import_table)


@pytest.fixture(autouse=True)
def _shop(environment: None, database_url: str) -> None:
    new = NewAccount(platform="youzan", slug="flagship", name="店", credentials={"client_secret": "s"})

    async def connect() -> None:
        database = Database(database_url, Keyring({"k1": b"1" * 32}))
        await PlatformAccounts(database).connect(system_actor("tests"), new)
        await database.close()

    asyncio.run(connect())
    Path("map.yaml").write_text(
        "record: order\nfields: {order_id: 单号, status: {value: completed}, paid_minor: '=金额', created_at: 时间}\n",
        encoding="utf-8",
    )


def tandem(*options: str) -> Result:
    return run(app, "import", "orders.csv", "--mapping", "map.yaml", "--account", "youzan/flagship", *options)


def write(*rows: str) -> None:
    Path("orders.csv").write_bytes("\n".join(("单号,=金额,时间", *rows)).encode("gb18030"))


def test_a_good_table_is_imported_and_imported_again_changes_nothing() -> None:
    write("T1,1.50,2026-11-01", "T2,2.50,2026-11-02")
    first = tandem("--json")
    assert (first.exit_code, json.loads(first.stdout)["new"]) == (0, 2), first.output
    assert json.loads(tandem("--json").stdout)["known"] == 2
    assert not Path("orders.csv.errors.csv").exists()


def test_refused_rows_are_listed_in_a_file_that_spreadsheets_can_be_trusted_with() -> None:
    write("T1,1.50,2026-11-01", "T2,free,2026-11-02")
    refused = tandem("--dry-run")
    assert refused.exit_code == 1
    report = Path("orders.csv.errors.csv").read_bytes()
    assert report.startswith(b"\xef\xbb\xbf")
    _, row = csv.reader(report.decode("utf-8-sig").splitlines())
    assert row == ["3", "'=金额", "不是有效的CNY金额", "this is no amount of money in CNY"]
    assert json.loads(tandem("--json").stdout)["new"] == 1
