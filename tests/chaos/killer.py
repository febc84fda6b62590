"""Kill -9, one server after the other, and how the whole stood at each blow."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from random import Random

import psycopg
from psycopg.rows import tuple_row

from tests.chaos.house import SERVERS, House

_BACK_WITHIN_S = 90.0
_STAGES = """
    SELECT
        count(*) FILTER (WHERE start_due_at IS NOT NULL),
        count(*) FILTER (WHERE start_due_at IS NULL AND ended_at IS NULL AND task IS NULL),
        count(*) FILTER (WHERE ended_at IS NULL AND task IN ('inspect', 'inspectByLead')),
        count(*) FILTER (WHERE ended_at IS NULL AND task = 'settleWithCustomer'),
        count(*) FILTER (WHERE ended_at IS NULL AND task IN ('approve', 'approveByLead')),
        count(*) FILTER (WHERE ended_at IS NULL AND task IN ('refundByHand', 'parcelOverdue')),
        count(*) FILTER (WHERE ended_at IS NOT NULL),
        (SELECT count(*) FROM effects WHERE state = 'started')
    FROM (
        SELECT r.start_due_at, r.ended_at, min(t.name) AS task
        FROM runs r LEFT JOIN human_tasks t ON t.run_id = r.id AND t.ended_at IS NULL
        WHERE r.namespace = 'apparel' AND r.name = 'return-refund'
        GROUP BY r.id
    ) AS run
    """


@dataclass(frozen=True)
class Stages:
    """How many runs stood where; `acting`: outside effects that had begun and were not recorded yet."""

    made: int
    to_start: int
    under_way: int
    inspection: int
    negotiation: int
    approval: int
    by_hand: int
    ended: int
    acting: int

    @property
    def on_the_way_in(self) -> int:
        """Refunds whose run does not exist yet: the push is on its way, or in the inbox."""
        known = (self.to_start, self.under_way, self.inspection, self.negotiation, self.approval, self.by_hand)
        return self.made - sum(known) - self.ended


@dataclass
class Blow:
    """One kill: when, whom, what stood where, and how long until it answered again (None: not in time)."""

    at_s: float
    names: tuple[str, ...]
    stages: Stages | None
    back_after_s: float | None = None
    with_children: bool = False


class Killer:
    """Kills. made: the refunds so far. began: the instant that `at_s` counts from, monotonic."""

    def __init__(self, house: House, made: Sized, began: float, seed: int) -> None:
        self.blows: list[Blow] = []
        self._house = house
        self._made = made
        self._began = began
        self._pick = Random(f"kills:{seed}")
        self._over = asyncio.Event()

    async def rounds(self, *, for_s: float, pause_s: float) -> None:
        """Each server in turn, in another order each round; all four at once after every second round."""
        end = time.monotonic() + for_s
        for blow in self._blows():
            await self.strike(*blow)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pick.uniform(0.3, 2 * pause_s)):
                    await self._over.wait()
            if self._over.is_set() or time.monotonic() > end or self.blows[-1].back_after_s is None:
                return

    def stop(self) -> None:
        """No more kills; `rounds` ends when the last that was killed is back."""
        self._over.set()

    def findings(self, broke: BaseException | None) -> list[str]:
        """Whoever did not come back, and why there were no more kills. broke: what ended `rounds`."""
        said = [f"the killer broke: {type(broke).__name__}: {broke}"] if broke is not None else []
        if not self.blows:
            said.append("nobody was killed")
        return [
            *said,
            *(
                f"{', '.join(blow.names)}, killed at {blow.at_s:.0f} s, did not come back"
                for blow in self.blows
                if blow.back_after_s is None
            ),
        ]

    def _blows(self) -> Iterator[Sequence[str]]:
        for number in itertools.count(1):
            yield from ((name,) for name in self._pick.sample(SERVERS, len(SERVERS)))
            if number % 2 == 0:
                yield SERVERS

    async def strike(self, *names: str) -> None:
        """Kill these at once, and wait until all of them are back."""
        stages = await self._stages()
        # PostgreSQL alone loses its postmaster; every other time the backends die with it, as in a crash of the host.
        with_children = len(self.blows) % 2 == 1
        struck = time.monotonic()
        blow = Blow(struck - self._began, names, stages, with_children=with_children)
        self.blows.append(blow)
        for name in names:
            self._house.kill(name, with_children=with_children and name == "PostgreSQL")
        blow.back_after_s = await self._back(names, struck)

    async def _back(self, names: Sequence[str], struck: float) -> float | None:
        while time.monotonic() < struck + _BACK_WITHIN_S:
            back = {each.name: each.at for each in self._house.returned if each.at > struck}
            if set(names) <= back.keys():
                return max(back[name] for name in names) - struck
            if not self._house.running:
                return None
            await asyncio.sleep(0.05)
        return None

    async def _stages(self) -> Stages | None:
        """None when the database is not back yet."""
        try:
            async with (
                asyncio.timeout(5),
                await psycopg.AsyncConnection.connect(
                    self._house.addresses().database_url, autocommit=True, row_factory=tuple_row
                ) as connection,
            ):
                row = await (await connection.execute(_STAGES)).fetchone()
        except (psycopg.Error, TimeoutError):
            return None
        return Stages(len(self._made), *(row or ()))
