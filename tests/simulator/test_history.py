"""The two years before the simulator started: who is who, when they bought, how it ended."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest

from simulator.entities import OrderStatus, RefundStatus
from simulator.seeding import CHINA
from simulator.settings import Settings
from simulator.world import World

EPOCH = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return World(Settings(customers=400, epoch=EPOCH))


def test_every_selling_platform_has_buyers_and_orders(world: World) -> None:
    sold = Counter(world.platform_of(order.shop) for order in world.orders)
    selling = {"youzan", "taobao", "jd", "pinduoduo", "douyin", "wechat_store", "meituan", "eleme"}
    assert set(sold) == selling
    assert all(count > 50 for count in sold.values())


def test_the_first_person_is_everywhere_and_others_are_not(world: World) -> None:
    everywhere = {buyer.platform for buyer in world.buyers.having(customer="c000000")}
    assert len(everywhere) == 8
    assert sum(len(world.buyers.having(customer=customer.id)) < 8 for customer in world.customers) > 300


def test_people_are_hard_to_tell_apart(world: World) -> None:
    families = [row for row in world.customers if row.household]
    phones = Counter(row.phone for row in world.customers)
    devices = Counter(row.device for row in world.customers if row.device)
    twice = Counter((buyer.customer_id, buyer.platform) for buyer in world.buyers)
    moved = [row for row in world.customers if row.former_phone]
    stale = [buyer for row in moved for buyer in world.buyers.having(customer=row.id) if buyer.phone != row.phone]
    assert families
    assert max(phones.values()) == 2
    assert max(devices.values()) == 2
    assert max(twice.values()) == 2
    assert stale
    assert len({row.unionid for row in world.customers}) == len(world.customers)


def test_orders_follow_their_own_time(world: World) -> None:
    for order in world.orders:
        moments = [order.created_at, order.paid_at, order.shipped_at]
        told = [moment for moment in moments if moment]
        assert told == sorted(told), order
        assert max(told) <= order.updated_at <= world.epoch, order
        assert order.created_at >= world.epoch - timedelta(days=732)
        never_paid = order.status is OrderStatus.CLOSED and order.refunded_minor == 0
        assert (order.paid_at is None) == (order.status is OrderStatus.UNPAID or never_paid)
        assert order.paid_minor > 0


def test_refunds_are_of_paid_orders_and_never_more_than_was_paid(world: World) -> None:
    assert len(world.refunds) > 30
    for refund in world.refunds:
        order = world.orders.get(refund.tid)
        assert order is not None
        assert order.paid_at is not None
        assert order.paid_at < refund.created_at <= refund.modified_at <= world.epoch
        assert 0 < refund.amount_minor <= order.paid_minor
        refunded = refund.amount_minor if refund.status is RefundStatus.REFUNDED else 0
        assert order.refunded_minor == refunded
        assert (order.status is OrderStatus.CLOSED) == (refunded == order.paid_minor)


def test_more_is_bought_on_festivals_at_night_and_lately(world: World) -> None:
    local = [order.created_at.astimezone(CHINA) for order in world.orders]
    days = Counter(at.date() for at in local)
    festival = sum(count for day, count in days.items() if (day.month, day.day) in ((11, 10), (11, 11))) / 4
    assert festival > 2 * len(local) / 731
    nights = sum(at.hour in (20, 21, 22) for at in local if at)
    mornings = sum(at.hour in (7, 8, 9) for at in local)
    assert nights > 1.5 * mornings


def test_a_used_coupon_is_the_discount_of_its_order(world: World) -> None:
    states = Counter(coupon.state for coupon in world.coupons)
    assert set(states) == {"used", "expired", "taken"}
    for coupon in world.coupons:
        if coupon.state == "used":
            order = world.orders.get(coupon.order_id)
            assert order is not None
            assert (order.coupon_ids, order.discount_minor) == ((coupon.id,), coupon.value_minor)
            assert coupon.taken_at <= order.created_at
        else:
            assert (coupon.state == "expired") == (coupon.expires_at <= world.epoch)


def test_a_groups_second_buyer_is_another_person(world: World) -> None:
    seconds = [order for order in world.orders.having(shop="demo-pinduoduo") if order.parent_id]
    assert seconds
    for order in seconds:
        leader = world.orders.get(order.parent_id)
        assert leader is not None
        assert leader.group_id == order.group_id
        assert leader.customer_id != order.customer_id


def test_parcels_on_their_way_can_be_followed(world: World) -> None:
    travelling = [row for row in world.orders if row.status is OrderStatus.SHIPPED and row.waybill]
    assert travelling
    for order in travelling:
        (parcel,) = world.waybills.having(tid=order.id)
        assert (parcel.id, parcel.shipped_at) == (order.waybill, order.shipped_at)


def test_a_small_world_is_there_at_once() -> None:
    began = perf_counter()
    World(Settings(customers=200))
    assert perf_counter() - began < 1


def test_windows_hold_what_a_scan_of_everything_would(world: World) -> None:
    start, end = EPOCH - timedelta(days=40), EPOCH - timedelta(days=10)
    found = world.orders.between("updated", start, end, shop="demo-taobao")
    assert [row.id for row in found] == [
        row.id
        for row in sorted(world.orders.having(shop="demo-taobao"), key=lambda row: (row.updated_at, row.id))
        if start <= row.updated_at <= end
    ]
    moved = world.orders.change(found[0], updated_at=EPOCH)
    again = world.orders.between("updated", start, end, shop="demo-taobao")
    assert [row.id for row in again] == [row.id for row in found[1:]]
    assert moved in world.orders.between("updated", EPOCH, None, shop="demo-taobao")


def test_new_shops_have_customers_and_goods_and_sold_nothing() -> None:
    new = World(Settings(customers=40, years=0, epoch=EPOCH))
    assert len(new.customers) == 40
    assert list(new.goods)
    assert not list(new.orders)
    assert not list(new.refunds)
