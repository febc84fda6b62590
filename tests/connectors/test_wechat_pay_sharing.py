"""WeChat Pay's profit sharing: a payment is shared once per number, within its bounds, and every part has its end."""

import asyncio
import json
from typing import Any

import pytest
from wechatpayv3 import WeChatPay, WeChatPayType

from connectors.connection_report import ConnectionFault
from connectors.reading import CHINA
from domain.catalog import CATALOG
from domain.problems import (
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    ValidationProblem,
)
from simulator.entities import Order
from simulator.platforms.wechat_pay import bills
from tests.connectors.harness import Attempts, Outside, connector, perform

MERCHANT = "demo-wechat-pay"
ORDERS = {"platform": "wechat_pay", "api": "profitsharing/orders"}
QUERY = {"platform": "wechat_pay", "api": "profitsharing/orders/out-order-no"}
RECEIVER = "1900000110"


async def merchant(world: Outside) -> Any:
    client = await world.open("wechat_pay")
    await perform(client, "wechat_pay.add_share_receiver", kind="merchant", receiver=RECEIVER, name="双擎城市代理")
    return client


async def sold(world: Outside) -> Order:
    """An order of the store that was paid a moment ago."""
    wanted = {"shop": bills.SHOP, "customer_id": "c000001", "count": 3}
    made = await world.sim.admin("POST", "/orders", json=wanted)
    found: Order = world.sim.app.state.world.orders.get(made["id"])
    assert found.paid_minor > 2_000
    return found


def asked(order: Order, amount: int, *, receiver: str = RECEIVER, **more: Any) -> dict[str, Any]:
    part = {"kind": "merchant", "receiver": receiver, "amount_minor": amount, "remark": "11月城市返利"}
    return {"transaction_id": f"42{order.id}", "shares": [part], "out_order_no": "S1", **more}


async def ended(world: Outside, client: Any, order: Order, number: str = "S1") -> Any:
    await world.sim.admin("POST", "/advance", json={"seconds": 3})
    return await perform(client, "wechat_pay.get_sharing", transaction_id=f"42{order.id}", out_order_no=number)


async def test_a_part_is_pending_and_then_shared(world: Outside) -> None:
    client, order = await merchant(world), await sold(world)
    made = await perform(client, "wechat_pay.share_payment", **asked(order, 200))
    assert (made.finished, [each.result for each in made.shares]) == (False, ["pending"])
    seen = await ended(world, client, order)
    assert seen.finished
    assert [(each.receiver, each.amount_minor, each.result) for each in seen.shares] == [(RECEIVER, 200, "shared")]
    left = await perform(client, "wechat_pay.get_unshared", transaction_id=f"42{order.id}")
    assert left.unshared_minor == order.paid_minor - order.refunded_minor - 200
    assert await world.effects(kind="shared") == 1


@pytest.mark.parametrize("fault", ["timeout_after", "timeout_before", "5xx", "busy", "quota", "429"])
async def test_the_number_never_changes_and_the_platform_is_asked_first(world: Outside, fault: str) -> None:
    client, order = await merchant(world), await sold(world)
    seen: list[str] = []
    send = client.api._http.send

    async def watched(method: str, target: str, *rest: Any, **more: Any) -> Any:
        seen.append(f"{method} {target.partition('?')[0].rpartition('/')[2]}")
        return await send(method, target, *rest, **more)

    client.api._http.send = watched
    await world.break_things({"match": ORDERS, "fault": fault, "times": 1, "seconds": 1})
    await perform(client, "wechat_pay.share_payment", **asked(order, 200))
    assert seen[:2] == ["POST orders", "GET S1"]
    assert await world.effects(kind="share") == 1
    assert (await ended(world, client, order)).shares[0].result == "shared"
    assert await world.effects(kind="shared") == 1


