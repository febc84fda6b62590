"""One table, platform by check: what a connection test finds out, beside what `test_contract` asks of it."""

from dataclasses import replace

import pytest

from connectors.connection_report import ConnectionFault
from domain.catalog import CATALOG
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


@pytest.mark.parametrize(("case", "api"), LISTS, ids=[f"{case.platform}-{api}" for case, api in LISTS])
async def test_an_interface_that_was_not_granted_is_named(world: Outside, case: Case, api: str) -> None:
    await world.break_things({"match": {"platform": case.platform, "api": api}, "fault": "forbidden"})
    report = await connector(case.platform).test_connection(await world.account(case.platform), world.link)
    assert report.fault is ConnectionFault.PERMISSION, report.message
    assert report.message.zh.startswith(f"{case.lists[api]}无法读取")
    assert "cannot be read" in report.message.en
    assert report.hint is not None
