"""What JD's error codes mean. Source: open.jd.com, error code documents, second-hand [S]."""

from collections.abc import Mapping

from connectors.errors import CodeMeaning
from domain.problems import Text

GATEWAY_CODES: Mapping[int, CodeMeaning] = {
    2: CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=1.0),
    3: CodeMeaning(
        "address",
        Text(
            "请求被禁止：服务器 IP 不在白名单，或不在京东云内",
            "Forbidden: this server's IP is not on the list, or not in JD's cloud",
        ),
    ),
    7: CodeMeaning("invalid", Text("缺少时间戳", "No timestamp")),
    8: CodeMeaning(
        "clock",
        Text(
            "时间戳与平台相差超过 6 分钟，请校准服务器时钟",
            "The timestamp is more than 6 minutes off; set this server's clock",
        ),
    ),
    9: CodeMeaning("credentials", Text("缺少签名", "No signature")),
    10: CodeMeaning(
        "credentials", Text("签名不正确，app_secret 可能有误", "Wrong signature; app_secret may be the wrong one")
    ),
    13: CodeMeaning("invalid", Text("没有这个接口", "There is no such interface")),
    16: CodeMeaning("refresh", Text("缺少访问令牌", "No access token")),
    18: CodeMeaning("credentials", Text("缺少 app_key", "No app_key")),
    19: CodeMeaning("refresh", Text("访问令牌无效或已过期", "The access token is not valid or expired")),
    20: CodeMeaning("credentials", Text("app_key 不正确", "Wrong app_key")),
    22: CodeMeaning("permission", Text("应用没有该接口的权限", "The application may not use this interface")),
    43: CodeMeaning("busy", Text("平台系统异常", "The platform has a fault"), retry_after_s=2.0),
    65: CodeMeaning("busy", Text("平台服务超时", "The service behind the gateway took too long"), retry_after_s=2.0),
}
BUSINESS_CODES: Mapping[int, CodeMeaning] = {
    10100002: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    10300001: CodeMeaning("not_found", Text("没有这笔订单", "There is no such order")),
    10400001: CodeMeaning("conflict", Text("订单状态不允许出库", "The order cannot be shipped now")),
    10500001: CodeMeaning("not_found", Text("没有这笔退款", "There is no such refund")),
    10500002: CodeMeaning("conflict", Text("退款状态已变化", "The refund's state has changed")),
    10600001: CodeMeaning("busy", Text("平台服务异常", "The service has a fault"), retry_after_s=2.0),
}
"""Within the answer; their numbers are in no document at hand [U]."""

TOKEN_CODES: Mapping[int, CodeMeaning] = {
    1001: CodeMeaning("credentials", Text("app_key 或 app_secret 不正确", "Wrong app_key or app_secret")),
    1004: CodeMeaning(
        "credentials",
        Text(
            "店铺授权已失效，请店主重新授权，并更新 refresh_token",
            "The shop's authorisation is over: have it authorise again and renew refresh_token",
        ),
    ),
}
"""Of the token desk [U]."""
