"""The quota of decryptions outside the platform's own cloud: one in ten seconds, a hundred a day.

Whoever has to wait is given a slot of their own and told when it is, so that a hundred who come at once are served one
after the other, and each asks twice. Every process must keep to it together, so the book of slots is kept where tokens
are. Source: the platform's data security guide, second-hand [S].
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.http import Link
from connectors.pinduoduo.gateway import PLATFORM
from connectors.reading import CHINA
from connectors.tokens import Token, TokenName
from domain.catalog.platforms import EFFECT_DEADLINE_S
from domain.problems import RateLimitProblem, Text

APART = timedelta(seconds=10)
A_DAY = 100
# Who comes a little late for a slot must not push the next one back.
_SLOTS_APART = APART + timedelta(seconds=1)
_KEPT = timedelta(minutes=10)
_OFTEN = Text("每 10 秒只能解密一次", "Only one decryption in 10 seconds")
_DAY_IS_FULL = Text("今天的解密次数已用完", "Today's decryptions are used up")


@dataclass(slots=True)
class _Book:
    """last: when a permit was taken last, in Unix seconds; day, used: how many on that day; waiting: slots by order."""

    last: float = 0.0
    day: str = ""
    used: int = 0
    waiting: dict[str, float] = field(default_factory=dict)

    def next_slot(self, now: datetime) -> datetime:
        """The first one that nobody has."""
        slot = max(now, _instant(self.last) + APART)
        if self.waiting:
            slot = max(slot, _instant(max(self.waiting.values())) + _SLOTS_APART)
        while self._given_out(_day_of(slot)) >= A_DAY:
            slot = _midnight(slot)
        return slot

    def earliest(self, now: datetime) -> datetime:
        """When the platform takes the next one, whoever asks."""
        is_full = self.day == _day_of(now) and self.used >= A_DAY
        return max(_instant(self.last) + APART, _midnight(now) if is_full else now)

    def _given_out(self, day: str) -> int:
        used = self.used if day == self.day else 0
        return used + sum(_day_of(_instant(slot)) == day for slot in self.waiting.values())


class DecryptionQuota:
    """The permits of one shop."""

    def __init__(self, account: str, link: Link) -> None:
        self._name = TokenName(PLATFORM, account, "decryptions")
        self._link = link

    async def wait_for(self, order_id: str) -> None:
        """Returns when it is this order's turn; raises RateLimitProblem that says when that will be.

        Asks nothing of the platform and uses no permit up.
        """
        async with self._link.tokens.lock(self._name):
            now = self._link.now()
            book = await self._load(now)
            known = book.waiting.get(order_id)
            slot = book.next_slot(now) if known is None else _instant(known)
            # A slot that comes when the call has been given up would be lost to others.
            if known is None and slot - now <= timedelta(seconds=EFFECT_DEADLINE_S):
                book.waiting[order_id] = slot.timestamp()
                await self._save(book, now)
            if slot > now:
                raise _wait(slot, now)

    async def take(self, order_id: str) -> None:
        """A permit for an order whose turn it is. Raises RateLimitProblem when somebody was late for theirs."""
        async with self._link.tokens.lock(self._name):
            now = self._link.now()
            book = await self._load(now)
            earliest = book.earliest(now)
            if earliest > now:
                book.waiting[order_id] = earliest.timestamp()
                await self._save(book, now)
                raise _wait(earliest, now)
            book.waiting.pop(order_id, None)
            book.used = book.used + 1 if book.day == _day_of(now) else 1
            book.day, book.last = _day_of(now), now.timestamp()
            await self._save(book, now)

    async def leave(self, order_id: str) -> None:
        """Leave the slot to others: there is nothing to decrypt."""
        async with self._link.tokens.lock(self._name):
            now = self._link.now()
            book = await self._load(now)
            if book.waiting.pop(order_id, None) is not None:
                await self._save(book, now)

    async def _load(self, now: datetime) -> _Book:
        """The book without the slots of those who never came."""
        stored = await self._link.tokens.load(self._name)
        try:
            book = _Book(**json.loads(stored.value)) if stored is not None else _Book()
        except (ValueError, TypeError):
            book = _Book()
        oldest = (now - _KEPT).timestamp()
        book.waiting = {order: slot for order, slot in book.waiting.items() if slot >= oldest}
        return book

    async def _save(self, book: _Book, now: datetime) -> None:
        token = Token(json.dumps(asdict(book)), obtained_at=now, expires_at=now + timedelta(days=1))
        await self._link.tokens.save(self._name, token)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _day_of(instant: datetime) -> str:
    return f"{instant.astimezone(CHINA):%Y-%m-%d}"


def _midnight(now: datetime) -> datetime:
    local = now.astimezone(CHINA)
    return local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _wait(slot: datetime, now: datetime) -> RateLimitProblem:
    why = _OFTEN if _day_of(slot) == _day_of(now) else _DAY_IS_FULL
    seconds = max((slot - now).total_seconds(), 0.1)
    return RateLimitProblem(
        Text(f"{why.zh}，{seconds:.0f} 秒后自动重试", f"{why.en}; it is tried again in {seconds:.0f} s"),
        platform=PLATFORM,
        retryable=True,
        outcome="not_done",
        retry_after_s=seconds,
    )
