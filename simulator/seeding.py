"""The seeded shops: who lives there and what they bought. Same seed, same world."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from simulator.entities import (
    App,
    Contact,
    Corp,
    Customer,
    Order,
    OrderLine,
    OrderStatus,
    Shop,
    Staff,
    Tag,
    TagGroup,
)

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
CATALOGUES: dict[str, tuple[tuple[str, tuple[str, ...], int], ...]] = {
    "demo-apparel": (
        ("重磅纯棉圆领T恤", ("白色 M", "白色 L", "黑色 L"), 12900),
        ("高腰直筒牛仔裤", ("深蓝 27", "深蓝 28", "浅蓝 29"), 25900),
        ("羊毛混纺针织开衫", ("燕麦 S", "燕麦 M"), 39900),
        ("长款双面呢大衣", ("驼色 M", "黑色 M"), 129900),
        ("真丝印花连衣裙", ("绿色 S", "绿色 M"), 68900),
        ("棉麻宽松衬衫", ("条纹 均码",), 19900),
    ),
    "demo-beauty": (
        ("玻尿酸保湿面膜 10片", ("标准装",), 9900),
        ("烟酰胺精华液 30ml", ("30ml", "50ml"), 23900),
        ("丝绒哑光口红", ("豆沙色", "正红色"), 15900),
        ("眼部紧致霜", ("15g",), 45900),
    ),
}
STAFF = (
    Staff(userid="LiMei", name="李梅"),
    Staff(userid="ZhaoQiang", name="赵强"),
    Staff(userid="SunYing", name="孙颖"),
)
TAG_GROUPS = {
    "客户等级": ("普通", "高价值", "VIP"),
    "售后": ("退款中", "已退款", "退款被拒"),
    "偏好": ("犹豫型", "价格敏感", "新品尝鲜"),
}
SHOP_NUMBERS = {slug: number for number, slug in enumerate(CATALOGUES, start=1)}
CHINA = timezone(timedelta(hours=8))


def seed_world(world: World) -> None:
    """Fills an empty world; nothing here is written to the journal."""
    _shop(world, "demo-apparel", "双擎服饰旗舰店", 43000101)
    _shop(world, "demo-beauty", "双擎美妆旗舰店", 43000102)
    _corp(world, "demo-corp", "双擎零售有限公司")
    for number in range(world.settings.customers):
        customer = _customer(world, number)
        if customer.external_userid is not None:
            _befriend(world, customer, number)
    for shop in ("demo-apparel", "demo-beauty"):
        for number, customer in enumerate(list(world.customers)):
            _history(world, shop, customer, number)


def secret(world: World, *parts: object) -> str:
    """A credential of a demo account, 32 hex characters, following from the seed."""
    return world.token("secret", *parts)[:32]


def order_number(created: datetime, number: int) -> str:
    """An order number as Youzan writes them: E, local time in 14 digits, 9 digits."""
    return f"E{created.astimezone(CHINA):%Y%m%d%H%M%S}{number % 10**9:09d}"


def _shop(world: World, slug: str, name: str, kdt_id: int) -> None:
    world.shops.seed(
        Shop(
            id=slug,
            name=name,
            kdt_id=kdt_id,
            client_id=world.token("client", slug)[:18],
            client_secret=secret(world, "youzan", slug),
            data_key=world.token("data", slug)[:32],
            client_name="双擎自用应用",
        )
    )


def _corp(world: World, slug: str, name: str) -> None:
    key = sha256(world.token("aes", slug).encode()).digest()
    world.corps.seed(
        Corp(
            id=slug,
            name=name,
            corp_id="ww" + world.token("corp", slug)[:16],
            apps=(
                App(agent_id=0, name="客户联系", secret=secret(world, "contact", slug), reaches_customers=True),
                App(agent_id=1000002, name="双擎助手", secret=secret(world, "agent", slug), reaches_customers=True),
            ),
            callback_token=world.token("callback", slug)[:16],
            encoding_aes_key=base64.b64encode(key).decode().rstrip("="),
            staff=STAFF,
        )
    )
    for group, names in TAG_GROUPS.items():
        world.tag_groups.seed(
            TagGroup(
                id="etg" + world.token("group", slug, group)[:29],
                corp=slug,
                name=group,
                created_at=world.epoch,
                tags=tuple(
                    Tag(id="et" + world.token("tag", slug, group, tag)[:30], name=tag, created_at=world.epoch)
                    for tag in names
                ),
            )
        )


def _customer(world: World, number: int) -> Customer:
    pick = Random(f"{world.settings.seed}:customer:{number}")
    place = pick.choice(PLACES)
    known_in_chat = pick.random() < 0.9 or number == 0
    return world.customers.seed(
        Customer(
            id=f"c{number:06d}",
            name=pick.choice(SURNAMES) + "".join(pick.sample(GIVEN, pick.choice((1, 2)))),
            gender=pick.choice((1, 2)),
            phone=f"1{pick.choice('3578')}{number % 10**9:09d}",
            province=place[0],
            city=place[1],
            district=place[2],
            street=f"{place[3]}{pick.randint(1, 399)}号{pick.randint(1, 30)}室",
            unionid="o" + world.token("union", number)[:27],
            openid="o" + world.token("open", number)[:27],
            yz_open_id=world.token("yz", number)[:8] + f"{700000000000000000 + number}",
            external_userid="wm" + world.token("external", number)[:30] if known_in_chat else None,
        )
    )


def _befriend(world: World, customer: Customer, number: int) -> None:
    world.contacts.seed(
        Contact(
            id=str(customer.external_userid),
            corp="demo-corp",
            customer_id=customer.id,
            userid=STAFF[number % len(STAFF)].userid,
            created_at=world.epoch - timedelta(days=30 + number % 300),
        )
    )


def _history(world: World, shop: str, customer: Customer, number: int) -> None:
    pick = Random(f"{world.settings.seed}:history:{shop}:{number}")
    for turn in range(pick.choice((0, 1, 1, 2, 3))):
        created = world.epoch - timedelta(days=pick.randint(1, 85), seconds=pick.randint(0, 86_399))
        tid = order_number(created, SHOP_NUMBERS[shop] * 10**8 + number * 10 + turn)
        done = world.epoch - created > timedelta(days=10)
        world.orders.seed(
            Order(
                id=tid,
                shop=shop,
                customer_id=customer.id,
                lines=(pick_line(pick, shop, tid),),
                postage_minor=pick.choice((0, 0, 800)),
                status=OrderStatus.DONE if done else OrderStatus.SHIPPED,
                created_at=created,
                updated_at=created + timedelta(days=1),
                paid_at=created + timedelta(minutes=2),
                shipped_at=created + timedelta(days=1),
                finished_at=created + timedelta(days=8) if done else None,
                waybill="7" + world.token("out", tid, turn)[:4].upper() + f"{number:08d}",
            )
        )


def pick_line(pick: Random, shop: str, tid: str, amount_minor: int | None = None) -> OrderLine:
    """One article of a shop's catalogue; of exactly `amount_minor` when given."""
    articles = CATALOGUES.get(shop) or CATALOGUES["demo-apparel"]
    index = pick.randrange(len(articles))
    title, skus, price = articles[index]
    sku = pick.randrange(len(skus))
    return OrderLine(
        oid=f"28{int(sha256(tid.encode()).hexdigest()[:15], 16) % 10**17:017d}",
        item_id=2_019_000_000 + index,
        sku_id=36_000_000 + index * 10 + sku,
        title=title,
        sku=skus[sku],
        count=1,
        price_minor=amount_minor if amount_minor is not None else price,
    )
