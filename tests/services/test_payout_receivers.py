"""Whose account a payout goes to: the one that was approved, whatever is said of its payee afterwards."""

import pytest
from sqlalchemy import text

from domain.settlement.payees import NewPayee, NewPayoutDetails, PayoutDetails
from services.bank_payouts import BankPayouts
from services.paying import Paying
from services.payout_call_offs import PayoutCallOffs
from services.payout_rails import PayoutOrder, RailAnswer
from services.payouts import BatchView, NamedPayout, PayoutWish
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.services.cashier import Cashier, FakeRail
from tests.services.merchants import connect_merchant
from tests.services.test_calculations import Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN, WU

__all__ = ["office"]
CARD, THEIRS = "6222020200112233445", "6214830112345678"
BY_BANK = PayoutWish(scheme="promoters", rails=["bank"])


class WatchedRail(FakeRail):
    """A rail that also remembers whom it was told to pay, and whom it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[PayoutDetails] = []
        self.asked_about: list[PayoutDetails] = []
        self.withheld: set[str | None] = set()

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        self.told.append(order.details)
        return await super().ask(order)

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        self.asked_about.append(order.details)
        self.withheld.add(order.withheld)
        return await super().ask(order)


class Till(Cashier):
    """Who pays P1 and P2, by WeChat Pay where nothing else is said."""

    def __init__(self, office: Office) -> None:
        self.watched = WatchedRail()
        super().__init__(office, {"wechat-pay": self.watched})

    async def put(self, code: str, **details: str) -> int:
        """As they are by default, but for what is said."""
        known = {"openid": f"o-{code}", "real_name": f"名{code}", "bank_account": CARD, "bank_name": "招商银行"}
        return await self.payee(code, **known | details)

    async def end(self, code: str) -> None:
        """Let a payee be active no more."""
        details = NewPayoutDetails(openid=f"o-{code}")
        await self.office.register.put(
            QIAN, [NewPayee(code=code, name=code, role="promoter", active=False, details=details)]
        )

    async def named(self, view: BatchView) -> dict[str, NamedPayout]:
        found = (await self.service.payouts(WU, view.batch.id, PageRequest())).items
        return {each.payee: each for each in found}

    async def ends(self, view: BatchView) -> dict[str, tuple[str, str | None]]:
        return {code: (each.payout.state, each.payout.reason) for code, each in (await self.named(view)).items()}


@pytest.fixture
async def till(office: Office) -> Till:
    found = Till(office)
    await connect_merchant(office.database)
    for code in ("P1", "P2"):
        await found.put(code)
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await found.settled()
    return found


async def test_an_account_that_nobody_approved_is_paid_nothing(office: Office, till: Till) -> None:
    view = await till.planned()
    await till.reserved(view.batch.id)
    before = await till.accounts()
    await till.put("P1", openid="o-somebody")
    await till.end("P2")
    view = await till.pay(view.batch.id)
    assert await till.ends(view) == {"P1": ("cancelled", "account-changed"), "P2": ("cancelled", "inactive")}
    assert (till.watched.told, view.batch.state) == ([], "done")
    assert {code: (await till.accounts())["payable"][code] for code in ("P1", "P2")} == before["paying"]
    async with UnitOfWork(office.database) as work:
        found = await work.session.execute(text("SELECT count(*) FROM audit_entries WHERE action = 'payouts.withhold'"))
        assert found.scalar() == 2
    # What is planned anew is approved with the account as it is by now.
    second = await till.planned()
    await till.reserved(second.batch.id)
    second = await till.pay(second.batch.id)
    assert await till.ends(second) == {"P1": ("paid", None)}
    assert [each.openid for each in till.watched.told] == ["o-somebody"]


async def test_an_account_that_is_changed_and_changed_back_is_the_one_that_was_approved(till: Till) -> None:
    view = await till.planned()
    await till.reserved(view.batch.id)
    await till.put("P1", openid="o-somebody")
    await till.put("P1")
    assert await till.states(await till.pay(view.batch.id)) == {"paid": 2}
    assert {each.openid for each in till.watched.told} == {"o-P1", "o-P2"}


async def test_what_may_have_been_sent_is_asked_about_as_it_was_sent_and_not_sent_again(
    office: Office, till: Till
) -> None:
    refused = RailAnswer("failed", reason="单据不存在", refused=True)
    till.watched.answers = {
        await till.put("P1"): [RailAnswer("unknown"), RailAnswer("unknown"), RailAnswer("paid")],
        await till.put("P2"): [RailAnswer("unknown"), refused],
    }
    view = await till.planned()
    await till.reserved(view.batch.id)
    assert await till.states(await till.pay(view.batch.id)) == {"unknown": 2}
    for code in ("P1", "P2"):
        await till.put(code, openid="o-somebody")
    till.watched.told.clear()
    for _ in range(3):
        office.clock.advance(hours=1)
        view = await till.pay(view.batch.id)
    assert await till.ends(view) == {"P1": ("paid", None), "P2": ("failed", "account-changed")}
    assert till.watched.told == []
    assert {each.openid for each in till.watched.asked_about} == {"o-P1", "o-P2"}
    assert till.watched.withheld == {"account-changed"}, "the rail knows that it is to send nothing more"


async def test_a_bank_file_has_the_accounts_that_were_approved_and_the_approver_saw_them(
    office: Office, till: Till
) -> None:
    files = BankPayouts(office.database)
    view = await till.planned(BY_BANK)
    assert (await till.named(view))["P1"].receiver == PayoutDetails(
        real_name="名**", bank_account="****3445", bank_name="招商银行"
    )
    await till.reserved(view.batch.id)
    await till.put("P1", bank_account=THEIRS)
    made = await files.make(QIAN, view.batch.id)
    assert (made.row.payouts, made.withheld) == (1, {"P1": "account-changed"})
    exported = await files.export(QIAN, made.row.number, "csv", "付款")
    assert THEIRS.encode() not in exported.content
    assert await till.ends(view) == {"P1": ("reserved", None), "P2": ("submitting", None)}
    # As it was approved it can be paid after all; else somebody else calls it off, and the next batch has the new one.
    await till.put("P1")
    assert (await files.make(QIAN, view.batch.id)).row.payouts == 1


async def test_a_bank_payout_to_a_new_account_is_called_off_and_approved_anew(office: Office, till: Till) -> None:
    files, view = BankPayouts(office.database), await till.planned(BY_BANK)
    await till.reserved(view.batch.id)
    await till.put("P1", bank_account=THEIRS)
    assert (await files.make(QIAN, view.batch.id)).withheld == {"P1": "account-changed"}
    await PayoutCallOffs(office.database).of_batch(WU, view.batch.id, "账户已更换")
    (named,) = (await till.named(await till.planned(BY_BANK))).values()
    assert named.receiver is not None
    assert (named.payee, named.receiver.bank_account) == ("P1", "****5678")


class HeldUpRail(FakeRail):
    """One that is believed at once, and that is asked so slowly that somebody else takes the payout meanwhile."""

    certain_after_s: float | None = None

    def __init__(self, office: Office) -> None:
        super().__init__()
        self._office = office

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        return RailAnswer("unknown")

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        async with UnitOfWork(self._office.database) as work:
            taken = text("UPDATE payouts SET attempts = attempts + 1 WHERE number = :number")
            await work.session.execute(taken, {"number": order.number})
        return RailAnswer("reserved")


async def test_a_payout_that_somebody_else_took_meanwhile_may_be_on_its_way(office: Office, till: Till) -> None:
    till.paying = Paying(office.database, {"wechat-pay": HeldUpRail(office)})
    view = await till.planned()
    await till.reserved(view.batch.id)
    await till.pay(view.batch.id)
    await till.end("P1")
    office.clock.advance(hours=1)
    assert (await till.ends(await till.pay(view.batch.id)))["P1"][0] == "submitting"
