"""WeChat Pay: money that goes once, notices that are believed, bills that add up."""

import asyncio
import json
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from wechatpayv3 import WeChatPay, WeChatPayType

from connectors.reading import CHINA
from connectors.webhooks import WebhookRequest
from connectors.wechat_pay.client import bill_number
from connectors.wechat_pay.codes import DAYS_QUOTA
from domain.catalog import CATALOG
from domain.problems import (
    AuthenticationProblem,
    ConfigurationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    ValidationProblem,
)
from simulator.platforms.wechat_pay import bills, keys
from simulator.platforms.wechat_pay.transfers import DayLimit
from tests.connectors.harness import Attempts, Outside, connector, perform

MERCHANT = "demo-wechat-pay"
PAYEE: dict[str, Any] = {"openid": "oPayee", "amount_minor": 12000, "remark": "11月推广佣金"}
TRANSFERS = {"platform": "wechat_pay", "api": "transfer-bills"}
OTHER = keys.rsa_key("somebody else")


async def merchant(world: Outside) -> Any:
    return await world.open("wechat_pay")


async def settle(world: Outside, number: str, state: str) -> WebhookRequest:
    body = {"platform": "wechat_pay", "account": MERCHANT, "event": state, "subjects": {"out_bill_no": number}}
    await world.sim.admin("POST", "/push", json=body)
    return (await world.pushes("wechat_pay", 1))[-1]


async def test_a_transfer_waits_for_its_payee_and_then_is_there(world: Outside) -> None:
    client = await merchant(world)
    made = await perform(client, "wechat_pay.transfer", **PAYEE)
    assert (made.state, made.out_bill_no) == ("wait_confirm", bill_number("key-1"))
    assert made.confirmation
    await settle(world, made.out_bill_no, "SUCCESS")
    seen = await perform(client, "wechat_pay.get_transfer", out_bill_no=made.out_bill_no)
    assert (seen.state, seen.amount_minor, seen.payout_id) == ("succeeded", 12000, made.payout_id)


async def test_only_the_platform_itself_ends_a_transfer_that_may_have_been_made(world: Outside) -> None:
    client, call = await merchant(world), CATALOG["wechat_pay.transfer"]
    request = call.parse_arguments(PAYEE)
    told = []
    for refused in ("transfer-bills/out-bill-no", "transfer-bills"):
        await world.break_things({"match": {**TRANSFERS, "api": refused}, "fault": "forbidden"})
        with pytest.raises(ProblemError) as error:
            await client.transfer(request, key="key-1", resumed=True)
        told.append(error.value.problem.as_dict())
    assert [(each["outcome"], each.get("asked_first", False)) for each in told] == [
        ("unknown", False),
        ("not_done", True),
    ]


async def test_a_transfer_tells_what_its_scene_wants(world: Outside) -> None:
    await perform(await merchant(world), "wechat_pay.transfer", **PAYEE)
    told = {"岗位类型": "团长", "报酬说明": "11月佣金"}
    account = await world.account("wechat_pay", scene_reports=told)
    client = connector("wechat_pay").open(account, world.link)
    await perform(client, "wechat_pay.transfer", key="key-2", **PAYEE, reports={"报酬说明": "双十一佣金"})
    usual, own = [each["request"] for each in (await world.sim.ledger(kind="transfer"))["entries"]]
    assert usual["transfer_scene_id"] == own["transfer_scene_id"] == "1005"
    assert {each["info_type"] for each in usual["transfer_scene_report_infos"]} == {"岗位类型", "报酬说明"}
    assert own["transfer_scene_report_infos"] == [
        {"info_type": "岗位类型", "info_content": "团长"},
        {"info_type": "报酬说明", "info_content": "双十一佣金"},
    ]
    request = CATALOG["wechat_pay.transfer"].parse_arguments({**PAYEE, "reports": {"活动名称": "双十一"}})
    with pytest.raises(ValidationProblem, match="转账场景报备信息"):
        await Attempts(client, CATALOG["wechat_pay.transfer"], request, "k").until_done(most=1)