async def test_a_refusal_is_final_only_once_the_platform_says_that_there_is_nothing(world: Outside) -> None:
    client, order = await merchant(world), await sold(world)
    request = CATALOG["wechat_pay.share_payment"].parse_arguments(asked(order, order.paid_minor))
    with pytest.raises(ConflictProblem) as refusal:
        await Attempts(client, CATALOG["wechat_pay.share_payment"], request, "k").until_done(most=1)
    assert refusal.value.problem.as_dict()["platform_code"] == "RULE_LIMIT"
    assert refusal.value.problem.as_dict()["outcome"] == "not_done"
    await world.break_things({"match": QUERY, "fault": "5xx"})
    with pytest.raises(ProblemError) as unknown:
        await Attempts(client, CATALOG["wechat_pay.share_payment"], request, "k").until_done(most=1)
    assert unknown.value.problem.as_dict()["outcome"] == "unknown"


async def test_one_number_is_one_request_whoever_asks_for_it(world: Outside) -> None:
    client, order = await merchant(world), await sold(world)
    first = await perform(client, "wechat_pay.share_payment", key="a", **asked(order, 200))
    again = await perform(client, "wechat_pay.share_payment", key="b", **asked(order, 200))
    assert first.sharing_id == again.sharing_id
    with pytest.raises(ConflictProblem, match="another request"):
        await perform(client, "wechat_pay.share_payment", key="c", **asked(order, 300))
    assert await world.effects(kind="share") == 1


async def test_of_a_payment_no_more_is_shared_than_the_ratio(world: Outside) -> None:
    client, order = await merchant(world), await sold(world)
    most = order.paid_minor * 30 // 100
    await perform(client, "wechat_pay.share_payment", key="a", **asked(order, most - 1))
    with pytest.raises(ConflictProblem):
        await perform(client, "wechat_pay.share_payment", key="b", **asked(order, 2, out_order_no="S2"))
    await perform(client, "wechat_pay.share_payment", key="c", **asked(order, 1, out_order_no="S3"))


async def test_what_was_closed_can_be_shared_with_others(world: Outside) -> None:
    client, order = await merchant(world), await sold(world)
    most = order.paid_minor * 30 // 100
    await perform(client, "wechat_pay.add_share_receiver", kind="merchant", receiver="1900009999", name="注销了的代理")
    await perform(client, "wechat_pay.share_payment", **asked(order, most, receiver="1900009999"))
    (closed,) = (await ended(world, client, order)).shares
    assert (closed.result, closed.reason) == ("closed", "ACCOUNT_ABNORMAL")
    await perform(client, "wechat_pay.share_payment", **asked(order, most, out_order_no="S2"))
    assert await world.effects(kind="shared") == 0


async def test_an_old_payment_and_a_strangers_cannot_be_shared(world: Outside) -> None:
    client = await merchant(world)
    old = await sold(world)
    await world.sim.admin("POST", "/advance", json={"seconds": 30 * 86_400 + 1})
    with pytest.raises(ConflictProblem, match="30"):
        await perform(client, "wechat_pay.share_payment", **asked(old, 100))
    with pytest.raises(ValidationProblem):
        await perform(client, "wechat_pay.share_payment", **{**asked(old, 100), "transaction_id": "42NOBODYS"})
    with pytest.raises(ValidationProblem, match="未添加"):
        await perform(client, "wechat_pay.share_payment", **asked(await sold(world), 100, receiver="1900000777"))
    with pytest.raises(NotFoundProblem):
        await perform(client, "wechat_pay.get_sharing", transaction_id=f"42{old.id}", out_order_no="NOBODYS")


async def test_a_payment_takes_fifty_requests_at_thirty_a_second(world: Outside) -> None:
    client, order = await merchant(world), await sold(world)
    call = CATALOG["wechat_pay.share_payment"]
    limited, refused = 0, dict[int, str]()
    for number in range(51):
        request = call.parse_arguments(asked(order, 1, out_order_no=f"S{number}"))
        while True:
            try:
                await client.share_payment(request, key="k", resumed=False)
                break
            except RateLimitProblem as problem:
                limited += 1
                await asyncio.sleep(float(problem.problem.as_dict()["retry_after_s"]) + 0.05)
            except ConflictProblem as problem:
                refused[number] = str(problem.problem.as_dict()["platform_code"])
                break
    assert limited < 20
    assert refused == {50: "RULE_LIMIT"}
    assert await world.effects(kind="share") == 50


