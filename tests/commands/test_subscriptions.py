"""`tandem subscription` as operations use it."""

import json

import pytest
import typer

from commands.subscriptions import subscription
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from storage.engine import Database
from tests.commands.terminal import run_beside

app = typer.Typer()
app.add_typer(subscription, name="subscription")
HERE = ("--url", "https://warehouse.example.com/tandem", "--type", "tandem.order.*")


@pytest.fixture(autouse=True)
def _one_host_is_allowed(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_HTTP_ALLOWED_HOSTS", "warehouse.example.com")


async def tandem(*arguments: str) -> str:
    return (await run_beside(app, "subscription", *arguments)).stdout


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
