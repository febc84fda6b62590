"""A month's settlement: frozen, computed, booked, beside the same sums by DuckDB in memory; its payouts and reports."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import text

from benchmarks.figures import Figure
from benchmarks.payouts import payout_figures
from benchmarks.reports import report_figures
from benchmarks.server_memory import Peak, peak_of
from benchmarks.settlement_floor import floor_of
from benchmarks.steps import each_part, timed
from connectors.registry import ConnectorRegistry
from domain.access import Role, system_actor
from domain.ids import canonical_json
from domain.settlement.levels import AllowedLevels, LevelLimit
from runtime.embedded import EmbeddedPostgres
from services.calculations import CalculationSteps, Wanted
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.settlement_runs import SettlementRunService
from storage.calculations import Calculations
from storage.encryption import Keyring
from storage.engine import Database
from storage.migrations import upgrade
from storage.sales import PARTS
from storage.unit_of_work import UnitOfWork


class _Size(NamedTuple):
    """How many order lines, and of how many payees: some hundredths are above the others."""

    sales: int
    payees: int

    @property
    def cities(self) -> int:
        return max(self.payees // 100, 10)

    @property
    def regions(self) -> int:
        return max(self.cities // 20, 1)


def _sizes() -> Sequence[_Size]:
    """Those that are asked for, the smallest first."""
    told = os.environ.get("BENCH_SIZES") or os.environ.get("BENCH_SALES", "1000000")
    payees = os.environ.get("BENCH_PAYEES")
    counts = sorted(int(each) for each in told.split(","))
    # The payees that are told are those of the largest; smaller months have as many lines of each.
    return [
        _Size(count, max(count * int(payees) // counts[-1] if payees else count * 3 // 100, 1_000)) for count in counts
    ]


SIZES = _sizes()
TITLE = f"Settlement: {SIZES[-1].sales:,} order lines of {SIZES[-1].payees:,} payees"
NOTE = (
    "one month; five earnings, of which one is by the downline, so that a sale is earned by on three levels; on disk "
    "with every constraint; two parts at once. BENCH_SALES and BENCH_PAYEES set how many, BENCH_SIZES several in turn. "
    "The floor is the same five earnings by DuckDB over the same rows in memory, to the cent"
)
_ACTOR = system_actor("benchmarks")
_FINANCE = system_actor("finance", Role.FINANCE)
_KEYS = Keyring({"k1": b"1" * 32})
_DAY = date(2026, 5, 1)
_DETAILS = {"bank_account": "6222020200012345678", "bank_name": "招商银行", "real_name": "某人"}
_TURNS = 2
_BOOKING = "booking it, approved by others"
_RULES = "attribution: {name: orders, title: t, since: 2026-05-01, counts: [completed], roles: {promoter: channel}}"
_SCHEME = """
scheme:
  name: bench
  title: 压测
  cycle: month
  from: 2026-01-01
  levels: 3
  payees: { roles: [promoter, city, region] }
  earns:
    - name: sales
      title: 推广
      of: kept
      roles: [promoter]
      tiers:
        graduated:
          - { from: '0.00', rate: '5%' }
          - { from: '1000.00', rate: '6%' }
          - { from: '5000.00', rate: '7%' }
          - { from: '20000.00', rate: '8%' }
          - { from: '100000.00', rate: '10%' }
    - { name: live, title: 直播, of: kept, roles: [promoter], where: { channel: [w3, w7] }, rate: '1%' }
    - { name: first, title: 首单, of: orders, roles: [promoter], where: { first: true }, each: '2.00' }
    - name: pieces
      title: 件
      of: quantity
      roles: [promoter]
      where: { category: [w1, w2, w3] }
      package: { size: 10, price: '5.00' }
    - { name: above, title: 城市与大区, roles: [city, region], overrides: { of: sales, levels: ['10%', '5%'] } }