async def test_released_is_the_merchants(world: Outside) -> None:
    client, order = await merchant(world), await sold(world)
    await perform(
        client, "wechat_pay.release_payment", transaction_id=f"42{order.id}", remark="售后期已过", out_order_no="U1"
    )
    left = await perform(client, "wechat_pay.get_unshared", transaction_id=f"42{order.id}")
    assert left.unshared_minor == 0
    with pytest.raises(ConflictProblem):
        await perform(client, "wechat_pay.share_payment", **asked(order, 1))


async def test_a_name_travels_sealed_and_a_merchants_is_required(world: Outside) -> None:
    client = await merchant(world)
    with pytest.raises(ValidationProblem, match="name"):
        CATALOG["wechat_pay.add_share_receiver"].parse_arguments({"kind": "merchant", "receiver": "1"})
    await perform(client, "wechat_pay.add_share_receiver", kind="openid", receiver="oPerson", name="林晓")
    await perform(client, "wechat_pay.add_share_receiver", kind="openid", receiver="oPerson")
    row = world.sim.app.state.world.shelf("wechat_pay_receiver", object).get(f"{MERCHANT}/PERSONAL_OPENID/oPerson")
    assert row.name == "林晓"


async def test_what_was_shared_is_in_the_days_fund_bill(world: Outside) -> None:
    client, order = await merchant(world), await sold(world)
    await perform(client, "wechat_pay.share_payment", **asked(order, 200))
    done = (await ended(world, client, order)).shares[0].ended_at
    await world.sim.admin("POST", "/advance", json={"seconds": 86_400})
    request = CATALOG["wechat_pay.read_bill"].parse_arguments(
        {"day": done.astimezone(CHINA).date().isoformat(), "kind": "funds"}
    )
    bill, _ = await client.download_bill(request)
    assert [row["收支金额(元)"] for row in bill.rows if row["业务名称"] == "分账"] == ["2.00"]


async def test_the_librarys_own_client_works_with_the_simulator(world: Outside) -> None:
    settings = (await world.account("wechat_pay")).settings
    library = WeChatPay(
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
    library._core._gate_way = settings["base_url"]
    order = await sold(world)
    transaction = f"42{order.id}"
    part = {"type": "PERSONAL_OPENID", "account": "oPerson", "amount": 200, "description": "佣金"}

    async def told(method: Any, *arguments: Any, **more: Any) -> Any:
        code, body = await asyncio.to_thread(method, *arguments, **more)
        assert code == 200, body
        return json.loads(body)

    await told(library.profitsharing_add_receiver, "PERSONAL_OPENID", "oPerson", "STAFF", name="林晓")
    made = await told(library.profitsharing_order, transaction, "LIB1", [part], False)
    assert made["state"] == "PROCESSING"
    await world.sim.admin("POST", "/advance", json={"seconds": 3})
    seen = await told(library.profitsharing_order_query, transaction, "LIB1")
    assert (seen["state"], seen["receivers"][0]["result"]) == ("FINISHED", "SUCCESS")
    await told(library.profitsharing_unfreeze, transaction, "LIB2", "解冻全部剩余资金")
    assert (await told(library.profitsharing_amount_query, transaction))["unsplit_amount"] == 0
    ours = await perform(
        await merchant(world), "wechat_pay.get_sharing", transaction_id=transaction, out_order_no="LIB1"
    )
    assert ours.shares[0].result == "shared"


async def test_a_merchant_who_may_not_share_is_told_so_where_payments_are_to_be_shared(world: Outside) -> None:
    sharing, pay = await world.account("wechat_pay", profit_sharing=True), connector("wechat_pay")
    assert (await pay.test_connection(sharing, world.link)).ok
    await world.break_things({"match": QUERY, "fault": "forbidden"})
    assert (await pay.test_connection(await world.account("wechat_pay"), world.link)).ok
    report = await pay.test_connection(sharing, world.link)
    assert report.fault is ConnectionFault.PERMISSION
    assert report.message.zh.startswith("分账单无法读取")
