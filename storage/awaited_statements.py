"""Statements over the steps of orders that wait. Shops are gone through by `storage.bulk.fetch_by_index`."""

ADD = """
    INSERT INTO awaited_orders (
        account_id, event_id, platform, order_id, stage, event, received_at, waits_since,
        attempts, ask_at, tell_at
    )
    SELECT account, id, split_part(account, '/', 1), order_id, stage, event, received_at, since,
        0, %(now)b::timestamptz, %(tell_at)b::timestamptz
    FROM unnest(
        %(accounts)b::text[], %(ids)b::text[], %(orders)b::text[], %(stages)b::int[], %(events)b::bytea[],
        %(received)b::timestamptz[], %(since)b::timestamptz[]
    ) AS told (account, id, order_id, stage, event, received_at, since)
    WHERE NOT EXISTS (SELECT FROM events WHERE source = '/' || account AND event_id = id)
    ORDER BY account, id
    ON CONFLICT DO NOTHING RETURNING platform
"""
REACHED = """
    SELECT account_id, event_id, order_id, stage, event, received_at, waits_since FROM awaited_orders
    JOIN unnest(%(accounts)b::text[], %(orders)b::text[], %(stages)b::int[]) AS read (account_id, order_id, reached)
        USING (account_id, order_id)
    WHERE stage <= reached ORDER BY account_id, event_id FOR UPDATE OF awaited_orders
"""
LET_GO = """
    DELETE FROM awaited_orders USING unnest(%(accounts)b::text[], %(ids)b::text[]) AS told (account_id, event_id)
    WHERE awaited_orders.account_id = told.account_id AND awaited_orders.event_id = told.event_id
"""
PUT_OFF = """
    UPDATE awaited_orders SET tell_at = %(tell_at)b::timestamptz
    FROM unnest(%(accounts)b::text[], %(ids)b::text[]) AS kept (account_id, event_id)
    WHERE awaited_orders.account_id = kept.account_id AND awaited_orders.event_id = kept.event_id
"""
# The shops of which steps wait, one after the other along an index: see `storage.taking`.
_SHOPS = """
    WITH RECURSIVE shop (platform, account_id) AS (
        (SELECT platform, account_id FROM awaited_orders ORDER BY platform, account_id LIMIT 1)
        UNION ALL
        SELECT following.* FROM shop, LATERAL (
            SELECT waiting.platform, waiting.account_id FROM awaited_orders AS waiting
            WHERE (waiting.platform, waiting.account_id) > (shop.platform, shop.account_id)
            ORDER BY waiting.platform, waiting.account_id LIMIT 1
        ) AS following
    ),
"""
# What a shop told until the oldest of its pushes that wait was read; what came since may complete a step.
_TOLD = """
    told AS MATERIALIZED (
        SELECT platform, account_id, least(%(now)b::timestamptz, greatest(%(in_any_case)b::timestamptz, coalesce(
            (
                SELECT inbox.received_at FROM inbox
                WHERE inbox.platform = shop.platform AND state = 'waiting'
                    AND inbox.account = substr(shop.account_id, length(shop.platform) + 2)
                ORDER BY inbox.received_at LIMIT 1
            ),
            'infinity'
        ))) AS until FROM shop
    )
    SELECT overdue.* FROM told, LATERAL (
        SELECT account_id, event_id, order_id, stage, event, received_at, waits_since FROM awaited_orders AS waiting
        WHERE waiting.platform = told.platform AND waiting.account_id = told.account_id AND tell_at <= told.until
        ORDER BY tell_at LIMIT %(limit)b::bigint FOR UPDATE SKIP LOCKED
    ) AS overdue LIMIT %(limit)b::bigint
"""
_DUE = """
    due AS (
        SELECT turns.*, row_number() OVER (PARTITION BY turns.account_id ORDER BY again, received_at DESC) AS turn
        FROM shop, LATERAL (
            (
                SELECT account_id, order_id, 0 AS again, received_at FROM awaited_orders AS waiting
                WHERE waiting.platform = shop.platform AND waiting.account_id = shop.account_id AND attempts = 0
                ORDER BY received_at DESC LIMIT %(limit)b::bigint
            )
            UNION ALL
            (
                SELECT account_id, order_id, 1, received_at FROM awaited_orders AS waiting
                WHERE waiting.platform = shop.platform AND waiting.account_id = shop.account_id AND attempts > 0
                    AND ask_at <= %(now)b::timestamptz
                ORDER BY ask_at LIMIT %(limit)b::bigint
            )
        ) AS turns
        WHERE shop.platform = %(platform)b::text AND shop.account_id <> ALL(%(without)b::text[])
    )
"""
_ANY = "SELECT 1 FROM due LIMIT 1"
_CHANGE = """
    , first AS (
        SELECT account_id, order_id, min(turn) AS turn
        FROM (SELECT * FROM due ORDER BY turn, received_at DESC LIMIT %(limit)b::bigint) AS first
        GROUP BY account_id, order_id
    ),
    held AS MATERIALIZED (
        SELECT account_id, event_id, order_id, turn, attempts = 0 OR ask_at <= %(now)b::timestamptz AS is_due
        FROM first JOIN awaited_orders AS waiting USING (account_id, order_id)
        FOR UPDATE OF waiting SKIP LOCKED
    ),
    claimed AS (
        SELECT account_id, event_id, turn, bool_or(is_due) OVER (PARTITION BY account_id, order_id) AS is_due FROM held
    )
    UPDATE awaited_orders SET attempts = attempts + 1,
        ask_at = %(now)b::timestamptz + %(again)b::interval * power(2, least(attempts, 10))
    FROM claimed
    WHERE awaited_orders.account_id = claimed.account_id AND awaited_orders.event_id = claimed.event_id AND is_due
    RETURNING turn, awaited_orders.account_id, order_id
"""

OVERDUE = f"{_SHOPS}{_TOLD}"
IS_DUE = f"{_SHOPS}{_DUE}{_ANY}"
CLAIM = f"{_SHOPS}{_DUE}{_CHANGE}"
"""Shop by shop in turn, of each those never asked about first, the newest of them first: where more come than can be
asked about, the older ones are the list's, and the newer ones are told at once.

It waits for no lock, so it never embraces a batch that completes the same steps; and what another process claims
meanwhile is not due any more when its rows are looked at."""
