"""Bills of WeChat Pay: fetched packed, held against their digest, of both accounts, read in fen."""

from typing import Any

import pytest

from connectors.reading import CHINA
from connectors.wechat_pay.bills import read_bill
from domain.catalog import CATALOG
from domain.problems import (
    CommunicationProblem,
    Text,
    ValidationProblem,
)
from simulator.platforms.wechat_pay import bills
from tests.connectors.harness import Outside, perform
from tests.connectors.test_wechat_pay import MERCHANT, PAYEE, merchant, traded_day

TRADE_BILL = """\ufeff交易时间,交易状态,应结订单金额,退款金额,手续费
`2026-11-22 10:00:00,`SUCCESS,`129.00,`0.00,`0.77000
`2026-11-22 11:00:00,`REFUND,`0.00,`29.00,`-0.17000
总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额
`2,`129.00,`29.00,`0.00,`0.60000,`129.00,`29.00
"""


async def test_a_days_bill_has_the_sums_of_what_was_traded(world: Outside) -> None:
    day = traded_day(world)
    paid = [
        order.paid_minor
        for order in world.sim.app.state.world.orders.having(shop=bills.SHOP)
        if order.paid_at and order.paid_at.astimezone(CHINA).date() == day
    ]
    for kind in ("trade", "funds"):
        bill = await perform(await merchant(world), "wechat_pay.read_bill", day=day.isoformat(), kind=kind)
        assert bill.in_minor == sum(paid)
        assert bill.rows >= len(paid)
        assert len(bill.digest) == 40


async def test_a_days_fund_bill_is_of_both_accounts_that_can_pay(world: Outside) -> None:
    client, day = await merchant(world), world.sim.app.state.world.clock.now().astimezone(CHINA).date()
    for account in ("BASIC", "OPERATION"):
        paying = {"account": MERCHANT, "pays_from": account}
        await world.sim.admin("POST", "/transfers/paid-from", json=paying)
        await perform(client, "wechat_pay.transfer", **PAYEE, out_bill_no=f"FROM{account}")
        subjects = {"out_bill_no": f"FROM{account}"}
        body = {"platform": "wechat_pay", "account": MERCHANT, "event": "SUCCESS", "subjects": subjects}
        await world.sim.admin("POST", "/push", json=body)
    await world.sim.admin("POST", "/advance", json={"seconds": 86_400})
    bill = await client.day_bill(day, "funds")
    numbers = [each.number for each in bill.lines if each.number in ("FROMBASIC", "FROMOPERATION")]
    assert (numbers, bill.whole) == (["FROMBASIC", "FROMOPERATION"], True)
    assert len({each.line for each in bill.lines}) == len(bill.lines)
    ask = client.api.get

    async def without_operation_account(target: str) -> Any:
        if target.endswith("OPERATION"):
            raise ValidationProblem(Text("参数不正确", "A parameter is wrong"), platform_code="PARAM_ERROR")
        return await ask(target)

    client.api.get = without_operation_account
    bill = await client.day_bill(day, "funds")
    assert "FROMBASIC" in {each.number for each in bill.lines}
    assert not bill.whole, "nobody knows whether the platform meant that there is none"


async def test_what_a_voucher_paid_is_no_discount_of_the_shop(world: Outside) -> None:
    day = traded_day(world)
    trade = await (await merchant(world)).day_bill(day, "trade")
    bill = bills.trade_bill(world.sim.app.state.world, MERCHANT, "wx1", day)
    assert bill is not None
    assert {row["代金券金额"] for row in read_bill(bill, "trade").rows if row["交易状态"] == "SUCCESS"} == {"5.00"}
    assert {each.kind for each in trade.lines} <= {"payment", "refund"}


async def test_a_day_without_trade_has_an_empty_bill(world: Outside) -> None:
    bill = await perform(await merchant(world), "wechat_pay.read_bill", day="2020-01-01")
    assert (bill.rows, bill.in_minor, bill.digest) == (0, 0, None)


async def test_a_bill_that_is_not_what_its_digest_says_is_fetched_again(world: Outside) -> None:
    client, day = await merchant(world), traded_day(world)
    download, tampered = client.api.download, 1

    async def tamper(url: str, largest: int) -> bytes:
        nonlocal tampered
        content: bytes = await download(url, largest)
        tampered -= 1
        return content + b" " if tampered >= 0 else content

    client.api.download = tamper
    request = CATALOG["wechat_pay.read_bill"].parse_arguments({"day": day.isoformat()})
    with pytest.raises(CommunicationProblem, match="digest") as error:
        await client.read_bill(request)
    assert error.value.problem.as_dict()["retryable"] is True
    assert (await client.read_bill(request)).rows > 0


async def test_no_request_goes_where_an_answer_points_to(world: Outside) -> None:
    client = await merchant(world)
    with pytest.raises(CommunicationProblem, match="address"):
        await client.api.download("http://169.254.169.254/latest/meta-data", 1000)
    with pytest.raises(CommunicationProblem, match="address"):
        await client.api.download(client.api.settings.base_url + ".evil.example/v3/file", 1000)


def test_a_bill_reads_in_fen() -> None:
    bill = read_bill(TRADE_BILL, "trade")
    assert (len(bill.rows), bill.in_minor, bill.out_minor, bill.fee_minor) == (2, 12900, 2900, 60)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("`2,`129.00", "`3,`129.00"),
        ("`2,`129.00", "`2,`128.99"),
        ("`SUCCESS,`129.00", "`SUCCESS,`12a.00"),
        ("`SUCCESS,`129.00,`0.00,`0.77000", "`SUCCESS"),
        ("总交易单数", "sums"),
        ("退款金额,手续费\n", "手续费\n"),
    ],
)
def test_a_bill_that_does_not_add_up_is_refused(before: str, after: str) -> None:
    with pytest.raises(CommunicationProblem):
        read_bill(TRADE_BILL.replace(before, after, 1), "trade")
