"""The worked numbers of docs/settlement.md, each done with orders and facts: the engine earns what it says."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from domain.canonical import Buyer, OrderData, OrderLine
from domain.settlement.exact import rounded
from domain.settlement.levels import AllowedLevels, LevelLimit
from domain.settlement.payees import NewFact, NewPayee, UplineChange
from domain.settlement.periods import period_of
from domain.settlement.scheme import CYCLES
from services.calculations import CalculationSteps, Wanted
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.exchange_rates import Rate
from storage.calculations import Calculations
from storage.engine import Database
from storage.payees import Payees
from storage.sales import PARTS
from storage.unit_of_work import UnitOfWork
from tests.documents import read, table
from tests.services.test_selling import OPS, QIAN, Counter, key

LEVELS = LevelLimit(AllowedLevels(levels=3, allowed_by="legal@corp.example", reason="opinion of 2026-07"))
SCHEMES = {
    path.stem: path
    for folder in ("definitions/schemes", "docs/examples/schemes")
    for path in Path(folder).glob("*.yaml")
}
START, DAY, LAST = date(2026, 1, 1), date(2026, 11, 3), date(2026, 11, 30)
_ORDER = re.compile(
    r"(?:(?P<times>\d+) × )?order (?P<amount>\d+\.\d\d)(?P<words>(?: (?:first|live|bonded))*)"
    r"(?: on (?P<on>\d\d-\d\d))?(?: received (?P<received>\d\d-\d\d))?(?: (?P<below>below)(?: (?P<level>\d))?)?"
    r"(?: (?P<currency>[A-Z]{3}) (?P<then>[\d.]+) → (?P<now>[\d.]+))?"
)
_FACT = re.compile(r"(?P<name>[a-z-]+) (?P<amount>\d+)")
_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|[-+×()%])")


@dataclass(frozen=True, slots=True)
class Example:
    """A row of the table. earned: in fen; sums: what each part of the working-out comes to."""

    number: int
    scheme: str
    role: str
    cycle: str | None
    component: str
    done: Sequence[str]
    sums: Sequence[tuple[str, str]]
    earned: int

    @property
    def code(self) -> str:
        return f"X{self.number}"


def worked_out(text: str) -> Fraction:
    """What a sum comes to: numbers, `+ − × ( )`, and `%` behind a number."""
    tokens = _TOKEN.findall(text.replace("−", "-"))
    assert "".join(tokens) == re.sub(r"\s", "", text.replace("−", "-")), text

    def whole() -> Fraction:
        found = product()
        while tokens and tokens[0] in "+-":
            sign = 1 if tokens.pop(0) == "+" else -1
            found += sign * product()
        return found

    def product() -> Fraction:
        found = one()
        while tokens and tokens[0] == "×":
            tokens.pop(0)
            found *= one()
        return found

    def one() -> Fraction:
        token = tokens.pop(0)
        if token == "-":
            return -one()
        if token == "(":
            found = whole()
            assert tokens.pop(0) == ")"
        else:
            found = Fraction(token)
        if tokens and tokens[0] == "%":
            tokens.pop(0)
            found /= 100
        return found

    result = whole()
    assert not tokens, text
    return result


def _fen(text: str) -> int:
    fen = worked_out(text) * 100
    assert fen.denominator == 1
    return int(fen)


def examples() -> list[Example]:
    found = []
    for number, cells in enumerate(table(read("docs/settlement.md"), "### 算例 · Worked numbers")):
        scheme, payee, component, done, sums, earned = cells
        role, _, cycle = payee.strip("`").partition("/")
        told = re.findall(r"`([^`]+)`", done)
        equal = [tuple(each.split("=")) for each in sums.split("；")]
        found.append(
            Example(
                number,
                scheme.strip("`"),
                role,
                cycle or None,
                component.strip("`"),
                told,
                [(left, right) for left, right in equal],
                _fen(earned),
            )
        )
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.scheme}-{each.component}-{each.number}")
def test_the_working_out_is_right(example: Example) -> None:
    total = 0
    for left, right in example.sums:
        exact = worked_out(left)
        assert exact == worked_out(right)
        total += rounded((exact * 100).numerator, (exact * 100).denominator)
    assert total == example.earned


def test_every_component_of_every_scheme_is_worked_out() -> None:
    documents = {name: yaml.safe_load(path.read_text("utf-8"))["scheme"] for name, path in SCHEMES.items()}
    components = {(name, each["name"]) for name, scheme in documents.items() for each in scheme["earns"]}
    assert components == {(each.scheme, each.component) for each in EXAMPLES}


class Bookkeeper(Counter):
    """Orders and facts of all examples, in one month."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.steps = CalculationSteps(database)
        self.orders: list[OrderData] = []

    async def begin(self) -> None:
        definitions = DefinitionService(self.database, level_limit=LEVELS)
        paths = [Path("definitions/attribution/orders.yaml"), *SCHEMES.values()]
        sources = [SourceText(path.name, path.read_text("utf-8")) for path in paths]
        for uploaded in await definitions.upload(OPS, sources):
            of = uploaded.version
            await definitions.publish(OPS, (of.kind, of.namespace, of.name, of.version))
        # Whoever bought before buys for the first time no more.
        self._add("before", 100, date(2026, 10, 1), date(2026, 10, 1), channel=None)

    async def take(self, example: Example) -> None:
        """The payee of an example, those below them, and what all of them did."""
        below = max(
            [int(each["level"] or 1) for each in map(_order, example.done) if each and each["below"]], default=0
        )
        scheme = yaml.safe_load(SCHEMES[example.scheme].read_text("utf-8"))["scheme"]
        roles = scheme["payees"]["roles"]
        sellers = {0: example.role}
        for level in range(1, below + 1):
            # Of several roles the one below stands before.
            place = roles.index(example.role)
            sellers[level] = roles[place - level] if place >= level else example.role
        codes = {level: f"{example.code}-{level}" if level else example.code for level in sellers}
        new = [
            NewPayee(code=codes[n], name=codes[n], role=role, cycle=example.cycle, since=START)
            for n, role in sellers.items()
        ]
        await self.register.put(QIAN, new)
        above = [UplineChange(code=codes[n], upline=codes[n - 1], since=START) for n in sellers if n]
        if above:
            await self.register.set_uplines(QIAN, above)
        kinds = [("channel", ""), ("influencer", "youzan/"), ("shop", "youzan/")]
        names = [(code, kind, f"{before}{code.lower()}") for code in codes.values() for kind, before in kinds]
        await self.register.set_keys(QIAN, [key(*name) for name in names])
        for told in example.done:
            order = _order(told)
            if order is not None:
                await self._orders(codes[int(order["level"] or 1) if order["below"] else 0].lower(), order)
                continue
            fact = _FACT.fullmatch(told)
            assert fact is not None, told
            noted = NewFact(code=example.code, name=fact["name"], day=DAY, amount=int(fact["amount"]), key=example.code)
            await self.register.note_facts(QIAN, [noted])

    async def _orders(self, seller: str, order: re.Match[str]) -> None:
        day, received = _days(order)
        if order["currency"]:
            rates = [Rate(order["currency"], day, order["then"]), Rate(order["currency"], LAST, order["now"])]
            await self.rates.set(QIAN, rates)
        for _ in range(int(order["times"] or 1)):
            self._add(
                seller,
                _fen(order["amount"]),
                day,
                received,
                channel="live" if "live" in order["words"] else seller,
                first="first" in order["words"],
                bonded="bonded" in order["words"],
                currency=order["currency"] or "CNY",
            )

    def _add(
        self,
        seller: str,
        fen: int,
        day: date,
        received: date,
        *,
        first: bool = False,
        bonded: bool = False,
        **more: Any,
    ) -> None:
        number = f"E{len(self.orders)}"
        at, end = (datetime(each.year, each.month, each.day, 4, tzinfo=UTC) for each in (day, received))
        line = OrderLine(
            line_id="1",
            item_id="cream",
            title="霜",
            category="保税" if bonded else None,
            quantity=1,
            price_minor=fen,
            total_minor=fen,
        )
        self.orders.append(
            OrderData(
                platform="youzan",
                account=seller,
                version=1,
                order_id=number,
                status="completed",
                paid_minor=fen,
                created_at=at,
                paid_at=at,
                completed_at=end,
                influencer_id=seller,
                buyer=Buyer(unionid=f"U{number}" if first else "U-regular"),
                lines=(line,),
                occurred_at=at,
                **more,
            )
        )

    async def earned(self, scheme: str, cycle: str, days: Collection[date]) -> Mapping[tuple[str, str], int]:
        """By payee's code and component, over the periods that these days are in."""
        found: dict[tuple[str, str], int] = defaultdict(int)
        known = next(each for each in CYCLES if each == cycle)
        for start in sorted({period_of(known, day)[0] for day in days}):
            calculation = uuid4()
            await self.steps.ask(QIAN, calculation, Wanted(scheme, start, "preview", None, known))
            await self.steps.run(calculation)
            async with UnitOfWork(self.database) as work:
                row = await Calculations(work).find(calculation)
                assert row is not None
                all_earned = [each for part in range(PARTS) for each in await Calculations(work).earned(row, part)]
                codes = await Payees(work).codes({each.payee for each in all_earned})
            for each in all_earned:
                found[codes[each.payee], each.component] += each.amount
        return found


