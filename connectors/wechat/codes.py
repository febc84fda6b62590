"""What error codes of api.weixin.qq.com mean. Source: the platform's global return codes [O]/[S]."""

from connectors.errors import CodeMeaning
from domain.problems import Text

_DEAD = CodeMeaning("refresh", Text("访问令牌已失效", "The access token is dead"))
_WRONG_SECRET = CodeMeaning("credentials", Text("app_secret 不正确", "Wrong app_secret"))
_WRONG_APP = CodeMeaning("credentials", Text("app_id 不正确", "Wrong app_id"))
_NOT_LISTED = CodeMeaning("address", Text("服务器 IP 不在白名单中", "The server's IP is not on the white list"))
_TOO_OFTEN = CodeMeaning(
    "rate_limit", Text("接口调用次数超限", "The interface was called too often"), retry_after_s=60.0
)
_BUSY = CodeMeaning("busy", Text("平台系统繁忙", "The platform is busy"), retry_after_s=2.0)

CODES = {
    -1: _BUSY,
    40001: _DEAD,
    40014: _DEAD,
    41001: _DEAD,
    42001: _DEAD,
    40013: _WRONG_APP,
    40164: _NOT_LISTED,
    45009: _TOO_OFTEN,
    45011: CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=5.0),
    45047: CodeMeaning("conflict", Text("客服消息条数已达上限", "No more messages until the customer writes again")),
    45015: CodeMeaning("conflict", Text("用户 48 小时内没有互动，不能发送", "The user was silent for 48 hours")),
    43004: CodeMeaning("conflict", Text("用户没有关注公众号", "The user does not follow the account")),
    43101: CodeMeaning("conflict", Text("用户拒收此消息", "The user refuses this message")),
    40003: CodeMeaning("not_found", Text("没有这个用户", "There is no such user")),
    46004: CodeMeaning("not_found", Text("没有这个用户", "There is no such user")),
    40037: CodeMeaning("invalid", Text("模板 ID 不正确", "Wrong template id")),
    40097: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    47001: CodeMeaning("invalid", Text("参数格式不正确", "The parameters have a wrong format")),
    47003: CodeMeaning("invalid", Text("模板参数不正确", "The template's data do not fit")),
    48001: CodeMeaning("permission", Text("账号没有该接口的权限", "The account may not use this interface")),
}
# At the token desk the same number means another thing.
TOKEN_CODES = {
    -1: _BUSY,
    40001: _WRONG_SECRET,
    40125: _WRONG_SECRET,
    40013: _WRONG_APP,
    41002: _WRONG_APP,
    40164: _NOT_LISTED,
    89503: _NOT_LISTED,
    45009: _TOO_OFTEN,
    45011: CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=30.0),
}
