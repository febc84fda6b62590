"""Which merchant pays: chosen when payouts are asked for, and nobody else is ever asked about them."""

import importlib
import json

import pytest
from sqlalchemy import text

from connectors.http import Link, open_client
from connectors.pacing import REQUESTS_IN_A_CALL
from connectors.tokens import MemoryTokenStore
from domain.problems import NotFoundProblem, RateLimitProblem, Text, ValidationProblem
from domain.settlement.payouts import Rail
from services.payout_rails import PayoutRail
from services.payouts import BatchView, PayoutWish
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.services.cashier import Cashier
from tests.services.merchants import Merchants, connect_merchant, disconnect_merchant, wechat_pay_rail
from tests.services.test_calculations import Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN, WU

__all__ = ["office"]


class AtOnce:
    """Gives everybody their turn at once."""

    async def turn(self, account_id: str, per_second: float, *, bulk: bool) -> None:
        return

    async def hold(self, account_id: str, seconds: float) -> None:
        return


class Till(Cashier):
    """Who pays by real merchants. All payees have an account and a name."""

    def __init__(self, office: Office, link: Link, merchants: Merchants, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rails: dict[Rail, PayoutRail] = {
            "wechat-pay": wechat_pay_rail(office.database, link, merchants, monkeypatch)
        }
        super().__init__(office, self.rails)
        self.merchants = merchants

    async def ready(self, *codes: str) -> None:
        """Something to pay to each of them, and nobody else."""
        for code in codes:
            await self.payee(code, openid=f"o-{code}", real_name=f"名{code}")
        await self.office.told(*(an_order(f"E{code}", channel=code) for code in codes))
        await self.settled()

    async def later(self, view: BatchView, times: int = 1, **time: float) -> BatchView:
        for _ in range(times):
            self.office.clock.advance(**(time or {"hours": 1}))
            view = await self.pay(view.batch.id)
        return view


@pytest.fixture
async def till(office: Office, monkeypatch: pytest.MonkeyPatch) -> Till:
    async with open_client() as client:
        link = Link(client, MemoryTokenStore(), now=office.clock, pacer=AtOnce())
        found = Till(office, link, Merchants(), monkeypatch)
    await found.ready("P1")
    return found


async def test_a_payout_whose_answer_was_lost_is_asked_of_its_own_merchant_alone(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    till.merchants.loses = 1
    view = await till.paid()
    assert await till.states(view) == {"unknown": 1}
    await disconnect_merchant(office.database, "a")
    await connect_merchant(office.database, "b", "1002")
    view = await till.later(view, 5)
    assert await till.states(view) == {"unknown": 1}
    assert set(till.merchants.asked) == {"1001"}
    assert len(till.merchants.taken) == 1, "paid once"
    await connect_merchant(office.database, "a")
    assert await till.states(await till.later(view)) == {"paid": 1}


async def test_every_merchant_is_asked_no_more_than_a_hundred_times_a_second(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    till.merchants.loses = 1
    view = await till.later(await till.paid())
    assert await till.states(view) == {"paid": 1}
    assert {pace and (pace[0], pace[1] * REQUESTS_IN_A_CALL) for pace in till.merchants.paces} == {
        ("wechat_pay/a", 100.0)
    }


async def test_a_merchant_that_is_disconnected_ends_no_payout_that_it_may_have_made(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    till.merchants.loses = 1
    view = await till.paid()
    await disconnect_merchant(office.database, "a")
    view = await till.later(view, 210, minutes=31)
    assert await till.states(view) == {"unknown": 1}
    assert await till.accounts() == {"commission": {"": -1_897}, "payable": {"C1": 360}, "paying": {"P1": 1_537}}
    await connect_merchant(office.database, "a")
    assert await till.states(await till.later(view)) == {"paid": 1}
    assert list(till.merchants.taken.values()) == [1_537]


async def test_what_was_sent_and_not_taken_does_not_wait_for_ever_for_its_merchant(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    till.merchants.refuses = [RateLimitProblem(Text("余额不足", "not enough"), retryable=True, retry_after_s=60)]
    view = await till.paid()
    assert await till.states(view) == {"reserved": 1}
    await disconnect_merchant(office.database, "a")
    view = await till.later(view, 210, minutes=31)
    assert await till.states(view) == {"unknown": 1}, "whatever was said weeks ago"
    view = await till.later(view, 1, days=26)
    async with UnitOfWork(office.database) as work:
        found = await work.session.execute(text("SELECT kind, state FROM breaks"))
        assert [tuple(each) for each in found] == [("overdue", "open")]
    assert await till.accounts() == {"commission": {"": -1_897}, "payable": {"C1": 360}, "paying": {"P1": 1_537}}


async def test_what_was_never_sent_comes_back_when_its_merchant_stays_away(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    view = await till.planned()
    await till.reserved(view.batch.id)
    await disconnect_merchant(office.database, "a")
    view = await till.later(view, 20, minutes=31)
    assert await till.states(view) == {"reserved": 1}
    await connect_merchant(office.database, "b", "1002")
    view = await till.later(view, 200, minutes=31)
    assert await till.states(view) == {"failed": 1}
    assert (await till.accounts())["payable"] == {"P1": 1_537, "C1": 360}
    assert not till.merchants.asked
    second = await till.paid()
    assert await till.states(second) == {"paid": 1}
    assert set(till.merchants.asked) == {"1002"}


async def test_a_merchant_that_is_another_one_now_is_not_asked(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    till.merchants.loses = 1
    view = await till.paid()
    async with UnitOfWork(office.database) as work:
        await work.session.execute(
            text("UPDATE accounts SET settings = jsonb_set(settings, '{mch_id}', '\"1002\"') WHERE slug = 'a'")
        )
    view = await till.later(view, 3)
    assert await till.states(view) == {"unknown": 1}
    assert set(till.merchants.asked) == {"1001"}
    (payout,) = (await till.service.payouts(QIAN, view.batch.id, PageRequest())).items
    assert "1001" in (payout.payout.reason or "")


async def test_who_pays_is_one_merchant_or_the_batch_is_refused(office: Office, till: Till) -> None:
    with pytest.raises(NotFoundProblem, match="bank"):
        await till.planned()
    await connect_merchant(office.database, "a", "1001")
    await connect_merchant(office.database, "b", "1002")
    with pytest.raises(ValidationProblem, match="a, b"):
        await till.planned()
    for slug in ("c", "wechat_pay/a"):
        with pytest.raises(NotFoundProblem, match=slug):
            await till.planned(PayoutWish(scheme="promoters", accounts={"wechat-pay": slug}))
    view = await till.planned(PayoutWish(scheme="promoters", accounts={"wechat-pay": "b"}))
    await till.reserved(view.batch.id)
    assert await till.states(await till.pay(view.batch.id)) == {"paid": 1}
    assert set(till.merchants.asked) == {"1002"}
    (payer,) = view.batch.payers.values()
    assert (payer.account, payer.mch_id) == ("wechat_pay/b", "1002")
    await disconnect_merchant(office.database, "a")
    with pytest.raises(NotFoundProblem, match="a"):
        await till.planned(PayoutWish(scheme="promoters", accounts={"wechat-pay": "a"}))


async def test_profit_sharing_is_by_a_merchant_that_shares(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    rails: list[Rail] = ["profit-sharing"]
    with pytest.raises(NotFoundProblem, match="profit sharing"):
        await till.planned(PayoutWish(scheme="promoters", rails=rails))
    with pytest.raises(ValidationProblem, match="does not share"):
        await till.planned(PayoutWish(scheme="promoters", rails=rails, accounts={"profit-sharing": "a"}))
    view = await till.planned()
    assert set(view.batch.payers) == {"wechat-pay"}, "nobody asked for sharing"
    await till.service.decide(WU, view.batch.id, approve=False)
    await connect_merchant(office.database, "b", "1002", profit_sharing=True)
    view = await till.planned(PayoutWish(scheme="promoters", rails=rails))
    assert view.batch.payers["profit-sharing"].account == "wechat_pay/b"


async def test_payouts_by_bank_need_no_merchant(office: Office, till: Till) -> None:
    await till.payee("P1", bank_account="6222000011112222", real_name="名P1")
    view = await till.planned(PayoutWish(scheme="promoters", rails=["bank"]))
    assert [(each.rail, each.payouts) for each in view.sums] == [("bank", 1)]
    assert not view.batch.payers


async def test_batches_of_before_have_who_it_can_only_have_been(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    batches = []
    for _ in range(2):
        batches.append((await till.planned()).batch.id)
        await till.service.decide(WU, batches[-1], approve=False)
    office.clock.advance(hours=1)
    await connect_merchant(office.database, "b", "1002")
    batches.append((await till.planned(BY_B)).batch.id)
    await till.service.decide(WU, batches[-1], approve=False)
    batches.append((await till.planned(BY_B)).batch.id)
    who_pays = importlib.import_module("storage.migrations.versions.0061_payers").WHO_PAYS
    async with UnitOfWork(office.database) as work:
        for batch, accounts in zip(batches, ({"wechat-pay": "a"}, {}, {"wechat-pay": "wechat_pay/b"}, {}), strict=True):
            values = {"batch": batch, "accounts": json.dumps({"accounts": accounts})}
            await work.session.execute(_AS_BEFORE, values)
        await work.session.execute(text(who_pays))
    found = [(await till.service.show(QIAN, batch)).batch.payers for batch in batches]
    assert [{rail: payer.mch_id for rail, payer in each.items()} for each in found] == [
        {"wechat-pay": "1001", "profit-sharing": "1001"},
        {"wechat-pay": "1001", "profit-sharing": "1001"},
        {"wechat-pay": "1002"},
        {},
    ], "named; the only one of then; named; several of now"


async def test_a_payout_of_nobody_in_particular_is_asked_of_nobody(office: Office, till: Till) -> None:
    """Of a batch of before, that several could have been asked about."""
    await connect_merchant(office.database, "a", "1001")
    till.merchants.loses = 1
    view = await till.paid()
    async with UnitOfWork(office.database) as work:
        await work.session.execute(_AS_BEFORE, {"batch": view.batch.id, "accounts": json.dumps({"payers": {}})})
    view = await till.later(view, 3)
    assert await till.states(view) == {"unknown": 1}
    assert till.merchants.asked["1001"] == 1


_AS_BEFORE = text("UPDATE payout_batches SET terms = (terms - 'payers') || CAST(:accounts AS jsonb) WHERE id = :batch")
BY_B = PayoutWish(scheme="promoters", accounts={"wechat-pay": "b"})
