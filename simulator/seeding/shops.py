"""The merchant's shops and accounts, their goods and their credentials."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from simulator.entities import App, Corp, Goods, Shop, Staff, Tag, TagGroup
from simulator.seeding.numbers import secret

if TYPE_CHECKING:
    from simulator.world import World

CORP = "demo-corp"
OFFICIAL_ACCOUNT = "demo-official-account"
SITE = "demo-site"


class Article(NamedTuple):
    """An article with its variants; `videos` are short videos that show it."""

    category: str
    title: str
    skus: tuple[str, ...]
    price_minor: int
    videos: tuple[str, ...] = ()


class ShopSeed(NamedTuple):
    """One account; without articles nobody buys there. share: how many of all people are on the platform."""

    platform: str
    slug: str
    name: str
    number: int
    share: float = 0.0
    articles: tuple[Article, ...] = ()


APPAREL = (
    Article("上衣", "重磅纯棉圆领T恤", ("白色 M", "白色 L", "黑色 L"), 12900),
    Article("裤子", "高腰直筒牛仔裤", ("深蓝 27", "深蓝 28", "浅蓝 29"), 25900),
    Article("上衣", "羊毛混纺针织开衫", ("燕麦 S", "燕麦 M"), 39900),
    Article("外套", "长款双面呢大衣", ("驼色 M", "黑色 M"), 129900),
    Article("裙装", "真丝印花连衣裙", ("绿色 S", "绿色 M"), 68900),
    Article("上衣", "棉麻宽松衬衫", ("条纹 均码",), 19900),
)
BEAUTY = (
    Article("面膜", "玻尿酸保湿面膜 10片", ("标准装",), 9900),
    Article("精华", "烟酰胺精华液 30ml", ("30ml", "50ml"), 23900),
    Article("彩妆", "丝绒哑光口红", ("豆沙色", "正红色"), 15900),
    Article("眼部护理", "眼部紧致霜", ("15g",), 45900),
)
BABY = (
    Article("奶粉", "幼儿配方奶粉 3段 800g", ("单罐", "6罐箱装"), 29800),
    Article("纸尿裤", "超薄纸尿裤 L码", ("52片", "104片"), 11900),
    Article("待产", "孕妇待产包 26件套", ("标准装",), 25900),
    Article("辅食", "高铁米粉 225g", ("原味", "蔬菜味"), 6900),
)
DIGITAL = (
    Article("手机配件", "65W氮化镓充电器", ("白色", "黑色"), 12900),
    Article("耳机", "主动降噪蓝牙耳机", ("星空黑", "云白"), 59900),
    Article("小家电", "空气净化器滤芯", ("标准款",), 19900),
)
FOOD = (
    Article("零食", "每日坚果 750g", ("30包",), 7990),
    Article("零食", "黄桃罐头 425g×6", ("6罐",), 3990),
    Article("宠物食品", "无谷全价猫粮 2kg", ("鸡肉味", "鱼肉味"), 8900),
    Article("纸品", "抽纸 24包整箱", ("24包",), 4590),
)
LIVE = (
    Article("面膜", "胶原修护面膜 20片", ("20片",), 12900, ("7301000000000000001", "7301000000000000002")),
    Article("彩妆", "持妆粉底液 30ml", ("象牙白", "自然色"), 16900, ("7301000000000000003",)),
    Article("精华", "早C晚A精华套装", ("套装",), 29900, ("7301000000000000004", "7301000000000000005")),
)
TEA = (
    Article("茶叶", "明前龙井 125g", ("罐装",), 19800),
    Article("茶叶", "桂花乌龙茶包 15袋", ("15袋",), 5900),
    Article("茶具", "便携旅行茶具", ("竹青", "墨黑"), 15900),
)
MEALS = (
    Article("套餐", "招牌小炒黄牛肉饭", ("微辣", "中辣"), 2880),
    Article("套餐", "番茄鸡蛋面", ("大份", "小份"), 1880),
    Article("饮品", "冰镇酸梅汤", ("500ml",), 800),
)
SHOPS = (
    ShopSeed("youzan", "demo-apparel", "双擎服饰旗舰店", 43000101, 0.8, APPAREL),
    ShopSeed("youzan", "demo-beauty", "双擎美妆旗舰店", 43000102, 0.8, BEAUTY),
    ShopSeed("taobao", "demo-taobao", "双擎母婴天猫旗舰店", 58000201, 0.6, BABY),
    ShopSeed("jd", "demo-jd", "双擎数码京东专卖店", 10030301, 0.4, DIGITAL),
    ShopSeed("pinduoduo", "demo-pinduoduo", "双擎食品拼多多店", 60040401, 0.4, FOOD),
    ShopSeed("douyin", "demo-douyin", "双擎美妆抖音小店", 70050501, 0.45, LIVE),
    ShopSeed("wechat_store", "demo-wechat-store", "双擎茶舍微信小店", 80060601, 0.3, TEA),
    ShopSeed("meituan", "demo-meituan", "双擎小厨·文三路店", 90070701, 0.5, MEALS),
    ShopSeed("eleme", "demo-eleme", "双擎小厨·西湖店", 90080801, 0.35, MEALS),
    ShopSeed("official_account", OFFICIAL_ACCOUNT, "双擎会员服务号", 20090901),
    ShopSeed("wechat_pay", "demo-wechat-pay", "双擎零售商户", 1900000109),
    ShopSeed("erp", "demo-erp", "双擎ERP", 20101001),
    ShopSeed("site", SITE, "双擎官网", 20111101),
)
SHOP_NUMBERS = {shop.slug: number for number, shop in enumerate(SHOPS, start=1)}
SEEDS = {shop.slug: shop for shop in SHOPS}
SHARES = {shop.platform: shop.share for shop in SHOPS if shop.share}
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


def seed_shops(world: World) -> None:
    """All accounts with their goods."""
    for shop in SHOPS:
        _shop(world, shop)
        for row in goods_of(world, shop):
            world.goods.seed(row)
    _corp(world, CORP, "双擎零售有限公司")


def goods_of(world: World, shop: ShopSeed) -> list[Goods]:
    """What a shop sells, a row per variant."""
    return [
        Goods(
            id=f"{shop.slug}/{sku_id}",
            shop=shop.slug,
            item_id=item_id,
            sku_id=sku_id,
            title=article.title,
            sku=sku,
            category=article.category,
            price_minor=article.price_minor,
            stock=200 + int(world.token("stock", shop.slug, sku_id)[:4], 16) % 800,
            updated_at=world.epoch,
            article_code=f"SQ{SHOP_NUMBERS[shop.slug]:02d}-{index + 1:03d}",
            code=f"SQ{SHOP_NUMBERS[shop.slug]:02d}-{index + 1:03d}-{turn + 1}",
            video_ids=article.videos,
        )
        for index, article in enumerate(shop.articles)
        for item_id in (str(2_000_000_000 + SHOP_NUMBERS[shop.slug] * 1_000_000 + index),)
        for turn, sku in enumerate(article.skus)
        for sku_id in (str(30_000_000 + SHOP_NUMBERS[shop.slug] * 100_000 + index * 10 + turn),)
    ]


def _shop(world: World, shop: ShopSeed) -> None:
    world.shops.seed(
        Shop(
            id=shop.slug,
            platform=shop.platform,
            name=shop.name,
            number=shop.number,
            client_id=_client_id(world, shop),
            client_secret=secret(world, shop.platform, shop.slug),
            client_name="双擎自用应用",
            data_key=world.token("data", shop.slug)[:32],
            refresh_token=world.token("refresh", shop.platform, shop.slug)[:40],
            callback_token=world.token("callback", shop.slug)[:16],
            encoding_aes_key=_aes_key(world, shop.slug),
        )
    )


def _client_id(world: World, shop: ShopSeed) -> str:
    digest = world.token("client", shop.slug)
    match shop.platform:
        case "official_account" | "wechat_store" | "wechat_pay":
            return "wx" + digest[:16]
        case "taobao" | "douyin" | "meituan" | "eleme":
            return str(30_000_000 + int(digest[:6], 16))
        case "jd" | "pinduoduo" | "erp":
            return digest[:32]
        case _:
            return digest[:18]


def _aes_key(world: World, slug: str) -> str:
    return base64.b64encode(sha256(world.token("aes", slug).encode()).digest()).decode().rstrip("=")


def _corp(world: World, slug: str, name: str) -> None:
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
            encoding_aes_key=_aes_key(world, slug),
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
