"""Who lives in the world, and what each platform knows them by.

Not everyone is on every platform. Some people have two accounts on one, some changed their number, a few families share
a number, a few people share a device: the cases that make telling people apart hard.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from simulator.entities import Buyer, Contact, Customer, Follower
from simulator.seeding.numbers import buyer_number
from simulator.seeding.shops import CORP, OFFICIAL_ACCOUNT, SHARES, STAFF

if TYPE_CHECKING:
    from simulator.world import World

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅鑫宇欣怡梓涵子轩雨彤浩然诗琪"
PLACES = (
    ("浙江省", "杭州市", "西湖区", "文三路"),
    ("上海市", "上海市", "徐汇区", "漕溪北路"),
    ("广东省", "广州市", "天河区", "体育西路"),
    ("四川省", "成都市", "武侯区", "人民南路"),
    ("湖北省", "武汉市", "洪山区", "珞喻路"),
    ("北京市", "北京市", "朝阳区", "建国路"),
)
IN_CHAT = 0.9
FOLLOWERS = 0.5
ON_SITE = 0.4
CHANGED_PHONE = 0.04
SECOND_ACCOUNT = 0.04
TWICE = frozenset({"taobao", "jd", "pinduoduo", "douyin"})
"""Where people have two accounts."""
NOTED_EVERY = 4
"""Of so many contacts the employee wrote down the number of one."""
WECHAT_SHOPS = frozenset({"youzan", "wechat_store"})
"""Platforms whose buyers are WeChat users."""
FAMILY_EVERY, SHARED_PHONE, SHARED_DEVICE = 60, 17, 37
"""Of every 60 people the 17th shares the phone, the 37th the device of the one before."""


def seed_people(world: World) -> None:
    """Everybody with their accounts, contacts and the public account they follow. The first person is everywhere."""
    span = timedelta(days=365 * world.settings.years)
    for number in range(world.settings.customers):
        pick = Random(f"{world.settings.seed}:customer:{number}")
        customer = world.customers.seed(_customer(world, number, pick))
        if customer.external_userid is not None:
            world.contacts.seed(_contact(world, customer, number))
        for platform, share in SHARES.items():
            if pick.random() < share or number == 0:
                joined = world.epoch - span + pick.random() ** 2 * span * 0.98
                world.buyers.seed(buyer_of(world, customer, platform, 0, joined))
                if platform in TWICE and pick.random() < SECOND_ACCOUNT:
                    world.buyers.seed(buyer_of(world, customer, platform, 1, joined))
        if pick.random() < FOLLOWERS or number == 0:
            _follow(world, customer, world.epoch - pick.random() * span, pick)


def buyer_of(world: World, customer: Customer, platform: str, turn: int, joined: datetime) -> Buyer:
    """A person's account on a platform; old accounts may still be registered with the number of then."""
    buyer_id = buyer_number(world, platform, int(customer.id[1:]), turn)
    changed = customer.phone_changed_at
    stale = changed is not None and joined < changed and int(world.token("stale", platform, customer.id)[0], 16) < 8
    app = {"youzan": "youzan", "wechat_store": "demo-wechat-store"}.get(platform)
    return Buyer(
        id=f"{platform}/{buyer_id}",
        platform=platform,
        buyer_id=buyer_id,
        customer_id=customer.id,
        nickname=f"{customer.name[0]}**",
        phone=customer.former_phone if stale else customer.phone,
        joined_at=joined,
        openid=world.openid(customer, app) if app else "",
    )


def _customer(world: World, number: int, pick: Random) -> Customer:
    place = pick.choice(PLACES)
    known_in_chat = pick.random() < IN_CHAT or number == 0
    name = pick.choice(SURNAMES) + "".join(pick.sample(GIVEN, pick.choice((1, 2))))
    gender, house = pick.choice((1, 2)), f"{pick.randint(1, 399)}号{pick.randint(1, 30)}室"
    phone = f"1{pick.choice('3578')}{number % 10**9:09d}"
    on_site = pick.random() < ON_SITE or number == 0 or number % FAMILY_EVERY == SHARED_DEVICE - 1
    device = world.token("device", number)[:32] if on_site else ""
    changed = pick.random() < CHANGED_PHONE
    days_ago, birth = (
        pick.uniform(30, 330),
        f"{pick.randint(1960, 2005)}-{pick.randint(1, 12):02d}-{pick.randint(1, 28):02d}",
    )
    relative = world.customers.get(f"c{number - 1:06d}")
    household = ""
    if relative is not None and number % FAMILY_EVERY == SHARED_PHONE:
        phone, household, changed = relative.phone, relative.id, False
    if relative is not None and relative.device and number % FAMILY_EVERY == SHARED_DEVICE:
        device, household = relative.device, relative.id
    return Customer(
        id=f"c{number:06d}",
        name=name,
        gender=gender,
        phone=phone,
        former_phone=f"1{pick.choice('3578')}9{number % 10**8:08d}" if changed else "",
        phone_changed_at=world.epoch - timedelta(days=days_ago) if changed else None,
        province=place[0],
        city=place[1],
        district=place[2],
        street=f"{place[3]}{house}",
        unionid="o" + world.token("union", number)[:27],
        external_userid="wm" + world.token("external", number)[:30] if known_in_chat else None,
        device=device,
        household=household,
        member_number=f"M{number:08d}",
        birthday=birth,
    )


def _contact(world: World, customer: Customer, number: int) -> Contact:
    return Contact(
        id=str(customer.external_userid),
        corp=CORP,
        customer_id=customer.id,
        userid=STAFF[number % len(STAFF)].userid,
        created_at=world.epoch - timedelta(days=30 + number % 300),
        state=("", "counter-1", "counter-2", "parcel-card", "live-room")[number % 5],
        remark_mobile=customer.phone if number % NOTED_EVERY == 1 else "",
    )


def _follow(world: World, customer: Customer, at: datetime, pick: Random) -> None:
    world.followers.seed(
        Follower(
            id=world.openid(customer, OFFICIAL_ACCOUNT),
            account=OFFICIAL_ACCOUNT,
            customer_id=customer.id,
            followed_at=at,
            following=pick.random() < 0.93,
            scene=pick.choice(("", "counter-1", "parcel-card", "menu-poster")),
        )
    )