def _order(told: str) -> re.Match[str] | None:
    return _ORDER.fullmatch(told)


def _days(order: re.Match[str]) -> tuple[date, date]:
    """When an order was paid, and when it was received."""
    paid = date.fromisoformat(f"2026-{order['on']}") if order["on"] else DAY
    return paid, date.fromisoformat(f"2026-{order['received']}") if order["received"] else paid


async def test_the_engine_earns_what_the_document_says(database: Database) -> None:
    books = Bookkeeper(database)
    await books.begin()
    for example in EXAMPLES:
        await books.take(example)
    await books.told(*books.orders, at=datetime(2026, 11, 20, tzinfo=UTC))
    by_calculation: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in EXAMPLES:
        own = yaml.safe_load(SCHEMES[example.scheme].read_text("utf-8"))["scheme"]["cycle"]
        by_calculation[example.scheme, example.cycle or own].append(example)
    wrong = []
    for (scheme, cycle), some in by_calculation.items():
        orders = [order for each in some for order in map(_order, each.done) if order is not None]
        days = {DAY, *(_days(each)[1] for each in orders)}
        earned = await books.earned(scheme, cycle, days)
        wrong += [
            (each.scheme, each.component, each.done, found, each.earned)
            for each in some
            if (found := earned.get((each.code, each.component), 0)) != each.earned
        ]
    assert wrong == []
