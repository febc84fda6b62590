"""What Pinduoduo's error codes mean. Source: open.pinduoduo.com, error code documents, second-hand [S].

Code 50001 is the word of the service behind the gateway; `sub_code` says what it is about.
"""

from collections.abc import Mapping

from connectors.errors import CodeMeaning
from domain.problems import Text

_FAULT = Text("平台系统异常", "The platform has a fault")
_TOO_OFTEN = Text("调用过于频繁", "Called too often")

CODES: Mapping[int, CodeMeaning] = {
    10000: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    10001: CodeMeaning("invalid", Text("缺少参数", "A parameter is missing")),
    10017: CodeMeaning("invalid", Text("没有这个接口", "There is no such interface")),
    10018: CodeMeaning("credentials", Text("client_id 不正确", "Wrong client_id")),
    10019: CodeMeaning("refresh", Text("访问令牌已过期", "The access token expired")),
    10020: CodeMeaning(
        "clock",
        Text(
            "时间戳与平台相差超过 10 分钟，请校准服务器时钟",
            "The timestamp is more than 10 minutes off; set this server's clock",
        ),
    ),
    20004: CodeMeaning(
        "credentials", Text("签名不正确，client_secret 可能有误", "Wrong signature; client_secret may be the wrong one")
    ),
    20005: CodeMeaning(
        "address", Text("本机 IP 不在应用的白名单", "This server's IP is not on the application's list")
    ),
    20031: CodeMeaning("permission", Text("店铺没有授权该接口", "The shop has not authorised this interface")),
    20032: CodeMeaning("refresh", Text("访问令牌无效", "The access token is not valid")),
    30000: CodeMeaning("permission", Text("应用没有该接口的权限", "The application may not use this interface")),
    50000: CodeMeaning("busy", _FAULT, retry_after_s=2.0),
    50001: CodeMeaning("failed", Text("平台服务拒绝了请求", "The service refused")),
    52001: CodeMeaning("busy", _FAULT, retry_after_s=2.0),
    52002: CodeMeaning("busy", _FAULT, retry_after_s=2.0),
    52101: CodeMeaning("rate_limit", _TOO_OFTEN, retry_after_s=1.0),
    52102: CodeMeaning("busy", Text("接口暂时不可用", "The interface is not available"), retry_after_s=5.0),
    52103: CodeMeaning("busy", Text("服务暂时不可用", "The service is not available"), retry_after_s=5.0),
    70031: CodeMeaning("rate_limit", _TOO_OFTEN, retry_after_s=2.0),
    70033: CodeMeaning("rate_limit", _TOO_OFTEN, retry_after_s=10.0),
    70036: CodeMeaning(
        "rate_limit", Text("今天的调用次数已用完", "The calls of today are used up"), retry_after_s=3600.0
    ),
}
SUB_CODES: Mapping[str, CodeMeaning] = {
    "order-not-exist": CodeMeaning("not_found", Text("没有这笔订单", "There is no such order")),
    "order-status-error": CodeMeaning("conflict", Text("订单状态不允许发货", "The order cannot be shipped now")),
    "refund-not-exist": CodeMeaning("not_found", Text("没有这笔售后单", "There is no such refund")),
    "refund-status-error": CodeMeaning("conflict", Text("售后状态已变化", "The refund's state has changed")),
    "refresh-token-invalid": CodeMeaning("refresh", Text("刷新令牌已失效", "The refresh token is no longer valid")),
    "code-invalid": CodeMeaning("refresh", Text("授权码已失效", "The authorisation code is no longer valid")),
}
"""By `sub_code`; the names are in no document at hand [U]."""


def meaning_of(code: str, sub_code: str) -> CodeMeaning | None:
    """What an error means, the more exact code first; None when nobody listed it."""
    if sub_code in SUB_CODES:
        return SUB_CODES[sub_code]
    return CODES.get(int(code)) if code.isdigit() else None
