"""The register: connectors are found, also those of other wheels, and a broken one says so at the start."""

import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.accounts import Account, secret_fields
from connectors.loading import load_connectors
from connectors.pinduoduo.settings import PinduoduoSettings
from connectors.registry import ConnectorRegistry
from connectors.wecom import WecomConnector
from connectors.wecom.settings import WecomSettings
from connectors.youzan import YouzanConnector
from connectors.youzan.settings import YouzanSettings
from domain.calls import Call, Catalog
from domain.catalog.youzan import YOUZAN_AGREE_REFUND, AgreeRefundArguments, AgreeRefundOutput
from domain.problems import ConfigurationProblem, NotFoundProblem, Text

ANOTHER_WHEEL = """
from connectors.accounts import Account, AccountSettings
from connectors.connection_report import ConnectionReport
from connectors.webhooks import PushAnswer, Verified
from domain.calls import Arguments, Call, Result
from domain.problems import Text


class Ping(Arguments):
    shop: str


class Pong(Result):
    shop: str


PING = Call(name="corner-shop.ping", title=Text("问候", "Ping"), input=Ping, output=Pong, queue="platform.corner-shop")


class CornerShop:
    def __init__(self, account, link):
        self.account = account

    async def ping(self, request: Ping) -> Pong:
        return Pong(shop=request.shop)


class CornerShopConnector:
    platform, title, queue = "corner-shop", Text("小店", "Corner shop"), "platform.corner-shop"
    requests_per_second = 5.0
    settings, calls, client = AccountSettings, (PING,), CornerShop
    nobody = Account("corner-shop", "", {})

    def verify(self, request, account):
        return Verified("hello", request.body, "1", request.received_at)

    def acknowledge(self, verified, account):
        return PushAnswer(200, b"ok", "text/plain")

    def refuse(self, problem):
        return PushAnswer(problem.problem.status, b"no", "text/plain")

    def uses(self, kind):
        return True

    def to_events(self, record, account):
        return []

    def open(self, account, link):
        return CornerShop(account, link)

    async def test_connection(self, account, link):
        return ConnectionReport(True, Text("好", "Good"))
"""


def install(folder: Path, entry_point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installer leaves behind: a module, and metadata that name the entry point."""
    (folder / "corner_shop.py").write_text(ANOTHER_WHEEL, "utf-8")
    metadata = folder / "corner_shop-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: corner-shop\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[tandem.connectors]\ncorner-shop = {entry_point}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "corner_shop", raising=False)


def test_a_connector_of_another_wheel_is_found_and_its_calls_join_the_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "corner_shop:CornerShopConnector", monkeypatch)
    catalog = Catalog()
    registry = load_connectors(catalog)
    assert {"wecom", "youzan", "corner-shop"} <= set(registry)
    assert registry.for_platform("corner-shop").requests_per_second == 5.0
    assert "corner-shop.ping" in catalog
    assert "youzan.agree_refund" in catalog


@pytest.mark.parametrize("entry_point", ["corner_shop:Missing", "no_such_module:x", "corner_shop:CornerShop.__name__"])
def test_a_broken_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry_point: str) -> None:
    install(tmp_path, entry_point, monkeypatch)
    with pytest.raises(ConfigurationProblem, match="corner-shop"):
        load_connectors(Catalog())


def test_a_platform_without_a_connector_lists_those_there_are() -> None:
    with pytest.raises(NotFoundProblem, match="wecom, youzan"):
        ConnectorRegistry((WecomConnector(), YouzanConnector())).for_platform("taobao")


def test_a_platform_has_one_connector() -> None:
    with pytest.raises(ConfigurationProblem, match="youzan"):
        ConnectorRegistry((YouzanConnector(), YouzanConnector()))


class WrongSignature:
    async def agree_refund(self, request: AgreeRefundArguments, key: str, resumed: bool) -> AgreeRefundOutput:
        raise NotImplementedError


class WrongResult:
    async def agree_refund(self, request: AgreeRefundArguments, *, key: str, resumed: bool) -> dict[str, Any]:
        raise NotImplementedError


class NotAsync:
    def agree_refund(self, request: AgreeRefundArguments, *, key: str, resumed: bool) -> AgreeRefundOutput:
        raise NotImplementedError


@pytest.mark.parametrize("client", [WrongSignature, WrongResult, NotAsync, object])
def test_a_method_that_breaks_its_declaration_is_refused_at_the_start(client: type[Any]) -> None:
    class Broken(YouzanConnector):
        calls = (YOUZAN_AGREE_REFUND,)

    broken = Broken()
    vars(broken)["client"] = client
    with pytest.raises(ConfigurationProblem, match=r"youzan\.agree_refund"):
        ConnectorRegistry((broken,))


def test_a_call_on_another_platforms_queue_is_refused() -> None:
    class Stray(YouzanConnector):
        calls = (
            Call(
                name=YOUZAN_AGREE_REFUND.name,
                title=Text("x", "x"),
                input=AgreeRefundArguments,
                output=AgreeRefundOutput,
                effect="keyed",
                queue="platform.wecom",
            ),
        )

    with pytest.raises(ConfigurationProblem, match="queue"):
        ConnectorRegistry((Stray(),))


def test_secrets_of_an_account_are_known_and_never_shown() -> None:
    assert secret_fields(WecomSettings) == {
        "contact_secret",
        "agent_secret",
        "archive_secret",
        "token",
        "encoding_aes_key",
    }
    assert secret_fields(YouzanSettings) == {"client_secret", "refresh_token"}
    account = Account("youzan", "shop", {"client_id": "c", "client_secret": "hush", "kdt_id": "x-hush"})
    with pytest.raises(ConfigurationProblem, match="kdt_id") as error:
        account.parse_settings(YouzanSettings)
    assert "hush" not in str(error.value.problem.as_dict()) + repr(account)


def test_settings_that_need_one_of_several_say_which_in_both_languages() -> None:
    account = Account("pinduoduo", "shop", {"client_id": "c", "client_secret": "hush"})
    with pytest.raises(ConfigurationProblem) as error:
        account.parse_settings(PinduoduoSettings)
    words = error.value.text
    assert "须填 authorization_code 或 refresh_token" in words.zh
    assert "authorization_code or refresh_token is needed" in words.en
