"""Faults: where they strike, how often, and that the work behind a lost answer is done."""

from __future__ import annotations

import time

import httpx
import pytest

from simulator.app import create_app
from simulator.clock import Clock
from simulator.faults import FaultBook, FaultRule, Match
from simulator.settings import Settings
from tests.simulator.harness import Json, Sim, served

AGREE = "youzan.trade.refund.agree"


async def break_it(sim: Sim, fault: str, **more: object) -> None:
    await sim.admin("PUT", "/faults", json={"rules": [{"fault": fault, **more}]})


async def agree(sim: Sim, refund: Json) -> httpx.Response:
    token = (await sim.youzan_token())["data"]["access_token"]
    return await sim.http.post(
        f"/youzan/api/{AGREE}/3.0.1",
        params={"access_token": token},
        json={"refund_id": refund["id"], "version": refund["version"]},
    )


async def test_the_work_is_done_though_the_answer_is_lost(sim: Sim) -> None:
    made = await sim.refund()
    await break_it(sim, "timeout_after", match={"api": AGREE}, seconds=0.05)
    assert (await agree(sim, made)).status_code == 504
    assert (await sim.ledger(refund_id=made["id"]))["effects"] == 1


async def test_nothing_is_done_when_the_request_is_lost(sim: Sim) -> None:
    made = await sim.refund()
    await break_it(sim, "timeout_before", match={"api": AGREE}, seconds=0.05)
    assert (await agree(sim, made)).status_code == 504
    await break_it(sim, "5xx", match={"api": AGREE})
    assert (await agree(sim, made)).status_code == 502
    assert (await sim.ledger(refund_id=made["id"]))["total"] == 0


async def test_a_caller_who_gives_up_is_let_go_at_once() -> None:
    app = create_app(Settings(push_base=None, customers=5))
    async with served(app) as address, httpx.AsyncClient(base_url=address, timeout=0.2) as http:
        sim = Sim(app, http)
        made = await sim.refund()
        await break_it(sim, "timeout_after", match={"api": AGREE}, seconds=60)
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await agree(sim, made)
        assert (await sim.ledger(refund_id=made["id"]))["effects"] == 1
    assert time.monotonic() - started < 5


async def test_gateway_and_platform_refusals_differ(sim: Sim) -> None:
    made = await sim.refund()
    await break_it(sim, "429", match={"api": AGREE}, seconds=7)
    answer = await agree(sim, made)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    await break_it(sim, "quota", match={"platform": "youzan", "api": AGREE})
    assert (await agree(sim, made)).json()["gw_err_resp"]["err_code"] == 4101
    for fault, code in (("busy -1", -1), ("quota", 45009), ("concurrency", 45033)):
        await break_it(sim, fault, match={"platform": "wecom", "path": "externalcontact/*"})
        assert (await sim.wecom("externalcontact/get_corp_tag_list", {}))["errcode"] == code


async def test_a_slow_answer_is_right_but_late(sim: Sim) -> None:
    await break_it(sim, "slow", match={"api": "auth/token"}, seconds=0.1)
    started = time.monotonic()
    assert (await sim.youzan_token())["success"] is True
    assert time.monotonic() - started >= 0.1


async def test_a_token_can_die_in_use(sim: Sim) -> None:
    token = await sim.wecom_token()
    await break_it(sim, "token_dies", match={"account": "demo-corp"}, times=1)
    assert (await sim.wecom("externalcontact/get_corp_tag_list", {}, token))["errcode"] == 40014
    assert (await sim.wecom("externalcontact/get_corp_tag_list", {}))["errcode"] == 0


async def test_rules_strike_so_often_and_only_there(sim: Sim) -> None:
    await break_it(sim, "5xx", match={"platform": "wecom"}, times=2)
    assert (await sim.youzan_token())["success"] is True
    path = "/wecom/cgi-bin/gettoken"
    assert [(await sim.http.get(path)).status_code for _ in range(3)] == [502, 502, 200]
    (rule,) = (await sim.admin("GET", "/faults"))["rules"]
    assert rule["hit"] == 2
    await sim.admin("DELETE", f"/faults/{rule['id']}")
    assert (await sim.admin("GET", "/faults"))["rules"] == []
    assert (await sim.http.delete("/_sim/faults/none")).status_code == 404
    unknown = await sim.http.put("/_sim/faults", json={"rules": [{"fault": "earthquake"}]})
    assert unknown.status_code == 422


def strikes(seed: int) -> list[bool]:
    book = FaultBook(seed, Clock())
    book.add(FaultRule(fault="5xx", probability=0.3, match=Match(api="a*")))
    return [book.for_request("youzan", "", "abc") is not None for _ in range(1000)]


def test_chance_follows_from_the_seed() -> None:
    assert strikes(7) == strikes(7)
    assert strikes(7) != strikes(8)
    assert 250 < sum(strikes(7)) < 350