"""
_LEVELS = LevelLimit(AllowedLevels(levels=3, allowed_by="benchmarks", reason="what three levels cost"))
_SEED = (
    """
    INSERT INTO payees (code, name, details, role, active, version, created_at, changed_at)
    SELECT 'P' || n, '\\x{name}', '\\x{details}',
        CASE WHEN n <= {regions} THEN 'region' WHEN n <= {cities} THEN 'city' ELSE 'promoter' END, true, 1, now(), now()
    FROM generate_series(1, {payees}) AS n
    """,
    """
    INSERT INTO payee_terms (payee, since, role, active, set_at, set_by)
    SELECT id, '2026-01-01', role, true, now(), 'bench' FROM payees
    """,
    """
    INSERT INTO payee_uplines (payee, since, upline, set_at, set_by)
    SELECT id, '2026-01-01',
        CASE WHEN id <= {cities} THEN 1 + id % {regions} ELSE {regions} + 1 + id % ({cities} - {regions}) END,
        now(), 'bench'
    FROM payees WHERE id > {regions}
    """,
    """
    INSERT INTO sale_words (field, word)
    SELECT field, word FROM unnest(ARRAY['platform', 'shop', 'channel', 'influencer', 'category', 'article',
        'currency']) AS field,
        LATERAL (SELECT '' UNION ALL SELECT 'w' || n FROM generate_series(1, 9) AS n) AS words (word)
    """,
    "SELECT open_sales_month('2026-05-01')",
    """
    INSERT INTO sales (order_key, order_minor, paid_minor, kept_minor, foreign_minor, payee, day, platform, shop,
        channel, influencer, category, article, currency, quantity, orders, basis, part, is_first, is_bonded, line_id)
    SELECT n, amount, amount, amount, 0, payee, '2026-05-01'::date + (h % 31), 1, 11, 21 + (h % 9), 31,
        41 + (h / 7 % 9), 51 + (h / 11 % 9), 61, 1 + h % 3, 1, 2, (payee::bigint * 2654435761 % 4294967296 * 16) >> 32,
        h % 4 = 0, false, '1'
    FROM (
        SELECT n, abs(hashint4(n)) AS h, (abs(hashint4(n + 7)) % 50000) AS amount,
            {cities} + 1 + abs(hashint4(n * 3)) % ({payees} - {cities}) AS payee
        FROM generate_series({start}, {end}) AS n
    ) AS made
    """,
)
_CHUNK = 1_000_000


class _Run(NamedTuple):
    calculation: UUID
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Month:
    """What became of a month. seeded: how long its rows took. runs: the last one is booked, by so many transfers."""

    seeded: float
    runs: Sequence[_Run]
    booking: float
    transfers: int
    peak: Peak

    @property
    def settled(self) -> Mapping[str, float]:
        """How long each part of the settlement took that was booked."""
        return {**self.runs[-1].seconds, _BOOKING: self.booking}

    @property
    def whole(self) -> float:
        return sum(self.settled.values())


async def measure() -> list[Figure]:
    """A month of each size settled; of the largest also DuckDB's sums, its payouts and reports."""
    smaller: list[tuple[_Size, _Month]] = []
    for size in SIZES[:-1]:
        async with _server() as (database, url, data):
            smaller.append((size, await _month(database, url, data, size)))
    async with _server() as (database, url, data):
        month = await _month(database, url, data, SIZES[-1])
        return [*await _figures(database, url, month), *_growth([*smaller, (SIZES[-1], month)])]


@asynccontextmanager
async def _server() -> AsyncIterator[tuple[Database, str, Path]]:
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as directory:
        async with EmbeddedPostgres(Path(directory)) as server:
            url = server.url("postgres")
            upgrade(url)
            database = Database(url, _KEYS, pool_size=8)
            try:
                yield database, url, server.data
            finally:
                await database.close()


async def _month(database: Database, url: str, data: Path, size: _Size) -> _Month:
    """Freezing, both passes and the digest; the same done again, approved and booked."""
    seeded = await asyncio.to_thread(_seed, url, size)
    definitions = DefinitionService(database, level_limit=_LEVELS)
    for uploaded in await definitions.upload(_ACTOR, [SourceText("s.yaml", _SCHEME), SourceText("r.yaml", _RULES)]):
        version = uploaded.version
        await definitions.publish(_ACTOR, (version.kind, version.namespace, version.name, version.version))
    steps = CalculationSteps(database)
    async with peak_of(data) as peak:
        runs = [await _computed(steps, uuid4()) for _ in range(_TURNS - 1)]
        settled, transfers, booking = await _settled(database, steps)
    return _Month(seeded, [*runs, settled], booking, transfers, peak)


