"""Which waiting pushes are taken next: the oldest; of a long queue, half of a batch is shared among those who wait.

Of the shared half each platform has the same part, and of a platform's part each of its accounts: the oldest of each,
so that of one thing nothing is taken before what came before it. One platform's backlog thus delays no other's pushes,
and one shop's hardly those of its neighbours. Where accounts are gone through, it is by `fetch_by_index`.
"""

_SHOPS = """
    shop (platform, account, since) AS (
        (SELECT platform, account, received_at FROM inbox WHERE state = 'waiting'
            ORDER BY platform, account, received_at LIMIT 1)
        UNION ALL
        SELECT following.* FROM shop, LATERAL (
            SELECT inbox.platform, inbox.account, inbox.received_at FROM inbox
            WHERE state = 'waiting' AND (inbox.platform, inbox.account) > (shop.platform, shop.account)
            ORDER BY inbox.platform, inbox.account, inbox.received_at LIMIT 1
        ) AS following
    )
"""
_SHARES = """
    , placed AS (
        SELECT platform, account, since, row_number() OVER (PARTITION BY platform ORDER BY since) AS place FROM shop
        WHERE platform = ANY(%(platforms)b::text[]) OR since < %(orphaned)b::timestamptz
    ),
    served AS MATERIALIZED (
        SELECT platform, account, count(*) OVER (PARTITION BY platform) AS shops
        FROM (SELECT * FROM placed ORDER BY place, since LIMIT 200) AS first
    ),
    shared AS MATERIALIZED (
        SELECT first.* FROM served, LATERAL (
            SELECT id, octet_length(payload) AS size FROM inbox
            WHERE inbox.platform = served.platform AND inbox.account = served.account AND state = 'waiting'
                AND (inbox.platform = ANY(%(platforms)b::text[]) OR received_at < %(orphaned)b::timestamptz)
            ORDER BY received_at, id
            LIMIT %(limit)b::bigint / 2 / (SELECT count(DISTINCT platform) FROM served) / served.shops
            FOR UPDATE SKIP LOCKED
        ) AS first
    ),
"""
_OLDEST = """
    oldest AS MATERIALIZED (
        SELECT id, octet_length(payload) AS size FROM inbox
        WHERE state = 'waiting' AND (%(ids)b::bigint[] IS NULL OR id = ANY(%(ids)b::bigint[]))
            AND (platform = ANY(%(platforms)b::text[]) OR received_at < %(orphaned)b::timestamptz)
            AND id NOT IN (SELECT id FROM shared)
        ORDER BY id LIMIT %(limit)b::bigint - (SELECT count(*) FROM shared) FOR UPDATE SKIP LOCKED
    )
"""
_NOBODY_SHARES = "shared AS (SELECT 0::bigint AS id, 0 AS size WHERE false),"
_READ = """
    , within AS (
        SELECT id FROM (
            SELECT id, sum(size) OVER (ORDER BY turn, id) - size AS before
            FROM (SELECT id, size, 1 AS turn FROM shared UNION ALL SELECT id, size, 2 FROM oldest) AS head
        ) AS sizes
        WHERE before < %(bytes)b::bigint
    )
    SELECT id, platform, account, dedupe_key, kind, payload, received_at, sent_at, tries
    FROM inbox WHERE id IN (SELECT id FROM within)
"""
_MARK = """
    UPDATE inbox SET tries = 1
    WHERE tries = 0 AND id IN (SELECT id FROM shared UNION ALL SELECT id FROM oldest) RETURNING id
"""
_SINCE = "SELECT platform, min(since) FROM shop GROUP BY platform"

# In no order: to have one by index, the planner would go through the whole table.
TAKE_OLDEST = f"WITH {_NOBODY_SHARES}{_OLDEST}{_READ}"
TAKE_SHARES = f"WITH RECURSIVE {_SHOPS}{_SHARES}{_OLDEST}{_READ}"
SUSPECT = f"WITH RECURSIVE {_SHOPS}{_SHARES}{_OLDEST}{_MARK}"
"""Marks what `TAKE_SHARES` would take, one time after the other."""
WAITING_SINCE = f"WITH RECURSIVE {_SHOPS}{_SINCE}"
"""By platform, when the oldest of its pushes came that wait."""
