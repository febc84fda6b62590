"""The quota of decryptions outside the platform's own cloud: one in ten seconds, a hundred a day.

Every process must keep to it together, so its count is kept where tokens are: a permit is a token that is used up by
being given out. Source: the platform's data security guide, second-hand [S].
"""

from datetime import datetime, timedelta

from connectors.http import Link
from connectors.pinduoduo.gateway import PLATFORM
from connectors.reading import CHINA
from connectors.tokens import Token, TokenName
from domain.problems import RateLimitProblem, Text

APART = timedelta(seconds=10)
A_DAY = 100


class DecryptionQuota:
    """The permits of one shop."""

    def __init__(self, account: str, link: Link) -> None:
        self._name = TokenName(PLATFORM, account, "decryptions")
        self._link = link

    async def take(self) -> None:
        """One permit. Raises RateLimitProblem that says when the next one will be there; nothing was sent then."""
        store = self._link.tokens
        async with store.lock(self._name):
            now = self._link.now()
            day = f"{now.astimezone(CHINA):%Y-%m-%d}"
            last = await store.load(self._name)
            used = _used(last, day)
            if used >= A_DAY:
                raise _wait(_midnight(now) - now, Text("今天的解密次数已用完", "Today's decryptions are used up"))
            if last is not None and now < last.obtained_at + APART:
                wait = last.obtained_at + APART - now
                raise _wait(wait, Text("每 10 秒只能解密一次", "Only one decryption in 10 seconds"))
            await store.save(self._name, Token(f"{day} {used + 1}", obtained_at=now, expires_at=now + APART))


def _used(last: Token | None, day: str) -> int:
    """How many permits of that day were given out."""
    if last is None:
        return 0
    of_day, _, count = last.value.partition(" ")
    return int(count) if of_day == day and count.isdigit() else 0


def _midnight(now: datetime) -> datetime:
    local = now.astimezone(CHINA)
    return local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _wait(wait: timedelta, why: Text) -> RateLimitProblem:
    seconds = max(wait.total_seconds(), 0.1)
    return RateLimitProblem(
        Text(f"{why.zh}，{seconds:.0f} 秒后自动重试", f"{why.en}; it is tried again in {seconds:.0f} s"),
        platform=PLATFORM,
        retryable=True,
        outcome="not_done",
        retry_after_s=seconds,
    )