async def _figures(database: Database, url: str, month: _Month) -> list[Figure]:
    """What became of the largest month, and what follows it."""
    runs, sales = month.runs, SIZES[-1].sales
    floor, differing = await floor_of(database, url, runs[0].calculation)
    payouts = await payout_figures(database, url, CalculationSteps(database), "bench")
    reports = await report_figures(database, "bench", _DAY)
    rows, digests = await _outcome(database, [each.calculation for each in runs])
    most = max(month.settled, key=lambda name: month.settled[name])
    return [
        Figure("rows put into sales, their index kept", [sales / month.seeded], "rows/s"),
        *(Figure(name, [each.seconds[name] for each in runs], "s", better="lower") for name in runs[0].seconds),
        Figure(f"{_BOOKING}, {month.transfers:,} transfers", [month.booking], "s", better="lower"),
        Figure(
            f"all of it, booked, {rows:,} earnings written",
            [month.whole],
            "s",
            better="lower",
            baseline=[floor],
            against="DuckDB's, in memory",
            aim=30.0,
        ),
        Figure(f"most of which goes to the {most}", [100 * month.settled[most] / month.whole], "%", better="lower"),
        Figure(
            f"different digests of these calculations ({', '.join(sorted(str(each)[:15] for each in digests))})",
            [float(len(digests))],
            better="lower",
            aim=1.0,
        ),
        Figure("earnings that differ from DuckDB's", [float(differing)], "", better="lower", aim=0.0),
        Figure("memory of PostgreSQL at most, what is shared once", [month.peak.server_mb], "MB", better="lower"),
        Figure("memory of this process at most, meanwhile", [month.peak.own_mb], "MB", better="lower"),
        *payouts,
        *reports,
    ]


def _growth(months: Sequence[tuple[_Size, _Month]]) -> list[Figure]:
    """Lines in a second of every size: as many of many as of few, where growth is linear."""
    (first, fewest), *_ = months
    return [
        Figure(
            f"lines settled and booked in a second, of {size.sales:,}",
            [size.sales / month.whole],
            "lines/s",
            baseline=[first.sales / fewest.whole] if size != first else (),
            against=f"that of {first.sales:,}",
        )
        for size, month in months
    ]


def _seed(url: str, size: _Size) -> float:
    values = {"payees": size.payees, "cities": size.cities, "regions": size.regions}
    name = _KEYS.encrypt("某人".encode(), "payees.name").hex()
    details = _KEYS.encrypt(canonical_json(_DETAILS), "payees.details").hex()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _SEED[:-1]:
            connection.execute(statement.format(**values, name=name, details=details))
        begun = time.perf_counter()
        for start in range(1, size.sales + 1, _CHUNK):
            end = min(start + _CHUNK - 1, size.sales)
            connection.execute(_SEED[-1].format(**values, start=start, end=end))
        seeded = time.perf_counter() - begun
        connection.execute("VACUUM ANALYZE")
        # What is written from here on is known to the server only where the product has it counted.
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    return seeded


async def _settled(database: Database, steps: CalculationSteps) -> tuple[_Run, int, float]:
    """A settlement computed, approved and booked; how many transfers that made, and how long the booking took."""
    service = SettlementRunService(database, steps, ConnectorRegistry())
    view = await service.ask(system_actor("finance", Role.FINANCE), "bench", _DAY)
    run, calculation = view.run.id, view.calculations[0].id
    computed = await _computed(steps, calculation)
    await service.computed(run)
    for approver in ("one", "another"):
        if (await service.show(system_actor("finance", Role.FINANCE), run)).run.state == "computed":
            await service.decide(system_actor(approver, Role.APPROVER), run, approve=True)
    booking = await timed(lambda: each_part(range(PARTS), partial(service.book_part, run, calculation)))
    await service.finish(run)
    return computed, (await service.show(system_actor("finance", Role.FINANCE), run)).transfers, booking


async def _computed(steps: CalculationSteps, calculation: UUID) -> _Run:
    await steps.ask(_FINANCE, calculation, Wanted("bench", _DAY, "preview"))
    seconds = {
        "freezing: payees, uplines, watermark": await timed(lambda: steps.freeze(calculation)),
        "first pass: what payees earn alone": await timed(
            lambda: each_part(range(PARTS), partial(steps.earn_alone, calculation))
        ),
        "second pass: by the downline": await timed(
            lambda: each_part(range(PARTS), partial(steps.earn_by_downline, calculation))
        ),
        "the digest of it all": await timed(lambda: steps.finish(calculation)),
    }
    return _Run(calculation, seconds)


async def _outcome(database: Database, calculations: Sequence[UUID]) -> tuple[int, set[str | None]]:
    """How many earnings the first wrote, and all their digests."""
    count = text("SELECT count(*) FROM settlement_earnings WHERE calculation = :id")
    async with UnitOfWork(database) as work:
        found = [await Calculations(work).find(each) for each in calculations]
        rows = await work.session.scalar(count, {"id": calculations[0]})
        return int(rows or 0), {each.digest for each in found if each is not None}
