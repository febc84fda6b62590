"""Where a record comes from, and how new it is."""

from pydantic import AwareDatetime

from domain.calls import Result


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
