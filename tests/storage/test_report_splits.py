"""What the server cuts is what the domain cuts, unit by unit."""

from random import Random
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Integer, String, Uuid, column, select, values

from domain.settlement.splits import split
from storage.engine import Database
from storage.report_splits import with_parts
from storage.unit_of_work import UnitOfWork

CASES = 400


async def test_it_cuts_as_the_domain_does(database: Database) -> None:
    pick = Random("cuts")
    amounts = [pick.choice((1, -1)) * pick.randrange(10 ** pick.randrange(1, 13)) for _ in range(CASES)]
    weights = [[1 + pick.randrange(10 ** pick.randrange(1, 15)) for _ in range(1 + pick.randrange(7))] for _ in amounts]
    # Equal remainders, which the place decides.
    weights[:3], amounts[:3] = [[1, 1, 1], [5, 5], [2, 2, 2, 2]], [100, -7, 3]
    rows = [
        (UUID(int=0), payee, 0, False, amount, weight, f"{place:02}")
        for payee, (amount, some) in enumerate(zip(amounts, weights, strict=True))
        for place, weight in enumerate(some)
    ]
    pick.shuffle(rows)
    given = values(
        *(column("calculation", Uuid), column("payee", Integer), column("number", Integer), column("late", Boolean)),
        *(column("amount", BigInteger), column("weight", BigInteger), column("place", String)),
        name="given",
    ).data(rows)
    cut = with_parts(given, ("place",))
    async with UnitOfWork(database) as work:
        found = await work.session.execute(select(cut.c.payee, cut.c.piece).order_by(cut.c.payee, cut.c.place))
        pieces: dict[int, list[int]] = {}
        for payee, piece in found:
            pieces.setdefault(payee, []).append(piece)
    assert [pieces[payee] for payee in range(CASES)] == [
        split(amount, some) for amount, some in zip(amounts, weights, strict=True)
    ]
