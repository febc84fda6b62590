"""Profit sharing is planned only of what can be shared, to whom it can be: what would fail is never approved."""

from datetime import timedelta

import pytest

from domain.settlement.payouts import Rail
from services.payout_planning import PARTS, PayoutPlanning
from services.payouts import BatchView, PayoutWish
from services.shareable_sums import ShareableSums
from storage.paging import PageRequest
from tests.services.cashier import Cashier
from tests.services.merchants import connect_merchant, pay_order
from tests.services.test_calculations import Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN

__all__ = ["office"]
RAILS: list[Rail] = ["profit-sharing", "wechat-pay", "bank"]
MERCHANT = "wechat_pay/main"
BANK = {"bank_account": "6222000011112222", "real_name": "名"}
OWED = {"P1": 1_537, "C1": 360}


@pytest.fixture
async def cashier(office: Office) -> Cashier:
    """15.37 are owed to P1, whose order it is, and 3.60 to C1, above them; nobody has an account yet."""
    await connect_merchant(office.database, profit_sharing=True)
    await office.told(an_order(channel="P1"))
    found = Cashier(office)
    await found.settled()
    return found


async def outcome(cashier: Cashier, view: BatchView) -> dict[str, str]:
    """The rail of each payee, or why there is none."""
    paid = await cashier.service.payouts(QIAN, view.batch.id, PageRequest(50))
    left = await cashier.service.omissions(QIAN, view.batch.id)
    assert {each.payee: each.payout.amount_minor for each in paid.items} == {
        payee: amount for payee, amount in OWED.items() if payee not in {each.payee for each in left}
    }
    return {each.payee: each.payout.rail for each in paid.items} | {each.payee: each.reason for each in left}


async def planned(cashier: Cashier, rails: list[Rail] = RAILS) -> dict[str, str]:
    view = await cashier.planned(PayoutWish(scheme="promoters", rails=rails))
    assert view.batch.state == "planned"
    return await outcome(cashier, view)


async def test_who_has_no_orders_of_their_own_is_paid_by_bank(office: Office, cashier: Cashier) -> None:
    for code in OWED:
        await cashier.payee(code, merchant_receiver="1900000110", **BANK)
    await pay_order(office.database, MERCHANT, "E1", 30_000)
    assert await planned(cashier) == {"P1": "profit-sharing", "C1": "bank"}


async def test_who_has_no_other_account_either_is_named_before_anybody_approves(
    office: Office, cashier: Cashier
) -> None:
    for code in OWED:
        await cashier.payee(code, merchant_receiver="1900000110", real_name="名")
    await pay_order(office.database, MERCHANT, "E1", 30_000)
    assert await planned(cashier) == {"P1": "profit-sharing", "C1": "nothing-to-share"}


@pytest.mark.parametrize(
    ("paid_minor", "ago", "rail"),
    [
        # Of a payment 30 % can be shared, for 30 days, of which the last hour is spared.
        (5_127, timedelta(days=1), "profit-sharing"),
        (5_120, timedelta(days=1), "bank"),
        (30_000, timedelta(days=29), "profit-sharing"),
        (30_000, timedelta(days=29, hours=14), "bank"),
        (30_000, timedelta(days=31), "bank"),
    ],
)
async def test_what_can_be_shared_in_part_or_no_more_tonight_is_paid_by_bank_in_whole(
    office: Office, cashier: Cashier, paid_minor: int, ago: timedelta, rail: str
) -> None:
    for code in OWED:
        await cashier.payee(code, merchant_receiver="1900000110", **BANK)
    await pay_order(office.database, MERCHANT, "E1", paid_minor, ago=ago)
    assert await planned(cashier) == {"P1": rail, "C1": "bank"}


async def test_a_merchant_without_a_name_is_paid_otherwise_or_named(office: Office, cashier: Cashier) -> None:
    await pay_order(office.database, MERCHANT, "E1", 30_000)
    await cashier.payee("C1", merchant_receiver="1900000110", openid="o-C1")
    await cashier.payee("P1", merchant_receiver="1900000110")
    assert await planned(cashier) == {"P1": "no-real-name", "C1": "wechat-pay"}


async def test_a_person_needs_no_name_for_shares(office: Office, cashier: Cashier) -> None:
    await pay_order(office.database, MERCHANT, "E1", 30_000)
    await cashier.payee("P1", merchant_receiver="o-P1")
    assert await planned(cashier) == {"P1": "profit-sharing", "C1": "no-account"}


async def test_bills_are_read_first_where_anything_could_be_shared(office: Office, cashier: Cashier) -> None:
    class Sums(ShareableSums):
        asked = 0

        async def freshen(self) -> None:
            self.asked += 1
            if self.asked == 1:
                await pay_order(office.database, MERCHANT, "E1", 30_000)

    sums = Sums()
    cashier.planning = PayoutPlanning(office.database, sharing=sums)
    await cashier.payee("P1", merchant_receiver="o-P1", openid="o-P1")
    assert (await planned(cashier))["P1"] == "profit-sharing"
    assert sums.asked == PARTS


async def test_no_bill_is_read_for_other_rails(office: Office, cashier: Cashier) -> None:
    class Sums(ShareableSums):
        async def freshen(self) -> None:
            raise AssertionError("nobody asked for sharing")

    cashier.planning = PayoutPlanning(office.database, sharing=Sums())
    await cashier.payee("P1", merchant_receiver="o-P1", openid="o-P1")
    assert (await planned(cashier, ["wechat-pay"]))["P1"] == "wechat-pay"
