"""What somebody agreed to hear about, and took back: in a form, at the counter, in another system."""

from typing import Literal

from pydantic import Field

from domain.canonical.interactions import Interaction
from domain.ids import derived_id

Channel = Literal["wecom"]
Purpose = Literal["service", "marketing"]
"""What a message is for: `service` answers what the customer did."""
ConsentState = Literal["given", "withdrawn"]
LONGEST_SOURCE = 200


class ConsentData(Interaction):
    """One statement of one person; a later one holds against it, and both are kept.

    channel: null for every channel. source: where and how they said so, as somebody can prove it later (`门店登记表`,
    `小程序授权 2026-11`). occurred_at: when they did.
    """

    state: ConsentState
    purpose: Purpose = "marketing"
    channel: Channel | None = None
    source: str = Field(min_length=1, max_length=LONGEST_SOURCE)

    @property
    def number(self) -> str:
        """What the statement goes by within its account, however often it is told."""
        who = next((each for each in self.identity_keys() if each is not None), ("", "", ""))
        return derived_id(*who, self.purpose, self.channel or "", self.state, str(self.version))
