"""When the world says no."""


class TradeRefusal(Exception):
    """The world refuses a step; `why` is one of the constants below."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


STALE_STATUS = "stale_status"
STALE_VERSION = "stale_version"