async def test_a_scene_and_a_merchant_may_be_given_as_numbers(world: Outside) -> None:
    shown = await world.account("wechat_pay")
    numbers = {"mch_id": int(shown.settings["mch_id"]), "scene_id": 1011, "scene_reports": {"赔付原因": "错发"}}
    client = connector("wechat_pay").open(await world.account("wechat_pay", **numbers), world.link)
    assert (await perform(client, "wechat_pay.transfer", **PAYEE)).state == "wait_confirm"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"scene_id": "1011"}, "赔付原因"),
        ({"scene_reports": {"岗位类型": "推广员"}}, "报酬说明"),
        ({"scene_reports": {"活动名称": "双十一", "奖励说明": "奖励"}}, "岗位类型"),
        ({"scene_reports": {"岗位类型": "推广员", "报酬说明": "佣" * 33}}, "scene_reports"),
        ({"scene_id": "2000"}, "scene_reports"),
    ],
)
async def test_a_scene_that_the_platform_would_refuse_is_refused_in_the_settings(
    world: Outside, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationProblem, match=named):
        connector("wechat_pay").open(await world.account("wechat_pay", **changes), world.link)


async def test_a_payee_confirms_with_the_package_and_nobody_else_and_not_twice(world: Outside) -> None:
    client = await merchant(world)
    made = await perform(client, "wechat_pay.transfer", **PAYEE)
    settings = client.api.settings
    page = {"mchId": settings.mch_id, "appId": settings.app_id, "package": made.confirmation}
    for wrong, status in (({"package": "other"}, 404), ({"appId": "wx-other"}, 404), ({"openId": "oOther"}, 422)):
        refused = await world.sim.http.post("/_sim/transfers/confirm", json={**page, **wrong})
        assert refused.status_code == status, refused.text
    await world.sim.admin("POST", "/transfers/confirm", json=page)
    seen = await perform(client, "wechat_pay.get_transfer", out_bill_no=made.out_bill_no)
    assert (seen.state, seen.confirmation) == ("succeeded", None)
    assert (await world.sim.http.post("/_sim/transfers/confirm", json=page)).status_code == 422
    late = await perform(client, "wechat_pay.transfer", key="late", **PAYEE)
    await world.sim.admin("POST", "/advance", json={"seconds": 25 * 3600})
    again = await world.sim.http.post("/_sim/transfers/confirm", json={**page, "package": late.confirmation})
    assert again.status_code == 422


async def test_an_unclaimed_transfer_fails_after_a_day(world: Outside) -> None:
    client = await merchant(world)
    made = await perform(client, "wechat_pay.transfer", **PAYEE)
    await world.sim.admin("POST", "/advance", json={"seconds": 25 * 3600})
    seen = await perform(client, "wechat_pay.get_transfer", out_bill_no=made.out_bill_no)
    assert (seen.state, seen.fail_reason) == ("failed", "OVERDUE_CLOSE")


@pytest.mark.parametrize("fault", ["timeout_after", "timeout_before", "5xx", "busy", "quota", "429"])
async def test_the_number_of_a_transfer_never_changes_and_the_platform_is_asked_first(
    world: Outside, fault: str
) -> None:
    client = await merchant(world)
    asked: list[str] = []
    send = client.api._http.send

    async def watched(method: str, target: str, *rest: Any, **more: Any) -> Any:
        asked.append(f"{method} {target.rpartition('/')[2]}")
        return await send(method, target, *rest, **more)

    client.api._http.send = watched
    await world.break_things({"match": TRANSFERS, "fault": fault, "times": 1, "seconds": 1})
    made = await perform(client, "wechat_pay.transfer", **PAYEE)
    entries = (await world.sim.ledger(kind="transfer"))["entries"]
    assert {entry["out_bill_no"] for entry in entries} == {made.out_bill_no}
    assert [entry["effect"] for entry in entries if entry["effect"]] == [True]
    assert made.confirmation, "its payee can confirm it, whatever answer was lost"
    assert asked[:2] == ["POST transfer-bills", f"GET {made.out_bill_no}"]


