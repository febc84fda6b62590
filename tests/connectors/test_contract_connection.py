"""One table, platform by check: what a connection test finds out, beside what `test_contract` asks of it."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from connectors.connection_report import ConnectionFault
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.readable_streams import ORDERS_AND_REFUNDS, require_readable, try_one
from domain.catalog import CATALOG
from domain.problems import AuthorizationProblem, NotFoundProblem, Text
from tests.connectors.case import Case
from tests.connectors.cases import CASES
from tests.connectors.harness import Outside, connector

LISTS = [(case, api) for case in CASES for api in case.lists]
KEYS = [(case, name) for case in CASES for name in case.keys]


def test_every_row_tells_what_can_be_wrong() -> None:
    assert [case.platform for case in CASES if not (case.secrets or case.keys)] == []


@pytest.mark.parametrize(("case", "name"), KEYS, ids=[f"{case.platform}-{name}" for case, name in KEYS])
async def test_a_key_of_somebody_elses_is_named(world: Outside, case: Case, name: str) -> None:
    good = await world.account(case.platform)
    account = replace(good, settings={**good.settings, name: case.keys[name]})
    report = await connector(case.platform).test_connection(account, world.link)
    assert report.fault is ConnectionFault.CREDENTIALS, report.message
    assert report.hint is not None
    for said in (report.message.zh, report.message.en, report.hint.zh, report.hint.en):
        assert name in said


def test_every_shops_row_tells_what_it_lists() -> None:
    told = {case.platform for case in CASES if {"订单"} <= set(case.lists.values()) and len(case.lists) > 1}
    shops = {name.removesuffix(".get_order") for name in CATALOG if name.endswith(".get_order")} | {"youzan"}
    assert shops <= told
    assert [case.platform for case in CASES if case.platform in told and not _names_goods(case)] == []


def _names_goods(case: Case) -> bool:
    return any(word in said for said in case.lists.values() for word in ("商品", "菜品"))


async def test_an_article_that_is_gone_meanwhile_is_no_fault_of_the_account() -> None:
    async def gone(number: str) -> None:
        asked.append(number)
        raise NotFoundProblem(Text("没有", "gone"))

    asked: list[str] = []
    await try_one(["1", "2"], gone)
    await try_one([], gone)
    assert asked == ["1"], "one tells enough"


@pytest.mark.parametrize(("case", "api"), LISTS, ids=[f"{case.platform}-{api}" for case, api in LISTS])
async def test_an_interface_that_was_not_granted_is_named(world: Outside, case: Case, api: str) -> None:
    await world.break_things({"match": {"platform": case.platform, "api": api}, "fault": "forbidden"})
    report = await connector(case.platform).test_connection(await world.account(case.platform), world.link)
    assert report.fault is ConnectionFault.PERMISSION, report.message
    assert report.message.zh.startswith(f"{case.lists[api]}无法读取")
    assert "cannot be read" in report.message.en
    assert report.hint is not None


class Together:
    """A shop that answers nobody before both its lists were asked for, and then refuses both."""

    streams = tuple(Stream(name, reaches_back=timedelta(days=1)) for name in ORDERS_AND_REFUNDS)

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.names: list[str] = []

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        self.names.append(stream)
        if len(self.names) == len(self.streams):
            self.asked.set()
        await self.asked.wait()
        raise AuthorizationProblem(Text("无权限", "not granted"), retryable=False)


async def test_what_a_test_reads_is_asked_for_at_once_and_the_first_refusal_is_told(world: Outside) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(AuthorizationProblem) as error:
            await require_readable(Together(), world.link)
    assert error.value.text.en == "Orders cannot be read: not granted"
