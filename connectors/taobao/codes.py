"""What Taobao's error codes mean. Source: open.taobao.com, error code documents, second-hand [S].

Code 15 is the word of the service behind the gateway: `isp.*` is its fault, `isv.*` the caller's. One without a
`sub_code` blames nobody, and is tried again.
"""

from collections.abc import Mapping

from connectors.errors import CodeMeaning
from domain.problems import Text

CODES: Mapping[int, CodeMeaning] = {
    7: CodeMeaning("rate_limit", Text("应用调用次数超限", "The application called too often"), retry_after_s=1.0),
    10: CodeMeaning("busy", Text("平台服务暂不可用", "The service is not available"), retry_after_s=2.0),
    11: CodeMeaning("permission", Text("应用没有该接口的权限", "The application may not use this interface")),
    12: CodeMeaning("permission", Text("店铺没有该接口的权限", "The shop may not use this interface")),
    13: CodeMeaning("permission", Text("合作伙伴没有该接口的权限", "The partner may not use this interface")),
    15: CodeMeaning("failed", Text("平台服务拒绝了请求", "The service refused")),
    22: CodeMeaning("invalid", Text("没有这个接口", "There is no such interface")),
    25: CodeMeaning(
        "credentials", Text("签名不正确，app_secret 可能有误", "Wrong signature; app_secret may be the wrong one")
    ),
    26: CodeMeaning("refresh", Text("缺少授权", "No session")),
    27: CodeMeaning("refresh", Text("授权已失效", "The session is no longer valid")),
    28: CodeMeaning("credentials", Text("缺少 app_key", "No app_key")),
    29: CodeMeaning("credentials", Text("app_key 不正确", "Wrong app_key")),
    30: CodeMeaning("invalid", Text("缺少时间戳", "No timestamp")),
    31: CodeMeaning(
        "clock",
        Text(
            "时间戳与平台相差超过 10 分钟，请校准服务器时钟",
            "The timestamp is more than 10 minutes off; set this server's clock",
        ),
    ),
    40: CodeMeaning("invalid", Text("缺少参数", "A parameter is missing")),
    41: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
}
ANOTHERS_TRADE = "isv.trade-isnot-yours"
SUB_CODES: Mapping[str, CodeMeaning] = {
    "isv.trade-not-exist": CodeMeaning("not_found", Text("没有这笔订单", "There is no such order")),
    "isv.refund-not-exist": CodeMeaning("not_found", Text("没有这笔退款", "There is no such refund")),
    ANOTHERS_TRADE: CodeMeaning("permission", Text("订单不属于本店铺", "The order belongs to another shop")),
    "isv.refresh-token-invalid": CodeMeaning("refresh", Text("刷新令牌已失效", "The refresh token is no longer valid")),
    "isv.invalid-parameter": CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    "isv.refund-status-error": CodeMeaning("conflict", Text("退款状态已变化", "The refund's state has changed")),
    "isv.refund-version-error": CodeMeaning("conflict", Text("退款单已被更新", "The refund was changed meanwhile")),
    "isv.trade-status-error": CodeMeaning("conflict", Text("订单状态不允许发货", "The order cannot be shipped now")),
    "isv.permission-ip-whitelist-limit": CodeMeaning(
        "address",
        Text("本机 IP 不在应用的白名单", "This server's IP is not on the application's list"),
    ),
    "accesscontrol.limited-by-app-access-count": CodeMeaning(
        "rate_limit",
        Text("应用今天的调用次数已用完", "The application's calls of today are used up"),
        retry_after_s=600.0,
    ),
}
"""By `sub_code`; the `isv.*` names of refunds and shipping are not in any document at hand [U]."""

_SERVICES_WORD = "15"
SERVICE_FAULT = CodeMeaning("busy", Text("平台服务异常", "The service has a fault"), retry_after_s=2.0)


def meaning_of(code: str, sub_code: str) -> CodeMeaning | None:
    """What an error means, the more exact code first; None when nobody listed it."""
    if sub_code in SUB_CODES:
        return SUB_CODES[sub_code]
    if sub_code.startswith("isp.") or (code == _SERVICES_WORD and not sub_code):
        return SERVICE_FAULT
    return CODES.get(int(code)) if code.isdigit() else None