async def test_a_refusal_is_final_only_once_the_platform_says_that_there_is_nothing(world: Outside) -> None:
    client = await merchant(world)
    client.api.settings = client.api.settings.model_copy(update={"app_id": "wx-of-somebody-else"})
    request = CATALOG["wechat_pay.transfer"].parse_arguments(PAYEE)
    with pytest.raises(ValidationProblem) as refusal:
        await Attempts(client, CATALOG["wechat_pay.transfer"], request, "k").until_done(most=1)
    assert refusal.value.problem.as_dict()["outcome"] == "not_done"
    await world.break_things({"match": {**TRANSFERS, "api": "transfer-bills/out-bill-no"}, "fault": "5xx"})
    with pytest.raises(ProblemError) as unknown:
        await Attempts(client, CATALOG["wechat_pay.transfer"], request, "k").until_done(most=1)
    assert unknown.value.problem.as_dict()["outcome"] == "unknown"


async def test_one_number_is_one_payment_whoever_asks_for_it(world: Outside) -> None:
    client = await merchant(world)
    first = await perform(client, "wechat_pay.transfer", key="a", **PAYEE, out_bill_no="P202611")
    again = await perform(client, "wechat_pay.transfer", key="b", **PAYEE, out_bill_no="P202611")
    assert first.payout_id == again.payout_id
    for other in ({**PAYEE, "amount_minor": 13000}, {**PAYEE, "openid": "oSomebodyElse"}):
        with pytest.raises(ConflictProblem, match="another transfer"):
            await perform(client, "wechat_pay.transfer", key="c", **other, out_bill_no="P202611")
    assert await world.effects(kind="transfer") == 1


async def test_a_name_is_required_from_2000_yuan_and_travels_sealed(world: Outside) -> None:
    client = await merchant(world)
    big = {**PAYEE, "amount_minor": 200_000}
    with pytest.raises(ValidationProblem, match="payee_name"):
        CATALOG["wechat_pay.transfer"].parse_arguments(big)
    made = await perform(client, "wechat_pay.transfer", **big, payee_name="林晓")
    row = world.sim.app.state.world.shelf("wechat_pay_transfer", object).get(f"{MERCHANT}/{made.out_bill_no}")
    assert row.payee_name == "林晓"
    assert "林晓" not in json.dumps((await world.sim.ledger(kind="transfer"))["entries"], ensure_ascii=False)


@pytest.mark.parametrize("number", ["", "with space", "x" * 33, "数字"])
def test_a_number_the_platform_would_not_take_is_refused_before_it_is_sent(number: str) -> None:
    with pytest.raises(ValidationProblem):
        CATALOG["wechat_pay.transfer"].parse_arguments({**PAYEE, "out_bill_no": number})


@pytest.mark.parametrize(("state", "event"), [("SUCCESS", "payout.succeeded"), ("CANCELLED", "payout.failed")])
async def test_a_notice_tells_how_a_transfer_ended(world: Outside, state: str, event: str) -> None:
    made = await perform(await merchant(world), "wechat_pay.transfer", **PAYEE)
    account, pay = await world.account("wechat_pay"), connector("wechat_pay")
    request = await settle(world, made.out_bill_no, state)
    (told,) = pay.to_events(pay.verify(request, account), account)
    assert (told.type, told.subject) == (f"tandem.{event}", f"payout:wechat_pay/{made.out_bill_no}")
    assert told.data["amount_minor"] == 12000


@pytest.mark.parametrize(
    "change",
    [
        {"apiv3_key": "0" * 32},
        {"public_key_id": "PUB_KEY_ID_OTHER"},
    ],
)
async def test_a_notice_that_other_keys_would_open_is_refused(world: Outside, change: dict[str, str]) -> None:
    made = await perform(await merchant(world), "wechat_pay.transfer", **PAYEE)
    request = await settle(world, made.out_bill_no, "SUCCESS")
    with pytest.raises(AuthenticationProblem):
        connector("wechat_pay").verify(request, await world.account("wechat_pay", **change))


