"""Amounts cut into parts that add up to them, for many payees at once: `domain.settlement.splits.split` in SQL."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, FromClause, Numeric, Subquery, case, cast, func, select

OF = ("calculation", "payee", "number", "late")
"""What an amount is of: a component of a payee in a calculation, which may count once in time and once late."""


def with_parts(rows: FromClause, places: Sequence[str]) -> Subquery:
    """The rows with a column `piece`: the part of `amount` in proportion to `weight` among the rows of `OF`.

    Weights are above nothing. The largest remainders get what is left over, the earlier of equal ones by `places`.
    """
    of = [rows.c[name] for name in OF]
    size = func.abs(cast(rows.c.amount, Numeric))
    exact = size * cast(rows.c.weight, Numeric)
    whole = func.sum(cast(rows.c.weight, Numeric)).over(partition_by=of)
    cut = select(rows, func.div(exact, whole).label("whole_part"), func.mod(exact, whole).label("remainder")).subquery()
    of = [cut.c[name] for name in OF]
    order = [cut.c.remainder.desc(), *(cut.c[name] for name in places)]
    ranked = select(
        cut,
        func.row_number().over(partition_by=of, order_by=order).label("rank"),
        func.sum(cut.c.whole_part).over(partition_by=of).label("given"),
    ).subquery()
    size = func.abs(cast(ranked.c.amount, Numeric))
    more = case((ranked.c.rank <= size - ranked.c.given, 1), else_=0)
    piece = func.sign(cast(ranked.c.amount, Numeric)) * (ranked.c.whole_part + more)
    return select(ranked, cast(piece, BigInteger).label("piece")).subquery()
