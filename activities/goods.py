"""Calls about goods, as their shops told last."""

from activities.binding import Activity, CallBinder, CallContext
from domain.catalog.goods import (
    GOODS_CHECK,
    GOODS_OF_VIDEO,
    GoodsCheckArguments,
    GoodsCheckOutput,
    GoodsOfVideoArguments,
    GoodsOfVideoOutput,
)
from services.goods import GoodsService


def goods_activities(binder: CallBinder, goods: GoodsService) -> list[Activity]:
    """The calls about goods."""

    async def check(request: GoodsCheckArguments, _: CallContext) -> GoodsCheckOutput:
        return await goods.check(request)

    async def of_video(request: GoodsOfVideoArguments, _: CallContext) -> GoodsOfVideoOutput:
        return await goods.of_video(request)

    return [binder.bind(GOODS_CHECK, check), binder.bind(GOODS_OF_VIDEO, of_video)]
