"""`tandem subscription` as operations use it."""

import asyncio
import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from commands.subscriptions import subscription
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from storage.engine import Database

app = typer.Typer()
app.add_typer(subscription, name="subscription")
HERE = ("--url", "https://warehouse.example.com/tandem", "--type", "tandem.order.*")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> None:
    for name in [name for name in os.environ if name.startswith("TANDEM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TANDEM_DATABASE_URL", database_url)
    monkeypatch.setenv("TANDEM_HTTP_ALLOWED_HOSTS", "warehouse.example.com")
    monkeypatch.setenv("TANDEM_FIELD_KEYS", "k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=")
    monkeypatch.setenv("TANDEM_PAYLOAD_KEYS", "k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=")
    monkeypatch.setenv("TANDEM_TOKEN_PEPPER", "pepper" * 4)


async def tandem(*arguments: str) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["subscription", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


async def test_a_subscription_is_made_rotated_paused_and_removed(database: Database) -> None:
    made = json.loads(await tandem("create", "warehouse", *HERE))
    assert made["secret"].startswith("whsec_")
    [row] = json.loads(await tandem("list", "--json"))
    assert (row["id"], row["types"], row["masked"], row["paused"]) == (made["id"], ["tandem.order.*"], True, None)
    rotated = json.loads(await tandem("rotate-secret", made["id"], "--overlap-hours", "1"))
    assert rotated["id"] == made["id"]
    assert rotated["secret"] != made["secret"]
    await tandem("pause", made["id"])
    [shown] = json.loads(await tandem("show", made["id"], "--json"))
    assert shown["paused"] is not None
    assert (shown["behind"], shown["dead"]) == (0, 0)
    assert "0" in await tandem("redrive", made["id"])
    assert json.loads(await tandem("letters", made["id"], "--json")) == []
    await tandem("resume", made["id"])
    assert made["secret"] not in await tandem("list") + await tandem("show", made["id"])
    await tandem("remove", made["id"])
    with pytest.raises(NotFoundProblem):
        await tandem("show", made["id"])


async def test_what_cannot_be_is_refused_in_words(database: Database) -> None:
    with pytest.raises(AuthorizationProblem, match="TANDEM_HTTP_ALLOWED_HOSTS"):
        await tandem("create", "elsewhere", "--url", "https://elsewhere.example.com/", "--type", "*")
    with pytest.raises(ValidationProblem, match=r"types\.0"):
        await tandem("create", "warehouse", "--url", HERE[1], "--type", "tandem.order.*.paid")
    with pytest.raises(ValidationProblem, match=r"accounts\.0"):
        await tandem("create", "warehouse", *HERE, "--account", "flagship")
