"""One call to Youzan's gateway: its parameters, as the gateway reads and refuses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from simulator.entities import Shop
from simulator.platforms.youzan import wire
from simulator.world import World

Json = dict[str, Any]

WINDOW = timedelta(days=93)


class ApiError(Exception):
    """A business error: HTTP 200 with `success: false`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Call:
    """One call: the shop whose token it carries and the JSON parameters."""

    world: World
    shop: Shop
    params: Json

    def text(self, name: str) -> str:
        """A parameter that must be a non-empty string. ApiError 5001 otherwise, as the gateway does for types."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            raise ApiError(5001, f"参数 {name} 缺失或类型不正确")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """An integer parameter. ApiError 5001 when it is missing or of another type."""
        value = self.params.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ApiError(5001, f"参数 {name} 缺失或类型不正确")
        return value

    def visible(self, created: datetime) -> bool:
        """Whether a row is old enough for the platform's lagging reads."""
        return self.world.clock.now() - created >= timedelta(seconds=self.world.settings.youzan_read_lag_s)

    def window(self, start_name: str, end_name: str) -> tuple[datetime, datetime] | None:
        """The instants between two parameters; None when one is missing. ApiError when they make no window."""
        start, end = self.params.get(start_name), self.params.get(end_name)
        if start is None or end is None:
            return None
        try:
            window = wire.instant(str(start)), wire.instant(str(end))
        except ValueError:
            raise ApiError(5001, "时间格式应为 yyyy-MM-dd HH:mm:ss") from None
        if window[0] > window[1]:
            raise ApiError(5000, "开始时间不能大于结束时间")
        if window[1] - window[0] > WINDOW:
            raise ApiError(5000, "时间跨度不能超过3个月")
        return window

    def record(self, kind: str, subjects: dict[str, str], *, code: int = 0, amount_minor: int | None = None) -> None:
        """Into the ledger: what the call did, or the code that it was refused with."""
        self.world.ledger.record(
            kind, "youzan", self.shop.id, request=self.params, subjects=subjects, code=code, amount_minor=amount_minor
        )


Handler = Callable[[Call], Json]
