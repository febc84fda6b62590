"""What people do beside buying, now: chat, scan, follow, take and use coupons, fill carts, look around.

Every step is told to who pushes it. LookupError for a person, shop or coupon that the world does not know.
"""

from __future__ import annotations

from datetime import timedelta

from simulator import seeding
from simulator.entities import Cart, Chat, Coupon, Customer, Follower, Goods, Scan, Visit
from simulator.happenings import What
from simulator.trade.refusal import STALE_STATUS, TradeRefusal
from simulator.world import World


def chat(world: World, customer_id: str, text: str, direction: str = "in") -> Chat:
    """A message between a customer and the employee who has them as a friend."""
    customer = person(world, customer_id)
    friends = [row for row in world.contacts.having(external_userid=customer.external_userid or "") if not row.deleted]
    if not friends:
        raise LookupError(f"customer {customer_id!r} is nobody's friend")
    contact = friends[0]
    row = world.chats.put(
        Chat(
            id=f"msg{world.next('chat'):012d}",
            account=contact.corp,
            customer_id=customer_id,
            userid=contact.userid,
            direction=direction,
            form="text",
            text=text,
            sent_at=world.clock.now(),
        )
    )
    world.tell(What.CHATTED, row.account, row)
    return row


def write(world: World, customer_id: str, account: str, text: str) -> Chat:
    """A follower writes to a public account."""
    _account(world, account)
    follower = world.followers.get(world.openid(person(world, customer_id), account))
    if follower is None or not follower.following:
        raise LookupError(f"customer {customer_id!r} does not follow {account}")
    row = world.chats.put(
        Chat(
            id=f"msg{world.next('chat'):012d}",
            account=account,
            customer_id=customer_id,
            userid="",
            direction="in",
            form="text",
            text=text,
            sent_at=world.clock.now(),
        )
    )
    world.tell(What.CHATTED, account, row)
    return row


def follow(world: World, customer_id: str, account: str, scene: str = "", following: bool = True) -> Follower:
    """A customer follows a public account, or no longer does."""
    _account(world, account)
    openid = world.openid(person(world, customer_id), account)
    known = world.followers.get(openid)
    now = world.clock.now()
    if known is not None:
        row = world.followers.change(known, following=following, scene=scene, followed_at=now)
    else:
        row = world.followers.put(
            Follower(
                id=openid, account=account, customer_id=customer_id, followed_at=now, following=following, scene=scene
            )
        )
    world.tell(What.FOLLOWED if following else What.UNFOLLOWED, account, row)
    return row


def scan(world: World, customer_id: str, account: str, code: str, place: str = "") -> Scan:
    """A customer scans a channel code of a public account."""
    person(world, customer_id)
    _account(world, account)
    row = world.scans.put(
        Scan(
            id=f"scan{world.next('scan'):010d}",
            account=account,
            customer_id=customer_id,
            code=code,
            place=place,
            scanned_at=world.clock.now(),
        )
    )
    world.tell(What.SCANNED, account, row)
    return row


def take_coupon(
    world: World, customer_id: str, shop: str, *, value_minor: int = 1000, source: str = "shop", days: float = 7
) -> Coupon:
    """A customer takes a coupon, good for so many days."""
    buyer = world.buyer(person(world, customer_id), world.platform_of(shop))
    now = world.clock.now()
    row = world.coupons.put(
        Coupon(
            id=f"cn{world.next('coupon'):012d}",
            shop=shop,
            customer_id=customer_id,
            buyer=buyer.id,
            batch=f"{shop}-{value_minor}",
            source=source,
            value_minor=value_minor,
            threshold_minor=value_minor * 3,
            state="taken",
            taken_at=now,
            updated_at=now,
            expires_at=now + timedelta(days=days),
        )
    )
    world.tell(What.COUPON_TAKEN, shop, row)
    return row


def spend_coupon(world: World, coupon_id: str, order_id: str = "") -> Coupon:
    """The coupon is used, or with no order it runs out. TradeRefusal when it was before."""
    row = world.coupons.get(coupon_id)
    if row is None:
        raise LookupError(f"no coupon {coupon_id!r}")
    if row.state != "taken":
        raise TradeRefusal(STALE_STATUS)
    state = "used" if order_id else "expired"
    row = world.coupons.change(row, state=state, order_id=order_id, updated_at=world.clock.now())
    world.tell(What.COUPON_USED if order_id else What.COUPON_EXPIRED, row.shop, row)
    return row


def fill_cart(world: World, customer_id: str, shop: str, sku_ids: tuple[str, ...]) -> Cart:
    """A customer puts goods into the cart; on the merchant's site, goods of any of its shops."""
    customer = person(world, customer_id)
    buyer = "" if shop == seeding.SITE else world.buyer(customer, world.platform_of(shop)).id
    goods = goods_of(world, shop, sku_ids)
    if len(goods) < len(sku_ids):
        raise LookupError(f"{shop} does not sell all of {', '.join(sku_ids)}")
    now = world.clock.now()
    row = world.carts.put(
        Cart(
            id=f"cart{world.next('cart'):010d}",
            shop=shop,
            customer_id=customer_id,
            buyer=buyer,
            sku_ids=sku_ids,
            total_minor=sum(row.price_minor for row in goods),
            state="open",
            created_at=now,
            updated_at=now,
        )
    )
    world.tell(What.CART_FILLED, shop, row)
    return row


def end_cart(world: World, cart_id: str, order_id: str = "") -> Cart:
    """What is in a cart is ordered, or with no order taken out. TradeRefusal when it was before."""
    row = world.carts.get(cart_id)
    if row is None:
        raise LookupError(f"no cart {cart_id!r}")
    if row.state != "open":
        raise TradeRefusal(STALE_STATUS)
    state = "ordered" if order_id else "cleared"
    row = world.carts.change(row, state=state, order_id=order_id, updated_at=world.clock.now())
    world.tell(What.CART_ENDED, row.shop, row)
    return row


def goods_of(world: World, shop: str, sku_ids: tuple[str, ...]) -> list[Goods]:
    """The goods of a cart, in its order; those that nobody sells are left out."""
    if shop != seeding.SITE:
        return [row for sku_id in sku_ids if (row := world.goods.get(f"{shop}/{sku_id}")) is not None]
    sold = {row.sku_id: row for row in world.goods}
    return [sold[sku_id] for sku_id in sku_ids if sku_id in sold]


def visit(
    world: World, customer_id: str, name: str, item_id: str = "", category: str = "", known: bool = True
) -> Visit:
    """A customer does something on the site."""
    customer = person(world, customer_id)
    if not customer.device:
        customer = world.customers.change(customer, device=world.token("device", customer_id)[:32])
    row = world.visits.put(
        Visit(
            id=f"visit{world.next('visit'):010d}",
            account=seeding.SITE,
            customer_id=customer_id,
            device=customer.device,
            name=name,
            item_id=item_id,
            category=category,
            known=known,
            at=world.clock.now(),
        )
    )
    world.tell(What.VISITED, row.account, row)
    return row


def person(world: World, customer_id: str) -> Customer:
    """The person of that id."""
    customer = world.customers.get(customer_id)
    if customer is None:
        raise LookupError(f"no customer {customer_id!r}")
    return customer


def _account(world: World, account: str) -> None:
    if account not in world.shops:
        raise LookupError(f"no account {account!r}")
