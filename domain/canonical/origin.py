"""Where a record comes from, how new it is, and who is in it."""

from collections.abc import Iterable

from pydantic import AwareDatetime

from domain.calls import Result
from domain.canonical.keys import IdentityKey, strongest_first

NUMBER_THEIR_BUYERS = frozenset({"douyin", "eleme", "jd", "meituan", "pinduoduo", "taobao", "youzan"})
"""Shop platforms that give out the buyers' numbers themselves, so that one means the same person in each of their
shops. Anywhere else (a till, a CRM, a site, shops that each run the same software) another account counts anew."""


class Origin(Result):
    """Where an event comes from. `version` never decreases; the larger one is the newer state."""

    platform: str
    account: str
    version: int
    occurred_at: AwareDatetime | None = None

    @property
    def account_id(self) -> str:
        """The account as everything names it: `youzan/flagship`."""
        return f"{self.platform}/{self.account}"

    @property
    def buyers_within(self) -> str:
        """Within what a buyer's number means one person, when the record does not say."""
        return self.platform if self.platform in NUMBER_THEIR_BUYERS else self.account_id

    def identity_keys(self) -> Iterable[IdentityKey | None]:
        """The keys the record names its person by; all of them belong to one person. None where nobody is in it."""
        return ()


def keys_of(record: Origin) -> tuple[IdentityKey, ...]:
    """The keys of a canonical record, the strongest first, without repetition; none when nobody is in it."""
    return strongest_first(record.identity_keys())
