"""A refund silences marketing about its goods, what is sold out is not recommended, and a spent coupon not recalled."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from connectors.canonical_records import handed_in
from connectors.loading import load_connectors
from connectors.webhooks import Verified
from domain.access import Role
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.canonical import Buyer, ContactData, CouponData, GoodsData, OrderData, OrderLine, RefundData, StockData
from domain.canonical.consents import Purpose
from domain.canonical.orders import OrderStatus, RefundStatus
from domain.catalog.coupons import CouponCheckArguments
from domain.catalog.goods import GoodsCheckArguments
from domain.catalog.messages import About, SendArguments, SendOutput, UnpaidOrder
from domain.events import Event
from domain.journeys.reach import ReachPolicy
from domain.problems import (
    UnavailableProblem,
)
from services.accounts import PlatformAccounts
from services.customer_facts import CustomerFactsService
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Arrival, Intake
from services.reach import Cause, ReachService
from services.suppressions import Silenced, SuppressionService
from storage.engine import Database
from storage.events import EventRow
from storage.orders import OrderRow, RefundRow
from storage.reach import TouchRow
from storage.suppressions import SuppressionRow
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock

NOW = datetime.now(UTC)
SHOP = {"platform": "youzan", "account": "flagship"}
BUYER = Buyer(unionid="U1")
SUPERVISOR = an_actor("zhou", Role.SUPERVISOR)
CAUSE = Cause("k1", "run-1", "/do/0/tell", "wecom/corp")
LINE = OrderLine(line_id="1", item_id="coat", title="羊毛大衣", quantity=1, price_minor=29_900, total_minor=29_900)
ORDER = OrderData(
    **SHOP,
    version=1,
    order_id="E1",
    status="paid",
    paid_minor=29_900,
    created_at=NOW,
    paid_at=NOW,
    buyer=BUYER,
    lines=(LINE,),
)
CONTACT = ContactData(platform="wecom", account="corp", version=1, external_userid="wm1", userid="lin", unionid="U1")


def refund(status: RefundStatus, version: int, *, at: datetime = NOW) -> RefundData:
    return RefundData(
        **SHOP, version=version, refund_id="R1", order_id="E1", status=status, amount_minor=29_900, occurred_at=at
    )


def arrival(name: str, data: Any) -> Arrival:
    event = Event(
        id=f"{name}-{data.version}",
        source=f"/{data.account_id}",
        type=f"tandem.{name}",
        time=NOW,
        data=data.model_dump(mode="json"),
    )
    return Arrival.of(event, max(NOW, data.occurred_at or NOW))


async def take_in(database: Database, **told: Any) -> None:
    """One drained batch. told: canonical data by the event's name, `order__paid`."""
    async with UnitOfWork(database) as work:
        arrivals = [arrival(name.replace("__", "."), data) for name, data in told.items()]
        await Intake(IdentityService()).take_in(work, arrivals)


@pytest.fixture
async def reach(database: Database) -> ReachService:
    """The house rules without hours and caps, and a customer who bought a coat."""
    await take_in(database, order__paid=ORDER, contact__added=CONTACT)
    return ReachService(database, ReachPolicy(quiet_hours=None, caps=()))


async def refusal(
    reach: ReachService,
    item: str = "coat",
    *,
    purpose: Purpose = "marketing",
    coupon: str | None = None,
    asked_at: datetime | None = None,
) -> str | None:
    about = About(
        items=(GoodsCheckArguments(**SHOP, item_id=item),),
        coupon=CouponCheckArguments(**SHOP, coupon_id=coupon) if coupon else None,
    )
    cause = replace(CAUSE, asked_at=asked_at)
    return await reach.refusal(SendArguments(to="wm1", text="新品", purpose=purpose, about=about), cause)


@pytest.mark.parametrize("status", ["requested", "refunded", "unknown"])
async def test_a_refund_silences_marketing_about_its_goods_and_nothing_else(
    database: Database, reach: ReachService, status: RefundStatus
) -> None:
    assert await refusal(reach) is None
    await take_in(database, refund__changed=refund(status, 2))
    assert await refusal(reach) == "suppressed"
    assert await refusal(reach, "scarf") is None
    assert await refusal(reach, purpose="service") is None


