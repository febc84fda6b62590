"""How far ahead the requests to each account are booked: one row an account, for all processes together.

Instants are the database's own, so that processes with different clocks share them; one that lies too far ahead, after
a clock was set back, counts as the furthest there may be.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field

from storage.bulk import fetch
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class RequestPaceRow(Table, table=True):
    """One account, or one interface of it (`account/interface`). busy_until: up to when requests are booked;
    bulk_until: those in bulk alone; held_until: none in bulk goes out before. granted: of the last asking; requests,
    delays: given out and put off so far."""

    __tablename__ = "request_paces"
    account_id: str = Field(primary_key=True)
    busy_until: datetime = instant()
    bulk_until: datetime = instant()
    held_until: datetime | None = instant(optional=True)
    granted: int = 0
    requests: int = Field(default=0, sa_type=BigInteger)
    delays: int = Field(default=0, sa_type=BigInteger)


@dataclass(frozen=True, slots=True)
class Rate:
    """requests a second, and for how many seconds ahead they may be booked."""

    per_second: float
    ahead_s: float


# Whoever asks first makes the row, and gets one.
_TAKE = """
    INSERT INTO request_paces AS pace (account_id, busy_until, bulk_until, granted, requests, delays)
    VALUES (
        %(account)b::text,
        clock_timestamp() + make_interval(secs => 1 / %(rate)b::float8),
        clock_timestamp() + CASE WHEN %(bulk)b::boolean THEN make_interval(secs => 1 / %(bulk_rate)b::float8)
            ELSE interval '0' END,
        1, 1, 0
    )
    ON CONFLICT (account_id) DO UPDATE SET (busy_until, bulk_until, granted, requests, delays) = (
        SELECT
            busy + make_interval(secs => taken / %(rate)b::float8),
            CASE WHEN %(bulk)b::boolean THEN slow + make_interval(secs => taken / %(bulk_rate)b::float8)
                ELSE pace.bulk_until END,
            taken, pace.requests + taken, pace.delays + (taken = 0)::int
        FROM (
            SELECT busy, slow, greatest(0, least(
                %(wanted)b::int,
                floor(extract(epoch FROM moment - busy + make_interval(secs => %(ahead)b::float8)) * %(rate)b::float8),
                CASE
                    WHEN NOT %(bulk)b::boolean THEN %(wanted)b::int
                    WHEN pace.held_until > moment AND pace.held_until < moment + interval '1 hour' THEN 0
                    ELSE floor(extract(epoch FROM moment - slow + make_interval(secs => %(bulk_ahead)b::float8))
                        * %(bulk_rate)b::float8)
                END
            ))::int AS taken
            FROM (
                SELECT moment,
                    greatest(least(pace.busy_until, moment + make_interval(secs => %(most)b::float8)), moment) AS busy,
                    greatest(least(pace.bulk_until, moment + make_interval(secs => %(most)b::float8)), moment) AS slow
                FROM (SELECT clock_timestamp() AS moment) AS clock
            ) AS booked
        ) AS chosen
    )
    RETURNING granted
"""
_HOLD = """
    UPDATE request_paces SET held_until = clock_timestamp() + make_interval(secs => %(seconds)b::float8)
    WHERE account_id = %(account)b::text
"""


class RequestPaces(Repository):
    """Turns of accounts."""

    async def take(self, account_id: str, wanted: int, rate: Rate, bulk: Rate | None) -> int:
        """So many requests may go out now, at most as many as are wanted. bulk: the rate of those in bulk, None for
        others."""
        slow = bulk or rate
        values = {
            "account": account_id,
            "wanted": wanted,
            "rate": rate.per_second,
            # Requests in bulk leave half of what may be booked ahead to the others.
            "ahead": rate.ahead_s / 2 if bulk else rate.ahead_s,
            "bulk": bulk is not None,
            "bulk_rate": slow.per_second,
            "bulk_ahead": slow.ahead_s,
            "most": max(rate.ahead_s, slow.ahead_s),
        }
        ((granted,),) = await fetch(self.work, _TAKE, values)
        return int(granted)

    async def hold(self, account_id: str, seconds: float) -> None:
        """No request in bulk goes out for so long, an hour at most."""
        await fetch(self.work, _HOLD, {"account": account_id, "seconds": min(seconds, 3599.0)})
