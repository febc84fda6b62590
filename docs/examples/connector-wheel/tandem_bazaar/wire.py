"""Bazaar's contract: its settings, its signature, its words and its error codes."""

import hashlib
import hmac
from collections.abc import Mapping

from pydantic import Field, SecretStr

from connectors.accounts import AccountSettings
from connectors.errors import CodeMeaning
from domain.canonical import OrderStatus
from domain.problems import Text

PLATFORM = "bazaar"


class BazaarSettings(AccountSettings):
    """One shop. Fields of type `SecretStr` are stored encrypted, and never shown again."""

    key_id: str = Field(min_length=1, max_length=64)
    secret: SecretStr = Field(min_length=16)
    base_url: str = Field(pattern=r"^https?://[^\s?#]+$")


def sign(secret: SecretStr, content: str) -> str:
    """HMAC-SHA-256 in hex."""
    return hmac.new(secret.get_secret_value().encode(), content.encode(), hashlib.sha256).hexdigest()


STATUSES: Mapping[str, OrderStatus] = {
    "new": "unpaid",
    "paid": "paid",
    "sent": "shipped",
    "done": "completed",
    "void": "closed",
}
CODES: Mapping[str, CodeMeaning] = {
    "bad_sign": CodeMeaning("credentials", Text("secret 不正确", "Wrong secret")),
    "forbidden": CodeMeaning("permission", Text("没有订单权限", "Orders are not permitted")),
    "no_order": CodeMeaning("not_found", Text("没有这张订单", "There is no such order")),
    "wrong_state": CodeMeaning("conflict", Text("订单状态不允许", "The order's state does not allow it")),
    "slow_down": CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=1.0),
    "busy": CodeMeaning("busy", Text("平台繁忙", "The platform is busy"), retry_after_s=2.0),
}