async def test_who_is_nobodys_contact_any_more_is_not_written_to_and_that_is_kept(
    database: Database, reach: ReachService
) -> None:
    other = CONTACT.model_copy(update={"userid": "mei", "version": 2})
    await take_in(database, contact__added=other)
    await take_in(database, contact__lost=CONTACT.model_copy(update={"version": 3}))
    assert await refusal(reach, purpose="service") is None, "Mei can still write"
    to_lin = SendArguments(to="wm1", text="新品", sender="lin")
    assert await reach.refusal(to_lin, CAUSE) == "contact_gone"
    await take_in(database, contact__removed=other.model_copy(update={"version": 4}))
    for purpose in ("service", "marketing"):
        assert await refusal(reach, purpose=purpose) == "contact_gone"
    await reach.record(to_lin, SendOutput(sent=False, skipped_reason="contact_gone"), CAUSE)
    async with UnitOfWork(database) as work:
        (touch,) = await work.session.scalars(select(TouchRow))
    assert (touch.skipped_reason, touch.identity_id is None) == ("contact_gone", False)
    await take_in(database, contact__added=CONTACT.model_copy(update={"version": 5}))
    assert await refusal(reach, purpose="service") is None, "they came back"


def told(data: RefundData | StockData, account: str = "flagship", *, at: datetime = NOW) -> Verified:
    """A push of a shop that says so."""
    kind = "refund" if isinstance(data, RefundData) else "stock"
    said = data.model_dump(mode="json", exclude={"platform", "account"}, exclude_none=True, exclude_defaults=True)
    body = json.dumps({"type": kind, "data": said}).encode()
    return Verified("tandem.records", body, f"{account}-{kind}-{data.version}", at)


async def test_nothing_goes_out_while_a_refund_that_came_before_waits_to_be_read(
    database: Database, reach: ReachService
) -> None:
    inbox = InboxService(database, load_connectors(Catalog()), Intake(IdentityService()))
    await inbox.accept("youzan", "flagship", told(refund("requested", 2)))
    with pytest.raises(UnavailableProblem) as later:
        await refusal(reach)
    assert (later.value.problem.as_dict()["outcome"], later.value.problem.as_dict()["retryable"]) == ("not_done", True)
    assert await refusal(reach, purpose="service") is None, "an answer waits for no shop"
    assert (await inbox.drain()).quarantined == 0
    assert await refusal(reach) == "suppressed"


