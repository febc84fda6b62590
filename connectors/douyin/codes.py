"""What Douyin's error codes mean. Source: the platform's public error-code document, second-hand [S].

The gateway's number is coarse; `sub_code` says what it is about.
"""

from collections.abc import Mapping

from connectors.errors import CodeMeaning
from domain.problems import Text

OK = 10000
ALREADY_SHIPPED = "isv.business-failed:order-already-shipped"
STALE = "isv.business-failed:aftersale-status"

_EXPIRED = CodeMeaning("refresh", Text("访问令牌已失效", "The access token is dead"))
_TOO_OFTEN = CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=1.0)
_BUSY = CodeMeaning("busy", Text("平台系统繁忙", "The platform is busy"), retry_after_s=2.0)

# Which of these the platform writes exactly so is unverified [U]; the longest that begins a sub_code decides.
SUB_CODES: Mapping[str, CodeMeaning] = {
    "isv.access-token": _EXPIRED,
    "isv.refresh-token": CodeMeaning(
        "credentials", Text("授权已过期，请重新授权", "The authorisation expired; authorise again")
    ),
    "isv.sign": CodeMeaning("credentials", Text("签名不正确，请核对 app_secret", "Wrong signature; check app_secret")),
    "isv.app-key": CodeMeaning("credentials", Text("app_key 不正确", "Wrong app_key")),
    "isv.shop": CodeMeaning("credentials", Text("店铺没有授权给该应用", "The shop has not authorised the application")),
    "isv.timestamp": CodeMeaning(
        "clock",
        Text("请求时间与平台相差过大，请校准服务器时钟", "The request's time is too far off; set the server's clock"),
    ),
    "isv.ip": CodeMeaning(
        "address", Text("服务器 IP 不在应用的白名单中", "The server's IP is not on the application's list")
    ),
    "isv.app-permissions": CodeMeaning(
        "permission", Text("应用没有该接口的权限", "The application may not use this interface")
    ),
    "isv.app-call-limited": _TOO_OFTEN,
    "isv.app-flow-limit": _TOO_OFTEN,
    "isv.decrypt-quota": CodeMeaning(
        "rate_limit", Text("解密额度已用完", "The quota for decryption is used up"), retry_after_s=3600.0
    ),
    "isv.parameter": CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    "isv.business-failed:order-not-exist": CodeMeaning("not_found", Text("没有这笔订单", "There is no such order")),
    "isv.business-failed:aftersale-not-exist": CodeMeaning(
        "not_found", Text("没有这笔售后", "There is no such refund")
    ),
    ALREADY_SHIPPED: CodeMeaning("conflict", Text("订单已发货", "The order was shipped already")),
    STALE: CodeMeaning("conflict", Text("售后状态已变化", "The refund's state has changed")),
    "isv.business-failed": CodeMeaning("conflict", Text("业务状态不允许", "The state of things does not allow it")),
    "isp.": _BUSY,
}
# Where the platform gives no sub_code.
CODES: Mapping[int, CodeMeaning] = {20000: _BUSY, 30002: _TOO_OFTEN, 40003: _EXPIRED}


def meaning_of(code: int, sub_code: str) -> CodeMeaning | None:
    """What a refusal means; None for one that nobody listed."""
    known = [prefix for prefix in SUB_CODES if sub_code.startswith(prefix)]
    return SUB_CODES[max(known, key=len)] if known else CODES.get(code)
