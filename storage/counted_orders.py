"""Orders that count by what their lines are: once for a payee, when one line that is kept passes.

A line is kept while pieces of it are (`domain.settlement.selling`), and differences of it add up whatever was told in
between. So nothing but sums by order is needed. Of several weightings the first that one of these lines fits holds.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Subquery, case, func, literal, select
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
    columns: Sequence[ColumnElement[Any]] = (),
    *,
    rows: FromClause = _SALES,
) -> Subquery:
    """Orders that count, each with the line that it counts by: payee, order_key, line_id, these columns of the line,
    and `counted`, in `exact.WEIGHT`.

    rows: sales and what is joined to them; where that is a `calculation` among the columns, an order counts in each.
    """
    place = place_of_weighting(component, numbers).label("place")
    line = [_SALES.c.payee, _SALES.c.order_key, _SALES.c.line_id, *columns]
    lines = (
        select(*line, place)
        .select_from(rows)
        .where(*chosen, passes(component, numbers))
        .group_by(*line, place)
        .having(func.sum(_SALES.c.quantity) > 0)
        .subquery()
    )
    apart = [lines.c[each] for each in ("payee", "order_key", "calculation") if each in lines.c]
    weights = enumerate(_weights(component))
    counted = case(*((lines.c.place == number, literal(each, BigInteger)) for number, each in weights))
    return (
        select(*(each for each in lines.c if each.name != "place"), counted.label("counted"))
        .ext(distinct_on(*apart))
        .order_by(*apart, lines.c.place, lines.c.line_id)
        .subquery()
    )


def _weights(component: Component) -> list[int]:
    """By the place of a weighting; the last is of what fits none."""
    return [*(each.weight for each in component.weightings), WEIGHT]