async def test_a_message_waits_a_moment_for_what_came_just_now(
    database: Database, reach: ReachService, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.catching_up._SOON", timedelta(seconds=2))
    inbox = InboxService(database, load_connectors(Catalog()), Intake(IdentityService()))
    await inbox.accept("youzan", "flagship", told(refund("requested", 2), at=clock.now))
    sending = asyncio.create_task(refusal(reach))
    await asyncio.sleep(0.2)
    assert not sending.done()
    assert (await inbox.drain()).quarantined == 0
    assert await sending == "suppressed"


async def test_neither_another_shop_nor_what_comes_later_holds_a_message_up(
    database: Database, reach: ReachService, clock: SteppedClock
) -> None:
    inbox = InboxService(database, load_connectors(Catalog()), Intake(IdentityService()))

    def stock(version: int) -> Verified:
        return told(StockData(**SHOP, version=version, item_id="coat", available=5), at=clock.now)

    await inbox.accept("youzan", "other", told(refund("requested", 2), "other"))
    assert await refusal(reach) is None
    await inbox.accept("youzan", "flagship", stock(1))
    with pytest.raises(UnavailableProblem):
        await refusal(reach)
    asked_at = clock.now
    await inbox.drain()
    clock.advance(seconds=2)
    await inbox.accept("youzan", "flagship", stock(2))
    assert await refusal(reach, asked_at=asked_at) is None, "a shop that always tells something is not held up for ever"
    with pytest.raises(UnavailableProblem):
        await refusal(reach)
    clock.advance(seconds=10)
    with pytest.raises(UnavailableProblem):
        await refusal(reach, asked_at=asked_at)


async def test_what_the_warehouse_is_out_of_is_not_advertised_also_while_its_word_waits(database: Database) -> None:
    article = GoodsData(**SHOP, version=1, item_id="hat", title="渔夫帽", merchant_code="MZ-1")
    await take_in(database, contact__added=CONTACT, goods__updated=article)
    await PlatformAccounts(database).connect(
        an_actor("root"), NewAccount(platform="erp", slug="main", name="仓库", credentials={"secret": "x"})
    )
    out = StockData(platform="erp", account="main", version=1, item_id="MZ-1", available=0, occurred_at=NOW)
    reach = ReachService(database, ReachPolicy(quiet_hours=None, caps=()))
    assert await refusal(reach, "hat") is None
    await take_in(database, stock__changed=out.model_copy(update={"version": 0, "available": 8}))
    inbox = InboxService(database, load_connectors(Catalog()), Intake(IdentityService()))
    await inbox.accept("erp", "main", told(out, "main"))
    with pytest.raises(UnavailableProblem):
        await refusal(reach, "hat")
    assert (await inbox.drain()).quarantined == 0
    assert await refusal(reach, "hat") == "out_of_stock"


@pytest.mark.parametrize("status", ["closed", "refused", "return_refused"])
async def test_a_refund_that_came_to_nothing_silences_nobody(
    database: Database, reach: ReachService, status: RefundStatus
) -> None:
    await take_in(database, refund__changed=refund("requested", 2))
    await take_in(database, refund__changed=refund(status, 3))
    await take_in(database, refund__changed=refund("requested", 2))
    assert await refusal(reach) is None


async def test_a_refund_is_forgotten_after_thirty_days(database: Database, reach: ReachService) -> None:
    await take_in(database, refund__changed=refund("refunded", 2, at=NOW - timedelta(days=31)))
    assert await refusal(reach) is None


async def test_a_refund_before_its_order_silences_everything_until_the_goods_are_known(database: Database) -> None:
    reach = ReachService(database, ReachPolicy(quiet_hours=None, caps=()))
    early = refund("requested", 2).model_copy(update={"buyer": BUYER})
    await take_in(database, refund__changed=early, contact__added=CONTACT)
    assert await refusal(reach, "scarf") == "suppressed"
    await take_in(database, order__paid=ORDER)
    assert await refusal(reach, "scarf") is None
    assert await refusal(reach) == "suppressed"


async def told_silences(database: Database) -> list[dict[str, Any]]:
    async with UnitOfWork(database) as work:
        rows = await work.session.scalars(
            select(EventRow).where(col(EventRow.type) == "tandem.customer.suppressed").order_by(col(EventRow.seq))
        )
        return [{**row.envelope["data"], "subjects": row.subjects} for row in rows]


async def test_each_article_that_is_silenced_is_told_once_and_by_every_name(
    database: Database, reach: ReachService
) -> None:
    await take_in(database, refund__changed=refund("requested", 2))
    await take_in(database, refund__changed=refund("refunded", 3))
    (event,) = await told_silences(database)
    assert (event["platform"], event["account"], event["item_id"]) == ("youzan", "flagship", "coat")
    assert event["subjects"] == [f"customer:{event['customer']}"]
    await take_in(database, refund__changed=refund("closed", 4))
    await take_in(database, refund__changed=refund("requested", 5))
    assert len(await told_silences(database)) == 2, "who asks again is silenced again"


async def test_a_silence_that_was_over_and_begins_anew_is_told_again(
    database: Database, reach: ReachService, clock: SteppedClock
) -> None:
    await take_in(database, refund__changed=refund("requested", 2, at=clock.now))
    await silence(database, until=clock.now + timedelta(days=7))
    assert [event["reason"] for event in await told_silences(database)] == ["refund", "manual"]
    clock.advance(days=40)
    await silence(database, until=clock.now + timedelta(days=7))
    await take_in(database, refund__changed=refund("refunded", 3, at=clock.now))
    await take_in(database, refund__changed=refund("refunded", 4, at=clock.now + timedelta(minutes=1)))
    assert [event["reason"] for event in await told_silences(database)] == ["refund", "manual", "manual", "refund"]


async def test_an_old_refund_silences_without_stirring_runs(database: Database, reach: ReachService) -> None:
    await take_in(database, refund__changed=refund("refunded", 2, at=NOW - timedelta(days=10)))
    assert await refusal(reach) == "suppressed"
    async with UnitOfWork(database) as work:
        assert (
            await work.session.scalar(select(EventRow).where(col(EventRow.type) == "tandem.customer.suppressed"))
            is None
        )


async def test_what_is_sold_out_or_spent_is_not_advertised(database: Database, reach: ReachService) -> None:
    coupon = CouponData(**SHOP, version=1, coupon_id="C1", batch_id="B", state="taken", buyer=BUYER)
    await take_in(
        database, coupon__taken=coupon, stock__changed=StockData(**SHOP, version=1, item_id="hat", available=0)
    )
    assert await refusal(reach, "hat") == "out_of_stock"
    assert await refusal(reach, coupon="C1") is None
    await take_in(database, coupon__used=coupon.model_copy(update={"version": 2, "state": "used"}))
    assert await refusal(reach, coupon="C1") == "coupon_gone"
    assert await refusal(reach, coupon="C1", purpose="service") is None


@pytest.mark.parametrize("status", ["paid", "closed"])
async def test_nobody_is_reminded_of_an_order_that_is_paid_or_closed(
    database: Database, reach: ReachService, status: OrderStatus
) -> None:
    async def reminder(purpose: Purpose = "marketing", order_id: str = "E9") -> str | None:
        about = About(unpaid_order=UnpaidOrder(**SHOP, order_id=order_id))
        return await reach.refusal(SendArguments(to="wm1", text="待付款", purpose=purpose, about=about), CAUSE)

    unpaid = ORDER.model_copy(update={"order_id": "E9", "status": "unpaid", "paid_minor": None})
    await take_in(database, order__created=unpaid)
    assert await reminder() is None
    await take_in(database, order__changed=unpaid.model_copy(update={"version": 2, "status": status}))
    assert await reminder() == "order_settled"
    assert await reminder("service") is None
    assert await reminder(order_id="nobody-told-of-it") is None


async def test_a_touch_stands_on_the_key_that_was_written_to(database: Database, reach: ReachService) -> None:
    request = SendArguments(to="wm1", text="新品", purpose="marketing")
    await reach.record(request, SendOutput(sent=False, skipped_reason="suppressed"), CAUSE)
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(select(col(TouchRow.identity_id))) is not None


@pytest.mark.parametrize("name", ["key:unionid//U1", "key:external_userid/wecom/corp/wm1"])
async def test_a_profile_adds_up_what_all_keys_of_a_customer_did(
    database: Database, reach: ReachService, name: str
) -> None:
    await take_in(database, refund__changed=refund("requested", 2))
    profile = await CustomerFactsService(database).get(name)
    assert (profile.orders, profile.paid_minor, profile.open_refunds, profile.days_since_paid) == (1, 29_900, 1, 0)
    assert profile.last_order is not None
    assert profile.last_order.order_id == "E1"
    assert profile.contact is not None
    assert (profile.contact.account, profile.contact.external_userid, profile.contact.userid) == ("corp", "wm1", "lin")
    assert await CustomerFactsService(database).get(f"customer:{profile.customer_id}") == profile


@pytest.mark.parametrize("name", ["", "customer:x", "key:unionid//U2", "key:nobody/a/b", "order:E1"])
async def test_who_is_not_known_has_no_profile(database: Database, name: str) -> None:
    assert not (await CustomerFactsService(database).get(name)).known


async def silence(database: Database, **how: Any) -> list[Silenced]:
    """The only customer, left alone by the supervisor."""
    return await SuppressionService(database).silence(SUPERVISOR, await the_customer(database), "来电要求", **how)


async def the_customer(database: Database) -> UUID:
    profile = await CustomerFactsService(database).get("key:unionid//U1")
    return UUID(profile.customer_id)


async def test_an_order_and_its_refund_in_the_same_moment_miss_each_other_for_a_moment_only(database: Database) -> None:
    """Two batches at once, of which neither sees what the other writes."""
    reach = ReachService(database, ReachPolicy(quiet_hours=None, caps=()))
    await take_in(database, contact__added=CONTACT)
    for asks, whose in (("R1", Buyer()), ("R2", BUYER)):
        told = refund("refunded", 2).model_copy(update={"refund_id": asks, "order_id": f"E-{asks}", "buyer": whose})
        bought = ORDER.model_copy(update={"order_id": f"E-{asks}"})
        async with UnitOfWork(database) as first, UnitOfWork(database) as second:
            await Intake(IdentityService()).take_in(first, [arrival("refund.changed", told)])
            await Intake(IdentityService()).take_in(second, [arrival("order.paid", bought)])
        # Whoever drains settles what its own last batch and others may have missed of each other.
        await InboxService(database, load_connectors(Catalog()), Intake(IdentityService())).drain()
        async with UnitOfWork(database) as work:
            [row] = await work.session.scalars(select(RefundRow).where(col(RefundRow.refund_id) == asks))
            assert row.identity_id is not None, "the refund is the buyer's"
            articles = select(SuppressionRow.item_id).where(col(SuppressionRow.refund_key) == row.id)
            assert list(await work.session.scalars(articles)) == ["coat"]
            paid_back = select(OrderRow.refunded_minor).where(col(OrderRow.order_id) == f"E-{asks}")
            assert await work.session.scalar(paid_back) == 29_900
            events = select(EventRow).where(col(EventRow.type) == "tandem.customer.suppressed")
            assert {row.envelope["data"]["item_id"] for row in await work.session.scalars(events)} >= {"coat"}
    assert await refusal(reach) == "suppressed"
    assert await refusal(reach, "scarf") is None


async def test_a_batch_is_held_against_what_others_wrote_meanwhile_without_a_look_at_the_whole_hour(
    database: Database,
) -> None:
    """However many refunds wait for orders that nobody knows: what settling costs goes by the batch."""
    inbox = InboxService(database, load_connectors(Catalog()), Intake(IdentityService()))
    await inbox.drain()
    async with UnitOfWork(database) as other:
        await Intake(IdentityService()).take_in(other, [arrival("order.paid", ORDER)])
        asked = refund("refunded", 2).model_dump(mode="json", exclude={"platform", "account"})
        await inbox.accept("youzan", "flagship", handed_in("refund", asked, NOW))
        assert (await inbox.drain()).read == 1
    await inbox.drain()
    async with UnitOfWork(database) as work:
        [row] = await work.session.scalars(select(RefundRow))
        assert (row.identity_id is not None, row.unsettled) == (True, False), "the refund is the buyer's"
        assert list(await work.session.scalars(select(OrderRow.refunded_minor))) == [29_900]
