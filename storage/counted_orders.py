"""Orders that count by what their lines are: once for a payee, when one line that is kept passes.

A line is kept while pieces of it are (`domain.settlement.selling`), and differences of it add up whatever was told in
between. So nothing but sums by order is needed. Of several weightings the first that one of these lines fits holds.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, Subquery, case, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on

from domain.settlement.exact import WEIGHT
from domain.settlement.scheme import Component
from storage.recordsets import table_of
from storage.sale_filters import Numbers, passes, pieces, place_of_weighting
from storage.sales import SaleRow

_SALES = table_of(SaleRow)


def weight_of_order(component: Component, numbers: Numbers) -> ColumnElement[int]:
    """What an order counts, in `exact.WEIGHT`, as one group of its payee's sales; nothing, when no line passes."""
    counts, place = passes(component, numbers), place_of_weighting(component, numbers)
    whens = [
        (pieces(counts & (place == number)) > 0, literal(each, BigInteger))
        for number, each in enumerate(_weights(component))
    ]
    return case(*whens, else_=literal(0, BigInteger))


def orders_by_line(
    component: Component,
    numbers: Numbers,
    chosen: Sequence[ColumnElement[bool]],
    columns: Sequence[ColumnElement[int]] = (),
) -> Subquery:
    """Orders that count, each with the line that it counts by: payee, order_key, line_id, these columns of the line,
    and `counted`, in `exact.WEIGHT`."""
    place = place_of_weighting(component, numbers).label("place")
    line = [_SALES.c.payee, _SALES.c.order_key, _SALES.c.line_id, *columns]
    lines = (
        select(*line, place)
        .where(*chosen, passes(component, numbers))
        .group_by(*line, place)
        .having(func.sum(_SALES.c.quantity) > 0)
        .subquery()
    )
    weights = enumerate(_weights(component))
    counted = case(*((lines.c.place == number, literal(each, BigInteger)) for number, each in weights))
    return (
        select(*(each for each in lines.c if each.name != "place"), counted.label("counted"))
        .ext(distinct_on(lines.c.payee, lines.c.order_key))
        .order_by(lines.c.payee, lines.c.order_key, lines.c.place, lines.c.line_id)
        .subquery()
    )


def _weights(component: Component) -> list[int]:
    """By the place of a weighting; the last is of what fits none."""
    return [*(each.weight for each in component.weightings), WEIGHT]
