"""What is earned by orders that are nobody's: roles that no order can be anybody's in, and orders that nobody was found
for."""

from collections.abc import Collection, Sequence

from domain.problems import Text
from domain.settlement.scheme import LINE_BASES, Scheme
from services.attribution_book import AttributionBook
from storage.calculation_tables import CalculationRow
from storage.unattributed import Unattributed, UnattributedOrders
from storage.unit_of_work import UnitOfWork

_SHOWN = 5


async def unattributed_in(
    work: UnitOfWork, scheme: Scheme, row: CalculationRow, had: Collection[str]
) -> Sequence[Text]:
    """A sentence for each role that earns by its own sales and has no way to them, and for each that some orders are
    nobody's in. had: the roles that there are payees of."""
    earning = [each for each in scheme.components if each.base in LINE_BASES and each.level == 0]
    if not earning:
        return []
    rules = await AttributionBook().current(work)
    ways = rules.roles if rules is not None else {}
    named = dict.fromkeys(role for each in earning for role in each.roles or scheme.roles)
    everybody = any(not (each.roles or scheme.roles) for each in earning)
    without = [role for role in named if role in had and role not in ways]
    within = [role for role in ways if role in named or everybody]
    found = await UnattributedOrders(work).of(within, scheme.counts, row.start, row.end, _SHOWN) if within else []
    return [*map(_without_ways, without), *map(_said, found)]


def _without_ways(role: str) -> Text:
    return Text(
        f"角色“{role}”按自己的销售计酬，但已发布的归属规则没有它的归属方式：除人工更正外，没有订单归他们。"
        "请写进归属规则的 roles",
        f"The role “{role}” earns by its own sales, and the published attribution has no way for it: but by a "
        "correction no order is theirs. Write it under `roles` of the attribution",
    )


def _said(found: Unattributed) -> Text:
    names = [f"{account} {number}" for account, number in found.some]
    more = found.orders > len(names)
    asides = [] if found.paid_since is None else [f"paid since {found.paid_since}"]
    asides += [] if found.is_all else ["the latest of each shop"]
    aside = f", {', '.join(asides)}," if asides else ""
    since = "" if found.paid_since is None else f"（{found.paid_since} 起付款的）"
    return Text(
        f"{'本期' if found.is_all else '抽查本期各店最近的'} {found.looked_at} 单{since}中，有 {found.orders} 单在角色"
        f"“{found.role}”下不归任何人，不计酬：{'、'.join(names)}{' 等' if more else ''}；"
        "本该有人的，请查收款人的渠道等，或更正归属",
        f"{found.orders} of {found.looked_at} orders of the period{aside} are nobody's in the role “{found.role}”, and "
        f"nobody earns by them: {', '.join(names)}{' and others' if more else ''}. Where somebody should, see to the "
        "payees' channels, or correct whose they are",
    )
