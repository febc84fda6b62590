"""People who are stored already, with their past: written by COPY and by set-based SQL, as many as are asked for."""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from benchmarks.pushes import SHOP, TILL, active, buyer_of, has_phone, phone_of
from domain.canonical.keys import key
from domain.ids import canonical_json
from domain.tags import EVERY_KIND
from services.tagging import Tagging
from storage.encryption import Keyring
from storage.engine import Database
from storage.identities import VALUE_CONTEXT, Identities
from storage.identity_digests import IdentityDigests, digest_of
from storage.unit_of_work import UnitOfWork

ORDERS_EACH = 2.4
_EVENT = canonical_json({"specversion": "1.0", "type": "tandem.order.paid", "data": {"lines": ["x" * 40] * 18}})

_BEGIN = """
    CREATE TEMP TABLE given (number bigint, kind text, scope text, digest bytea, value bytea);
    CREATE TEMP TABLE people (number bigint, id uuid)
"""
# The keys of one person hang together, as records would have tied them.
_STATEMENTS = f"""
INSERT INTO people SELECT number, uuidv7() FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number;
INSERT INTO customers (id, created_at, changed_at) SELECT id, now(), now() FROM people;
INSERT INTO identities (kind, scope, digest, value, customer_id, home, first_seen_at)
    SELECT kind, scope, digest, value, id, id, now() FROM given JOIN people USING (number) ORDER BY number;
INSERT INTO identity_links (low, tier, high, account_id, record, seen_at)
    SELECT one.id, CASE WHEN 'phone' IN (one.kind, other.kind) THEN 3 ELSE 2 END, other.id,
        'generic/{TILL}', 'order:past', now()
    FROM people JOIN identities one ON one.customer_id = people.id
    JOIN identities other ON other.customer_id = people.id
    WHERE one.id < other.id;
INSERT INTO orders (account_id, order_id, identity_id, version, detail_version, status, currency, paid_minor,
        refunded_minor, created_at, paid_at, told_at, recorded_at, coupon_ids)
    SELECT 'youzan/{SHOP}', 'P' || number || '-' || n, identities.id, 1, 1, 'completed', 'CNY',
        (random() * 50000)::bigint, 0, t, t, t, t, '{{}}'
    FROM people JOIN identities ON customer_id = people.id AND kind = 'buyer'
    CROSS JOIN generate_series(1, %(most)s::int) AS n
    CROSS JOIN LATERAL (SELECT now() - random() * interval '400 days' + number * interval '0' AS t) AS at
    WHERE random() < %(share)s::float8;
INSERT INTO order_lines (order_key, line_id, item_id, title, category, quantity, price_minor, total_minor)
    SELECT orders.id, '1', 'i1', 'x', (ARRAY['猫粮', '大衣', '咖啡', '水果'])[1 + (random() * 3)::int], 1,
        paid_minor, paid_minor
    FROM orders JOIN identities ON identities.id = identity_id JOIN people ON people.id = customer_id;
INSERT INTO interactions (account_id, kind, key, identity_id, version, occurred_at, recorded_at, name, state, channel,
        details)
    SELECT 'generic/{TILL}', 'coupon', 'past' || number, identities.id, 1, t, t, 'b1', 'taken', 'live', '{{}}'
    FROM people JOIN identities ON customer_id = people.id AND kind = 'buyer'
    CROSS JOIN LATERAL (SELECT now() - random() * interval '60 days' + number * interval '0' AS t) AS at
    WHERE random() < 0.5;
INSERT INTO events (source, event_id, type, subjects, envelope, received_at)
    SELECT '/youzan/{SHOP}', orders.id::text, 'tandem.order.paid',
        ARRAY['order:' || order_id, 'customer:' || people.id], %(envelope)s, told_at
    FROM orders JOIN identities ON identities.id = identity_id JOIN people ON people.id = customer_id;
TRUNCATE given, people
"""
_ANALYZED = (
    "customers",
    "identities",
    "identity_links",
    "orders",
    "order_lines",
    "interactions",
    "events",
    "customer_tags",
    "customer_grades",
    "tag_checks",
)


_TAGGED_AT_ONCE = 1_000


class Stored:
    """Fills one database, a range of people at a time. url: with the right to write everywhere. tagging: what rules say
    of those whom pushes are about is written as well, as it is of everybody whom a running Tandem knows. events: each
    order has its event."""

    def __init__(self, database: Database, url: str, tagging: Tagging | None = None, *, events: bool = True) -> None:
        self._database = database
        self._url = url
        self._tagging = tagging
        self._events = events
        self.people = 0

    async def grow(self, people: int, orders_each: float = ORDERS_EACH) -> None:
        """Let so many people be stored in all, each with some orders, half of them with a coupon."""
        async with UnitOfWork(self._database) as work:
            await IdentityDigests(work).current([])
        async with await psycopg.AsyncConnection.connect(self._url, row_factory=tuple_row) as connection:
            await connection.execute(_BEGIN)
            while self.people < people:
                last = min(people, self.people + 50_000) - 1
                await self._range(connection, self.people, last, orders_each)
                await connection.commit()
                self.people = last + 1
            await connection.set_autocommit(True)
            await self._vacuum(connection)
            if self._tagging is not None:
                await self._tag(self._tagging)
                await self._vacuum(connection)

    async def _vacuum(self, connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
        for table in _ANALYZED:
            await connection.execute(f"VACUUM (ANALYZE) {table}".encode())
        await connection.execute("CHECKPOINT")

    async def _tag(self, tagging: Tagging) -> None:
        await tagging.measure()
        keys = [key("buyer", buyer_of(number), "youzan") for number in active(self.people)]
        async with UnitOfWork(self._database) as work:
            found = await Identities(work).find([each for each in keys if each is not None])
        customers = sorted({each.customer_id for each in found.values()})
        for start in range(0, len(customers), _TAGGED_AT_ONCE):
            async with UnitOfWork(self._database) as work:
                await tagging.evaluate(work, frozenset(customers[start : start + _TAGGED_AT_ONCE]), EVERY_KIND)

    async def _range(
        self, connection: psycopg.AsyncConnection[tuple[Any, ...]], first: int, last: int, orders_each: float
    ) -> None:
        keyring = self._database.keyring
        columns = "COPY given (number, kind, scope, digest, value) FROM STDIN (FORMAT binary)"
        async with connection.cursor() as cursor, cursor.copy(columns) as copy:
            copy.set_types(["int8", "text", "text", "bytea", "bytea"])
            for row in _keys(keyring, first, last):
                await copy.write_row(row)
        most = max(1, round(orders_each * 1.5))
        values = {
            "first": first,
            "last": last,
            "most": most,
            "share": orders_each / most,
            "envelope": keyring.encrypt(_EVENT, "events.envelope"),
        }
        for statement in _STATEMENTS.split(";\n"):
            if "INTO events" in statement and not self._events:
                continue
            await connection.execute(statement.encode(), values)


def _keys(keyring: Keyring, first: int, last: int) -> Iterator[tuple[int, str, str, bytes, bytes]]:
    def row(number: int, kind: str, scope: str, value: str) -> tuple[int, str, str, bytes, bytes]:
        digest = digest_of(keyring, keyring.current_id, kind, scope, value)
        return number, kind, scope, digest, keyring.encrypt(value.encode(), VALUE_CONTEXT)

    for number in range(first, last + 1):
        yield row(number, "buyer", "youzan", buyer_of(number))
        yield row(number, "member", f"generic/{TILL}", buyer_of(number))
        if has_phone(number):
            yield row(number, "phone", "", phone_of(number))