@pytest.mark.parametrize("field", ["private_key", "public_key"])
async def test_a_key_that_is_none_is_named(world: Outside, field: str) -> None:
    with pytest.raises(ConfigurationProblem, match=field):
        connector("wechat_pay").open(await world.account("wechat_pay", **{field: "no key"}), world.link)


@pytest.mark.parametrize("change", [{"public_key_id": "PUB_KEY_ID_OTHER"}, {"public_key": keys.public_pem(OTHER)}])
async def test_an_answer_that_the_platform_did_not_sign_is_not_believed(world: Outside, change: dict[str, str]) -> None:
    client = connector("wechat_pay").open(await world.account("wechat_pay", **change), world.link)
    request = CATALOG["wechat_pay.transfer"].parse_arguments(PAYEE)
    with pytest.raises(AuthenticationProblem) as error:
        await Attempts(client, CATALOG["wechat_pay.transfer"], request, "k").until_done(most=1)
    assert error.value.problem.as_dict()["outcome"] == "unknown"


async def test_only_who_signs_can_say_that_a_transfer_was_never_taken(world: Outside) -> None:
    client, call = await merchant(world), CATALOG["wechat_pay.transfer"]
    request, send = call.parse_arguments(PAYEE), client.api._http.send
    for status in (404, 401, 429, 502):

        async def answered(method: str, *rest: Any, _status: int = status, **more: Any) -> Any:
            if method == "GET":
                return _status, httpx.Headers(), b'{"code":"NOT_FOUND","message":"none"}'
            return await send(method, *rest, **more)

        client.api._http.send = answered
        with pytest.raises(ProblemError) as error:
            await client.transfer(request, key="key-1", resumed=True)
        assert error.value.problem.as_dict()["outcome"] == "unknown", status
    assert await world.effects(kind="transfer") == 0, "what may have been paid is not paid again"


async def test_a_days_limit_counts_when_the_platform_signed_it_and_a_stranger_only_throttles(world: Outside) -> None:
    client, call = await merchant(world), CATALOG["wechat_pay.transfer"]
    limits = world.sim.app.state.world.shelf("wechat_pay_day_limit", DayLimit)
    limits.put(DayLimit(id=MERCHANT, amount_minor=PAYEE["amount_minor"] - 1))
    request, send = call.parse_arguments(PAYEE), client.api._http.send
    with pytest.raises(ConflictProblem) as signed:
        await client.transfer(request, key="key-1", resumed=False)
    told = signed.value.problem.as_dict()
    assert (told["platform_code"] in DAYS_QUOTA, told["outcome"], told["retryable"]) == (True, "not_done", False)

    async def damaged(method: str, *rest: Any, **more: Any) -> Any:
        status, headers, content = await send(method, *rest, **more)
        return status, headers, content + b" " if method == "POST" else content

    client.api._http.send = damaged
    with pytest.raises(RateLimitProblem) as forged:
        await client.transfer(request, key="key-1", resumed=False)
    told = forged.value.problem.as_dict()
    assert (told["platform_code"], told["outcome"], told["retryable"]) == ("429", "not_done", True)
    assert await world.effects(kind="transfer") == 0


async def test_a_refusal_that_nobody_signed_is_told_but_not_believed(world: Outside) -> None:
    client = await merchant(world)

    async def refused(*_: Any, **__: Any) -> Any:
        return 403, httpx.Headers(), '{"code":"NO_AUTH","message":"商户无权限"}'.encode()

    client.api._http.send = refused
    request = CATALOG["wechat_pay.transfer"].parse_arguments(PAYEE)
    with pytest.raises(AuthenticationProblem, match="public_key") as error:
        await client.transfer(request, key="key-1", resumed=False)
    assert "商户无权限 (NO_AUTH)" in error.value.text.zh
    assert error.value.problem.as_dict()["outcome"] == "unknown"


