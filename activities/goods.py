"""`goods.check`: whether an article can be sold, as the shop told last."""

from activities.binding import Activity, CallBinder, CallContext
from domain.catalog.goods import GOODS_CHECK, GoodsCheckArguments, GoodsCheckOutput
from services.goods import GoodsService


def goods_activities(binder: CallBinder, goods: GoodsService) -> list[Activity]:
    """The calls about goods."""

    async def check(request: GoodsCheckArguments, _: CallContext) -> GoodsCheckOutput:
        return await goods.check(request)

    return [binder.bind(GOODS_CHECK, check)]
