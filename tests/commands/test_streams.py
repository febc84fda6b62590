"""`tandem stream …` as a person runs it."""

import asyncio
import json
from datetime import timedelta

import pytest
import typer

from commands.streams import stream
from storage.comparisons import ComparisonRow
from storage.encryption import Keyring
from storage.engine import Database
from storage.pulls import Streams
from storage.unit_of_work import UnitOfWork
from tests.commands.terminal import printed, run

app = typer.Typer()
app.add_typer(stream, name="stream")

pytestmark = pytest.mark.usefixtures("environment")
SHOP = "youzan/flagship"


def tandem(*arguments: str) -> str:
    return printed(app, "stream", *arguments).strip()


async def _two_nights(url: str) -> None:
    database = Database(url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work:
        await Streams(work).note(SHOP, "orders", "/", {}, reached_at=work.now, records=3, problem="quota")
        for days, differing in ((2, 5), (1, 1)):
            at = work.now - timedelta(days=days)
            row = ComparisonRow(
                account_id=SHOP,
                stream="orders",
                since=at - timedelta(days=2),
                until=at,
                records=10,
                missing=0,
                differing=differing,
                begun_at=at,
                compared_at=at,
            )
            await Streams(work).insert(row)
    await database.close()


def test_where_streams_stand_and_what_the_nights_found(database_url: str) -> None:
    asyncio.run(_two_nights(database_url))
    (told,) = json.loads(tandem("list", "--json"))
    assert (told["account"], told["records"], told["problem"]) == (SHOP, 3, "quota")
    assert told["problem_since"]
    assert "quota" in tandem("list", "--account", SHOP)
    nights = json.loads(tandem("comparisons", "--json"))
    assert [night["accuracy"] for night in nights] == [0.9, 0.5]
    assert len(json.loads(tandem("comparisons", "--newest", "1", "--json"))) == 1
    assert tandem("comparisons", "--stream", "refunds") == ""
    assert tandem("list", "--account", "youzan/other") == ""
    assert run(app, "stream", "comparisons", "--newest", "0").exit_code == 2
