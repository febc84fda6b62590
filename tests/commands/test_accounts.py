"""`tandem account …`: a person hears whether a shop can be used, and what to do when it cannot."""

import json

import pytest
import typer

from commands.accounts import account
from connectors.loading import load_connectors
from domain.access import Scope, system_actor
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.problems import NotFoundProblem, ProblemError
from services.accounts import PlatformAccounts
from storage.audit import AuditLog
from storage.encryption import Keyring
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.commands.terminal import run_beside
from tests.connectors.harness import outside

SYSTEM = system_actor("tests")
VERBS = ("connect", "change", "rotate", "disconnect", "reconnect")
FINE = "连接正常，可以读取订单、退款、商品与优惠券  /  It works: orders, refunds, goods and coupons can be read"

app = typer.Typer()
app.add_typer(account, name="account")


pytestmark = pytest.mark.usefixtures("environment")


async def tandem(*arguments: str, stdin: str = "") -> tuple[int, str]:
    result = await run_beside(app, "account", *arguments, stdin=stdin)
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


async def test_a_shop_is_connected_rotated_disconnected_and_reconnected(database_url: str) -> None:
    secret = json.dumps({"client_secret": "first"})
    options = ("--name", "示例店", "--setting", "client_id=app-1", "--setting", "kdt_id=4242")
    assert await tandem("connect", "youzan/demo", *options, stdin=secret) == (
        0,
        "已接入 youzan/demo  /  youzan/demo connected\n",
    )
    changes = ("--name", "旗舰店", "--setting", 'live_coupons=["8810042"]')
    assert await tandem("set", "youzan/demo", *changes) == (0, "已修改 youzan/demo  /  youzan/demo changed\n")
    await tandem("rotate", "youzan/demo", stdin=json.dumps({"client_secret": "second"}))
    await tandem("disconnect", "youzan/demo")
    _, listed = await tandem("list", "--json")
    assert [(each["account"], each["active"]) for each in json.loads(listed)] == [("youzan/demo", False)]
    await tandem("reconnect", "youzan/demo")
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    assert (await PlatformAccounts(database).credentials("youzan/demo"))["client_secret"] == "second"
    shown = await PlatformAccounts(database).show(SYSTEM, "youzan/demo")
    assert (shown.name, shown.settings["live_coupons"]) == ("旗舰店", ["8810042"])
    async with UnitOfWork(database) as work:
        entries = (await AuditLog(work).list(Scope.everything(), PageRequest())).items
    assert {entry.action for entry in entries} == {f"account.{verb}" for verb in VERBS}
    await database.close()


async def test_a_person_hears_what_an_account_needs() -> None:
    _, told = await tandem("fields")
    assert {"youzan", "wechat_pay", "generic"} <= {line.split()[0] for line in told.splitlines()}
    _, told = await tandem("fields", "pinduoduo", "--json")
    (platform,) = json.loads(told)
    fields = {each["name"]: each for each in platform["fields"]}
    assert {name for name, each in fields.items() if each["required"]} == {"client_id", "client_secret"}
    assert {name for name, each in fields.items() if each["secret"]} == {
        "client_secret",
        "authorization_code",
        "refresh_token",
    }
    assert (fields["mall_id"]["type"], "消息通道" in fields["mall_id"]["about"]["zh"]) == ("integer", True)
    assert fields["base_url"]["default"].startswith("https://")
    with pytest.raises(NotFoundProblem, match="no connector for nowhere"):
        await tandem("fields", "nowhere")


async def test_an_account_is_shown_with_its_settings_and_without_its_secrets(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    new = NewAccount(
        platform="youzan",
        slug="demo",
        name="示例店",
        credentials={"client_secret": "in-the-clear"},
        settings={"kdt_id": 4242},
    )
    await PlatformAccounts(database).connect(SYSTEM, new)
    await database.close()
    for arguments in (("show", "youzan/demo"), ("show", "youzan/demo", "--json")):
        code, told = await tandem(*arguments)
        assert (code, "kdt_id" in told, "4242" in told, "client_secret" in told) == (0, True, True, True)
        assert "in-the-clear" not in told
    with pytest.raises(NotFoundProblem):
        await tandem("show", "youzan/nobody")


@pytest.mark.parametrize(
    ("platform", "settings", "secrets"),
    [
        ("taobao", {"app_key": "30123456"}, ("app_secret", "session")),
        ("douyin", {"app_key": "7012345678901234567", "shop_id": 4242}, ("app_secret",)),
        ("eleme", {"app_key": "30123456", "shop_id": 4242}, ("app_secret",)),
        ("meituan", {"app_id": "12e345", "shop_id": "4242"}, ("app_secret",)),
    ],
)
async def test_an_app_key_of_digits_is_connected_and_changed_as_a_text(
    database_url: str, platform: str, settings: dict[str, object], secrets: tuple[str, ...]
) -> None:
    given = [part for name, value in settings.items() for part in ("--setting", f"{name}={value}")]
    stdin = json.dumps(dict.fromkeys(secrets, "s"))
    assert (await tandem("connect", f"{platform}/demo", "--name", "店", *given, stdin=stdin))[0] == 0
    assert (await tandem("set", f"{platform}/demo", *given))[0] == 0
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    assert (await PlatformAccounts(database).show(SYSTEM, f"{platform}/demo")).settings == settings
    await database.close()


@pytest.mark.parametrize(
    ("arguments", "stdin", "why"),
    [
        (("connect", "youzan/demo", "--name", "店"), "secret", r"a JSON object of strings is wanted, such as"),
        (("connect", "youzan/demo", "--name", "店"), '{"client_secret": "s"}', "client_id"),
        (("connect", "youzan", "--name", "店"), '{"client_secret": "s"}', "Wrong account: slug"),
        (("connect", "nowhere/demo", "--name", "店"), '{"client_secret": "s"}', "no connector for nowhere"),
        (("connect", "youzan/demo", "--name", "店", "--setting", "kdt_id"), "{}", "--setting must be NAME=VALUE"),
        (("connect", "youzan/demo", "--name", "店", "--setting", "client_secret=s"), "{}", "client_secret: secrets do"),
        (("set", "youzan/demo", "--unset", "live_coupons"), "", "youzan/demo"),
        (("rotate", "youzan/demo"), '{"client_secret": "s"}', "youzan/demo"),
        (("disconnect", "youzan/demo"), "", "youzan/demo"),
    ],
)
async def test_what_cannot_be_connected_is_refused_in_words(arguments: tuple[str, ...], stdin: str, why: str) -> None:
    with pytest.raises(ProblemError, match=why):
        await tandem(*arguments, stdin=stdin)
