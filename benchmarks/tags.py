"""Tag rules over many customers: everybody at once, and a batch of those whom something happened to."""

import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import psycopg
from sqlalchemy import text

from benchmarks.figures import Figure, percentile
from domain.access import system_actor
from domain.tags import LiveRule
from runtime.embedded import EmbeddedPostgres
from services.customer_tags import CustomerTagService
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.tag_rules import RuleBook
from services.tagging import Tagging
from storage.customer_traits import CustomerTraits
from storage.encryption import Keyring
from storage.engine import Database
from storage.migrations import upgrade
from storage.unit_of_work import UnitOfWork

CUSTOMERS = int(os.environ.get("BENCH_TAG_CUSTOMERS", "20000"))
TITLE = f"Tags: the shipped rules over {CUSTOMERS:,} customers"
NOTE = (
    "2.4 orders with a line each and one coupon a customer, on disk; BENCH_TAG_CUSTOMERS sets how many; "
    "a batch is 500 customers, as one drain of the inbox touches them"
)
_ACTOR = system_actor("benchmarks")
_BATCH = 500
_BATCHES = 20
_AT_ONCE = 2_000
_RULES = [SourceText(path.name, path.read_text("utf-8")) for path in sorted(Path("definitions/tags").glob("*.yaml"))]
_SEED = """
INSERT INTO customers (created_at, changed_at) SELECT now(), now() FROM generate_series(1, :count);
INSERT INTO identities (kind, scope, digest, value, customer_id, first_seen_at)
    SELECT 'buyer', 'youzan', decode(md5(id::text), 'hex'), '\\x00', id, now() FROM customers;
INSERT INTO orders (account_id, order_id, identity_id, version, detail_version, status, currency, paid_minor,
        refunded_minor, created_at, paid_at, told_at, recorded_at, coupon_ids, dining)
    SELECT 'youzan/flagship', 'E' || i.id || '-' || n, i.id, 1, 1, 'paid', 'CNY', (random() * 50000)::bigint, 0,
        t, t, t, t, CASE WHEN random() < 0.2 THEN ARRAY['c1'] ELSE ARRAY[]::text[] END, NULL
    FROM identities AS i, generate_series(1, 4) AS n, LATERAL (SELECT now() - random() * interval '400 days' AS t) AS at
    WHERE random() < 0.6;
INSERT INTO order_lines (order_key, line_id, item_id, title, category, quantity, price_minor, total_minor)
    SELECT id, '1', 'i1', 'x', (ARRAY['猫粮', '大衣', '咖啡', '水果'])[1 + (random() * 3)::int], 1,
        paid_minor, paid_minor
    FROM orders;
INSERT INTO interactions (account_id, kind, key, identity_id, version, occurred_at, recorded_at, name, state, channel,
        details)
    SELECT 'youzan/flagship', 'coupon', 'c' || id, id, 1, t, t, 'b1', 'taken', 'live', '{}'
    FROM identities, LATERAL (SELECT now() - random() * interval '60 days' AS t) AS at
"""


async def measure() -> list[Figure]:
    """All rules by batches of everybody, then by batches of whom something happened to, then what time made due."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as directory:
        async with EmbeddedPostgres(Path(directory)) as server:
            url = server.url("postgres")
            upgrade(url)
            database = Database(url, Keyring({"k1": b"1" * 32}), pool_size=4)
            try:
                return await _measure(database, url)
            finally:
                await database.close()


async def _measure(database: Database, url: str) -> list[Figure]:
    await _seed(url)
    definitions = DefinitionService(database)
    for uploaded in await definitions.upload(_ACTOR, _RULES):
        version = uploaded.version
        await definitions.publish(_ACTOR, (version.kind, version.namespace, version.name, version.version))
    async with UnitOfWork(database) as work:
        rules = [each.live for each in await RuleBook().current(work)]
        customers = list(await work.session.scalars(text("SELECT id FROM customers ORDER BY id")))
    tagging = Tagging(database)
    begun = time.perf_counter()
    while not (await tagging.backfill(_AT_ONCE)).complete:
        pass
    full = time.perf_counter() - begun
    one = [await _full(database, rules, customers) for rules in ([rule] for rule in rules if rule.name == "high-value")]
    preview = time.perf_counter()
    await CustomerTagService(database).preview(_ACTOR, _stricter(), budget_s=600)
    preview = time.perf_counter() - preview
    batches = [await _incremental(database, tagging, customers) for _ in range(_BATCHES)]
    due = await _due(database, tagging)
    return [
        Figure(f"{len(rules)} rules, everybody, written", [len(customers) / full], "customers/s"),
        Figure("one rule, everybody, nothing new", one, "customers/s"),
        Figure("preview of one rule, everybody", [len(customers) / preview], "customers/s"),
        Figure(f"{len(rules)} rules, 500 touched, p50", [percentile(batches, 0.5) * 1000], "ms", "lower"),
        Figure("  p95", [percentile(batches, 0.95) * 1000], "ms", "lower"),
        Figure("  customers a second", [_BATCH / percentile(batches, 0.5)], "customers/s"),
        Figure("due checks", [due], "checks/s"),
    ]


async def _seed(url: str) -> None:
    """As the tables' owner: no statement ends after half a minute, and ANALYZE does more than warn."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in _SEED.split(";\n"):
            await connection.execute(statement.replace(":count", str(CUSTOMERS)).encode())
        await connection.execute("ANALYZE")


async def _full(database: Database, rules: Sequence[LiveRule], customers: Sequence[UUID]) -> float:
    begun = time.perf_counter()
    for start in range(0, len(customers), _AT_ONCE):
        async with UnitOfWork(database) as work:
            await CustomerTraits(work).bring_up_to_date(rules, [], customers[start : start + _AT_ONCE])
    return len(customers) / (time.perf_counter() - begun)


async def _incremental(database: Database, tagging: Tagging, customers: Sequence[UUID]) -> float:
    touched = frozenset(random.sample(customers, min(_BATCH, len(customers))))
    begun = time.perf_counter()
    async with UnitOfWork(database) as work:
        await tagging.evaluate(work, touched, frozenset({"orders"}))
    return time.perf_counter() - begun


async def _due(database: Database, tagging: Tagging) -> float:
    async with UnitOfWork(database) as work:
        await work.session.execute(text("UPDATE tag_checks SET due_at = now() - interval '1 minute'"))
        count = int(await work.session.scalar(text("SELECT count(*) FROM tag_checks")) or 0)
    begun = time.perf_counter()
    while not (await tagging.check_due()).complete:
        pass
    return count / (time.perf_counter() - begun)


def _stricter() -> str:
    return (
        "tag-rule: { name: high-value, version: 2.0.0, tag: 高价值, title: t, "
        "when: { all: [ { orders: { count: { at-least: 4 } } } ] } }"
    )
