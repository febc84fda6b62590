"""The engine under test: what is told of the crowd's orders becomes real sales, and the real steps compute them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from typing import NamedTuple, TypeVar
from uuid import uuid4

from domain.access import Role
from domain.money import HOME_CURRENCY, minor_rate
from domain.settlement.attribution import AttributionRules, Basis
from domain.settlement.exact import WEIGHT
from domain.settlement.levels import AllowedLevels, LevelLimit
from domain.settlement.payees import NewFact, NewPayee, UplineChange
from domain.settlement.selling import Sale, SoldLine, SoldOrder, WentBack, differences, sales_of
from services.calculations import CalculationSteps, Wanted
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.exchange_rates import ExchangeRateService, Rate
from services.payees import PayeeRegister
from storage.calculations import Calculations
from storage.engine import Database
from storage.payees import Payees
from storage.sales import PARTS, Sales
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.oracle.books import Order, Person
from tests.oracle.crowd import Crowd
from tests.oracle.recompute import Cents
from tests.oracle.shapes import Shape

_FINANCE, _ADMIN = an_actor("oracle", Role.FINANCE), an_actor("oracle-admin")
_RULES = (
    "attribution: {name: orders, title: t, since: 2026-01-01, counts: [paid, completed], roles: {promoter: channel}}"
)
_LIMIT = LevelLimit(AllowedLevels(levels=3, allowed_by="oracle", reason="three levels are computed too"))
_ATTRIBUTION = AttributionRules("orders", "1.0.0", ("paid", "completed"), date(2026, 1, 1), {})
_CHUNK = 5_000

Thing = TypeVar("Thing")


class Computed(NamedTuple):
    """cents: by payee and component, without those of nothing; total: what the calculation says of itself."""

    cents: Cents
    total: int


class Engine:
    """A database with a crowd in it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._steps = CalculationSteps(database)
        self._definitions = DefinitionService(database, level_limit=_LIMIT)
        self._numbers: Mapping[str, int] = {}

    async def take_in(self, crowd: Crowd) -> None:
        """Write people, sales, deeds, scores and rates down, as Tandem would."""
        register, books = PayeeRegister(self._database), crowd.books
        most = max(len(each.terms) for each in books.people)
        for number in range(most):
            some = [each for each in books.people if len(each.terms) > number]
            for people in _in_chunks(some, 1_000):
                await register.put(_FINANCE, [_payee(each, number) for each in people])
        changes = [
            UplineChange(code=each.code, upline=upline, since=since)
            for each in books.people
            for since, upline in each.above
        ]
        for above in _in_chunks(changes, 1_000):
            await register.set_uplines(_FINANCE, above)
        facts = [
            NewFact(code=each.payee, name=each.name, day=each.day, amount=each.amount, key=str(number))
            for number, each in enumerate(books.noted)
        ]
        for noted in _in_chunks(facts, 1_000):
            await register.note_facts(_FINANCE, noted)
        rates = [Rate(currency, day, format(rate, "f")) for (currency, day), rate in books.rates.items()]
        await ExchangeRateService(self._database).set(_FINANCE, rates)
        async with UnitOfWork(self._database) as work:
            rows = await Payees(work).rows([each.code for each in books.people])
            self._numbers = {code: row.id for code, row in rows.items()}
        for pasts in _in_chunks(crowd.pasts, _CHUNK):
            async with UnitOfWork(self._database) as work:
                await Sales(work).add([sale for past in pasts for sale in self._sales(past)])
        await self._publish(_RULES)

    async def computed(self, shape: Shape, name: str, day: date) -> Computed:
        """What a published scheme comes to for the period of a day."""
        calculation = uuid4()
        wanted = Wanted(name, day, "settlement", cycle=shape.cycle)
        await self._steps.ask(_FINANCE, calculation, wanted)
        await self._steps.run(calculation)
        codes = {number: code for code, number in self._numbers.items()}
        async with UnitOfWork(self._database) as work:
            row = await Calculations(work).find(calculation)
            if row is None or row.total_minor is None:
                raise LookupError(calculation)
            cents: Cents = {}
            for part in range(PARTS):
                for each in await Calculations(work).earned(row, part):
                    cents[codes[each.payee], each.component] = each.amount
            return Computed(cents, row.total_minor)

    async def publish(self, shape: Shape) -> str:
        """Lint, store and publish a shape's scheme; its name."""
        return await self._publish(shape.text)

    async def _publish(self, text: str) -> str:
        (uploaded,) = await self._definitions.upload(_ADMIN, [SourceText("oracle.yaml", text)])
        found = uploaded.version
        await self._definitions.publish(_ADMIN, (found.kind, found.namespace, found.name, found.version))
        return found.name

    def _sales(self, past: Sequence[Order]) -> Iterator[Sale]:
        """What an order adds to sales as it goes on, in differences."""
        before: list[Sale] = []
        for order in past:
            rules = _ATTRIBUTION._replace(counts=(_basis(order),))
            now = sales_of(_sold(order), [((self._numbers[order.payee], WEIGHT),)], rules)
            yield from differences(now, before)
            before = now


def _sold(order: Order) -> SoldOrder:
    """As it would be read from its shop."""
    return SoldOrder(
        order_key=order.number,
        shop=order.words["shop"],
        paid_minor=None,
        postage_minor=None,
        lines=[
            SoldLine(str(each.number), each.quantity, each.total, each.words["category"], each.words["article"])
            for each in order.lines
        ],
        refunds=[WentBack(f"r{each.number}", each.back, None, (str(each.number),)) for each in order.lines],
        days={"paid": order.bought, _basis(order): order.day},
        currency=order.currency or HOME_CURRENCY,
        rate=minor_rate(order.rate, order.currency) if order.currency else None,
        channel=order.words["channel"],
        influencer=order.words["influencer"],
        is_first=order.first,
        is_closed=order.closed,
        bonded={str(each.number): each.bonded for each in order.lines},
    )


def _basis(order: Order) -> Basis:
    return "paid" if order.basis == "paid" else "completed"


def _payee(person: Person, number: int) -> NewPayee:
    """As they are by their terms of this number."""
    term = person.terms[number]
    more = {"role": term.role, "active": term.active, "cycle": term.cycle, "since": term.since}
    return NewPayee.model_validate({"code": person.code, "name": person.code, **more})


def _in_chunks(things: Sequence[Thing], size: int) -> Iterator[list[Thing]]:
    left = iter(things)
    while chunk := list(islice(left, size)):
        yield chunk