async def test_a_key_that_only_notices_need_is_spoken_of_where_there_are_notices(world: Outside) -> None:
    account = await world.account("wechat_pay", notify_url="https://shop.example.com/hooks/wechat_pay/main")
    report = await connector("wechat_pay").test_connection(account, world.link)
    assert report.ok
    assert report.hint is not None
    assert "apiv3_key" in report.hint.en


# --- bills


def traded_day(world: Outside) -> date:
    """A day of the past on which the store sold something."""
    orders = world.sim.app.state.world.orders.having(shop=bills.SHOP)
    today = datetime.now(UTC).astimezone(CHINA).date()
    days = [order.paid_at.astimezone(CHINA).date() for order in orders if order.paid_at]
    latest: date = max(day for day in days if day < today)
    return latest


# --- the library itself, unchanged, against the simulator


async def test_the_librarys_own_client_works_with_the_simulator(world: Outside) -> None:
    settings = (await world.account("wechat_pay")).settings
    client = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=settings["mch_id"],
        private_key=settings["private_key"],
        cert_serial_no=settings["serial_no"],
        appid=settings["app_id"],
        apiv3_key=settings["apiv3_key"],
        public_key=settings["public_key"],
        public_key_id=settings["public_key_id"],
        timeout=(5, 5),
    )
    client._core._gate_way = settings["base_url"]
    code, told = await asyncio.to_thread(
        client.mch_transfer_bills,
        "LIB1",
        "1005",
        "oPayee",
        250_000,
        "佣金",
        user_name="林晓",
        transfer_scene_report_infos=[
            {"info_type": "岗位类型", "info_content": "推广员"},
            {"info_type": "报酬说明", "info_content": "11月佣金"},
        ],
    )
    assert (code, json.loads(told)["state"]) == (200, "WAIT_USER_CONFIRM")
    request = await settle(world, "LIB1", "SUCCESS")
    notice = client.callback(request.headers, request.body)
    assert (notice["event_type"], notice["resource"]["state"]) == ("MCHTRANSFER.BILL.FINISHED", "SUCCESS")
    code, told = await asyncio.to_thread(client.mch_transfer_bills_query, out_bill_no="LIB1")
    assert (code, json.loads(told)["state"]) == (200, "SUCCESS")
    code, told = await asyncio.to_thread(client.trade_bill, traded_day(world).isoformat(), tar_type="")
    assert (code, json.loads(told)["hash_type"]) == (200, "SHA1")
    ours = await perform(await merchant(world), "wechat_pay.get_transfer", out_bill_no="LIB1")
    assert ours.state == "succeeded"


async def test_a_transfer_that_nobody_made_is_not_found(world: Outside) -> None:
    with pytest.raises(NotFoundProblem):
        await perform(await merchant(world), "wechat_pay.get_transfer", out_bill_no="NOBODYS")


async def test_a_clock_that_is_wrong_is_said_in_plain_words(world: Outside) -> None:
    await world.break_things({"match": {"platform": "wechat_pay"}, "fault": "clock_skew", "seconds": 3600})
    report = await connector("wechat_pay").test_connection(await world.account("wechat_pay"), world.link)
    assert not report.ok
    assert "clock" in report.message.en


def test_a_number_is_the_keys_own() -> None:
    assert bill_number("a") == bill_number("a") != bill_number("b")
    assert len(bill_number("a")) == 32
    assert bill_number("a").isalnum()


async def test_a_conflicting_number_is_a_conflict_for_the_platform(world: Outside) -> None:
    client = await merchant(world)
    await perform(client, "wechat_pay.transfer", **PAYEE, out_bill_no="P1")
    request = CATALOG["wechat_pay.transfer"].parse_arguments({**PAYEE, "openid": "oOther"})
    with pytest.raises(ConflictProblem):
        await client.api.change("/v3/fund-app/mch-transfer/transfer-bills", client._order(request, "P1"))
