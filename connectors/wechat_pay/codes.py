"""What WeChat Pay's error codes mean. Source: the platform's error codes of transfers and bills [O]."""

from collections.abc import Mapping

from connectors.errors import CodeMeaning
from domain.problems import Text

_INVALID = CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong"))
_TOO_OFTEN = CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=1.0)
_NOT_GRANTED = CodeMeaning("permission", Text("商户没有该产品的权限", "The merchant may not use this product"))
_NO_BILL = CodeMeaning("not_found", Text("当日没有账单", "There is no bill of that day"))
_NO_MORE = CodeMeaning(
    "conflict",
    Text("超过转账额度，请在商户平台调整", "The limit for transfers is reached; raise it in the console"),
)

NO_BILL = frozenset({"NO_STATEMENT_EXIST"})
DAYS_QUOTA = frozenset({"QUOTA_EXCEED", "QUOTA_EXCEEDED"})
"""The merchant may transfer no more today; the next day begins anew. That it is no other limit is assumed [U]. Two
copies of the platform's table spell it without the last two letters [S]."""
CODES: Mapping[str, CodeMeaning] = {
    "SIGN_ERROR": CodeMeaning(
        "credentials",
        Text(
            "签名不正确，请核对 serial_no 与 private_key，并校准服务器时钟",
            "Wrong signature; check serial_no and private_key, and the server's clock",
        ),
    ),
    "MCH_NOT_EXISTS": CodeMeaning("credentials", Text("商户号不存在", "There is no such merchant")),
    "APPID_MCHID_NOT_MATCH": CodeMeaning("invalid", Text("app_id 与商户号不匹配", "app_id is not of this merchant")),
    "PARAM_ERROR": _INVALID,
    "INVALID_REQUEST": _INVALID,
    "NO_AUTH": _NOT_GRANTED,
    "NOT_FOUND": CodeMeaning("not_found", Text("单据不存在", "There is no such bill")),
    "ALREADY_EXISTS": CodeMeaning(
        "conflict", Text("商户单号已存在且内容不同", "The number was used with other contents")
    ),
    # The document says: add money, then try again with the same number.
    "NOT_ENOUGH": CodeMeaning(
        "rate_limit",
        Text("账户余额不足，请充值，系统会以原单号重试", "The balance is too low; add money, it is tried again"),
        retry_after_s=600.0,
    ),
    "FREQUENCY_LIMITED": _TOO_OFTEN,
    "RATELIMIT_EXCEEDED": _TOO_OFTEN,
    **dict.fromkeys(DAYS_QUOTA, _NO_MORE),
    "NO_STATEMENT_EXIST": _NO_BILL,
    "STATEMENT_CREATING": CodeMeaning(
        "busy", Text("账单还在生成", "The bill is still being made"), retry_after_s=300.0
    ),
    "RESOURCE_NOT_EXISTS": CodeMeaning("not_found", Text("单据不存在", "There is no such thing")),
    "SYSTEM_ERROR": CodeMeaning("busy", Text("平台系统繁忙", "The platform is busy"), retry_after_s=2.0),
}
SHARING_CODES: Mapping[str, CodeMeaning] = {
    **CODES,
    "RATELIMIT_EXCEED": _TOO_OFTEN,
    # Of a payment, not of the account: waiting puts no more into it.
    "NOT_ENOUGH": CodeMeaning("conflict", Text("这笔支付的剩余待分金额不足", "Too little of this payment is left")),
    "RULE_LIMIT": CodeMeaning(
        "conflict",
        Text(
            "超出分账规则（比例、次数、期限或接收方），请在商户平台核对",
            "A rule of profit sharing (ratio, number, time, receiver) forbids it; see the merchant console",
        ),
    ),
}
"""What the same codes mean of profit sharing."""
