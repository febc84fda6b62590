"""`tandem account …`: a person hears whether a shop can be used, and what to do when it cannot."""

import json

import pytest
import typer

from commands.accounts import account
from connectors.loading import load_connectors
from domain.access import system_actor
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.problems import NotFoundProblem
from services.accounts import PlatformAccounts
from storage.encryption import Keyring
from storage.engine import Database
from tests.commands.terminal import run_beside
from tests.connectors.harness import outside

SYSTEM = system_actor("tests")
FINE = "连接正常，可以读取退款单  /  It works: refunds can be read"

app = typer.Typer()
app.add_typer(account, name="account")


pytestmark = pytest.mark.usefixtures("environment")


async def tandem(*arguments: str) -> tuple[int, str]:
    result = await run_beside(app, "account", *arguments)
    return result.exit_code, result.stdout


async def test_a_shop_is_tested_from_the_command_line(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    accounts = PlatformAccounts(database, load_connectors(Catalog()))
    async with outside() as world:
        shown = dict((await world.account("youzan")).settings)
        secret = {"client_secret": shown.pop("client_secret")}
        new = NewAccount(platform="youzan", slug="demo", name="示例店", credentials=secret, settings=shown)
        await accounts.connect(SYSTEM, new)
        assert await tandem("test", "youzan/demo") == (0, f"{FINE}\n")
        await accounts.rotate(SYSTEM, "youzan/demo", {"client_secret": "mistyped"})
        code, told = await tandem("test", "youzan/demo")
        assert (code, len(told.splitlines())) == (1, 2), "what is wrong, and what to do"
        assert "client_secret" in told
        code, told = await tandem("test", "youzan/demo", "--json")
        assert (code, json.loads(told)["fault"]) == (1, "credentials")
    await database.close()
    with pytest.raises(NotFoundProblem):
        await tandem("test", "youzan/nobody")


async def test_accounts_are_listed_without_their_credentials(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    secret = {"client_secret": "in-the-clear"}
    await PlatformAccounts(database).connect(
        SYSTEM, NewAccount(platform="youzan", slug="demo", name="示例店", credentials=secret)
    )
    await database.close()
    code, told = await tandem("list", "--json")
    assert (code, json.loads(told)) == (
        0,
        [{"account": "youzan/demo", "name": "示例店", "unit": "/", "active": True}],
    )
    assert "in-the-clear" not in (await tandem("list"))[1]
