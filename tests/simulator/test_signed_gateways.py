"""The gateways in Taobao's manner: who is let in, and what their lists refuse."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.platforms.signed_gateway import keyed_hash, wrapped_md5
from simulator.seeding.numbers import CHINA
from tests.simulator.harness import Json, Sim

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "connectors" / "vectors.json").read_text(encoding="utf-8")
)


def china(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize("sample", ["top_md5", "pdd_md5", "jd_md5"])
def test_the_signature_is_the_published_one(sample: str) -> None:
    published = VECTORS[sample]
    assert wrapped_md5(published["secret"], published["params"]) == published["sign"]


class Caller:
    """Calls one platform the way its documents say, and as wrongly as it is told."""

    def __init__(self, sim: Sim, account: Json) -> None:
        self.sim = sim
        self.account = account
        self.token = ""

    async def taobao(self, method: str, at: datetime | None = None, **params: str) -> Json:
        common = {
            "method": method,
            "app_key": self.account["app_key"],
            "sign_method": "hmac-sha256",
            "timestamp": china(at or datetime.now(UTC)),
            "format": "json",
            "v": "2.0",
            **({"session": self.token} if self.token else {}),
        }
        sign = keyed_hash(self.account["app_secret"], {**common, **params}, "sha256")
        return await self._post("/taobao/router/rest", {**common, "sign": sign}, params)

    async def jd(self, method: str, asked: Json, at: datetime | None = None) -> Json:
        signed = {
            "method": method,
            "access_token": self.token,
            "app_key": self.account["app_key"],
            "timestamp": f"{china(at or datetime.now(UTC))}.000+0800",
            "v": "2.0",
        }
        form = {"360buy_param_json": json.dumps(asked)}
        sign = wrapped_md5(self.account["app_secret"], {**signed, **form})
        return await self._post("/jd/routerjson", {**signed, "sign": sign, "format": "json"}, form)

    async def pinduoduo(self, kind: str, at: datetime | None = None, **params: str) -> Json:
        common = {
            "type": kind,
            "client_id": self.account["client_id"],
            "timestamp": str(int((at or datetime.now(UTC)).timestamp())),
            **({"access_token": self.token} if self.token else {}),
        }
        sign = wrapped_md5(self.account["client_secret"], {**common, **params})
        return await self._post("/pinduoduo/api/router", {**common, "sign": sign}, params)

    async def _post(self, path: str, query: Mapping[str, str], form: Mapping[str, str]) -> Json:
        answered: Json = (await self.sim.http.post(path, params=dict(query), data=dict(form))).json()
        return answered


@pytest.fixture
async def taobao(sim: Sim) -> Caller:
    caller = Caller(sim, await sim.account("demo-taobao"))
    refreshed = await caller.taobao("taobao.top.auth.token.refresh", refresh_token=caller.account["refresh_token"])
    caller.token = json.loads(refreshed["top_auth_token_refresh_response"]["token_result"])["access_token"]
    return caller


@pytest.fixture
async def jd(sim: Sim) -> Caller:
    caller = Caller(sim, await sim.account("demo-jd"))
    names = ("app_key", "app_secret", "refresh_token")
    form = {name: caller.account[name] for name in names}
    caller.token = (await sim.http.post("/jd/oauth2/refresh_token", data=form)).json()["access_token"]
    return caller


@pytest.fixture
async def pinduoduo(sim: Sim) -> Caller:
    caller = Caller(sim, await sim.account("demo-pinduoduo"))
    granted = await caller.pinduoduo("pdd.pop.auth.token.refresh", refresh_token=caller.account["refresh_token"])
    caller.token = granted["pop_auth_token_refresh_response"]["access_token"]
    return caller


async def test_taobao_lets_nobody_in_who_signs_or_tells_the_time_wrongly(taobao: Caller) -> None:
    assert "user_seller_get_response" in await taobao.taobao("taobao.user.seller.get", fields="nick")
    late = await taobao.taobao("taobao.user.seller.get", datetime.now(UTC) - timedelta(minutes=11), fields="nick")
    assert late["error_response"]["code"] == 31
    taobao.account = {**taobao.account, "app_secret": "0" * 32}
    assert (await taobao.taobao("taobao.user.seller.get"))["error_response"]["code"] == 25


@pytest.mark.parametrize(
    ("back", "span"), [(timedelta(days=2), timedelta(hours=25)), (timedelta(days=95), timedelta())]
)
async def test_taobao_lists_a_day_of_the_last_three_months(taobao: Caller, back: timedelta, span: timedelta) -> None:
    start = datetime.now(UTC) - back
    window: dict[str, Any] = {"start_modified": china(start), "end_modified": china(start + span)}
    answer = await taobao.taobao("taobao.trades.sold.increment.get", **window)
    assert answer["error_response"]["code"] == 41


async def test_taobao_counts_or_says_whether_there_is_more_but_not_both(taobao: Caller) -> None:
    now = datetime.now(UTC)
    window: dict[str, Any] = {"start_modified": china(now - timedelta(hours=1)), "end_modified": china(now)}
    counted = await taobao.taobao("taobao.trades.sold.increment.get", use_has_next="false", fields="tid", **window)
    quick = await taobao.taobao("taobao.trades.sold.increment.get", use_has_next="true", fields="tid", **window)
    assert {"total_results", "has_next"} & set(counted["trades_sold_increment_get_response"]) == {"total_results"}
    assert {"total_results", "has_next"} & set(quick["trades_sold_increment_get_response"]) == {"has_next"}


async def test_jd_misspells_its_answer_and_wants_a_state(jd: Caller) -> None:
    now = datetime.now(UTC)
    window = {"start_date": china(now - timedelta(days=1)), "end_date": china(now)}
    answer = await jd.jd("jingdong.pop.order.enSearch", {**window, "order_state": "FINISHED_L"})
    assert "searchorderinfo_result" in answer["jingdong_pop_order_enSearch_responce"]
    stateless = await jd.jd("jingdong.pop.order.enSearch", window)
    verdict = stateless["jingdong_pop_order_enSearch_responce"]["searchorderinfo_result"]["apiResult"]
    assert verdict["success"] is False
    late = await jd.jd("jingdong.pop.order.enSearch", window, datetime.now(UTC) - timedelta(minutes=7))
    assert late["error_response"]["code"] == "8"


async def test_pinduoduo_lists_half_an_hour(pinduoduo: Caller) -> None:
    now = int(datetime.now(UTC).timestamp())
    kind = "pdd.order.number.list.increment.get"
    states: dict[str, Any] = {"order_status": "5", "refund_status": "5", "is_lucky_flag": "0"}
    wide = await pinduoduo.pinduoduo(kind, start_updated_at=str(now - 1801), end_updated_at=str(now), **states)
    assert wide["error_response"]["error_code"] == 10000
    good = await pinduoduo.pinduoduo(kind, start_updated_at=str(now - 1800), end_updated_at=str(now), **states)
    assert "total_count" in good["order_sn_increment_get_response"]


async def test_pinduoduo_decrypts_once_in_ten_seconds(pinduoduo: Caller) -> None:
    asked = json.dumps([{"data_tag": "1", "encrypted_data": "~nothing~"}])
    first = await pinduoduo.pinduoduo("pdd.open.decrypt.batch", data_list=asked)
    assert first["open_decrypt_batch_response"]["data_decrypt_list"][0]["error_code"] == 1
    second = await pinduoduo.pinduoduo("pdd.open.decrypt.batch", data_list=asked)
    assert second["error_response"]["error_code"] == 70033
