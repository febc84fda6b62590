"""Goods, their categories, and coupons: what Youzan's calls about them do."""

from __future__ import annotations

from simulator.platforms.articles import articles
from simulator.platforms.categories import TOP, categories_of, number_of
from simulator.platforms.youzan import render
from simulator.platforms.youzan.call import ApiError, Call, Json


def items_onsale_get(call: Call) -> Json:
    """Articles on sale, pages of up to 300."""
    return _items(call, on_sale=True)


def items_inventory_get(call: Call) -> Json:
    """Articles that were put away, pages of up to 300."""
    return _items(call, on_sale=False)


def coupon_search(call: Call) -> Json:
    """The coupons that the shop gives out, a group each."""
    page, size = call.number("page_no", 1), call.number("page_size", 20)
    groups = {row.batch: row for row in call.world.coupons.having(shop=call.shop.id)}
    shown = sorted(groups)[(page - 1) * size : page * size]
    return {"total": len(groups), "groups": [render.coupon_group(call.shop, groups[name]) for name in shown]}


def coupon_fetchlogs(call: Call) -> Json:
    """Who took coupons of a group within a time, and whether they used them."""
    page, size = call.number("page_no", 1), call.number("page_size", 20)
    window = call.window("start_taked", "end_taked")
    if window is None:
        raise ApiError(5001, "start_taked、end_taked 缺失")
    found = call.world.coupons.between("taken", *window, shop=call.shop.id)
    rows = [row for row in found if row.batch == str(call.params.get("coupon_group_id"))]
    shown = [render.coupon_log(call.world, row) for row in rows[(page - 1) * size : page * size]]
    return {"total_results": len(rows), "fetchlogs": shown}


def itemdetail_get(call: Call) -> Json:
    """One article with its marks: what may be sent back and exchanged."""
    request = call.params.get("request")
    wanted = request if isinstance(request, dict) else {}
    rows = next(
        (rows for rows in articles(call.world, call.shop) if rows[0].item_id == str(wanted.get("item_id"))), None
    )
    if rows is None:
        raise ApiError(5000, "商品不存在")
    return render.item_detail(rows)


def item_get(call: Call) -> Json:
    """One article with its variants."""
    number = str(call.number("item_id"))
    rows = next((rows for rows in articles(call.world, call.shop) if rows[0].item_id == number), None)
    if rows is None:
        raise ApiError(5001, "商品不存在")
    return {"item": {**render.item(rows), "skus": [render.sku(row) for row in rows]}}


def itemcategories_get(call: Call) -> Json:
    """The tree of categories."""
    leaves = [
        {"cid": number, "name": name, "parent_cid": number_of(TOP), "is_parent": False}
        for number, name in sorted(categories_of(call.world, call.shop).items())
    ]
    return {"categories": [{"cid": number_of(TOP), "name": TOP, "is_parent": True, "sub_categories": leaves}]}


def _items(call: Call, *, on_sale: bool) -> Json:
    page, size = call.number("page_no", 1), call.number("page_size", 20)
    if page < 1 or not 1 <= size <= 300:
        raise ApiError(5001, "page_no、page_size 不正确")
    found = [rows for rows in articles(call.world, call.shop) if any(row.on_sale for row in rows) is on_sale]
    shown = found[(page - 1) * size : page * size]
    return {"count": len(found), "items": [render.item(rows) for rows in shown]}
