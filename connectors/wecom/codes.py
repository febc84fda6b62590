"""What WeCom's error codes mean. Source: the platform's global error code document and public SDKs [O]/[S]."""

from connectors.errors import CodeMeaning
from domain.problems import Text

NOT_A_CONTACT = 84061
NO_SUCH_CUSTOMER = 40096
NOBODY_REACHABLE = 41048
NO_SUCH_MEMBER = 40003
MEMBER_OUT_OF_SCOPE = 60011

CODES = {
    -1: CodeMeaning("busy", Text("平台系统繁忙", "The platform is busy"), retry_after_s=2.0),
    40001: CodeMeaning("credentials", Text("secret 不正确", "Wrong secret")),
    40013: CodeMeaning("credentials", Text("企业 ID 不正确", "Wrong corp id")),
    40014: CodeMeaning("refresh", Text("访问令牌无效", "The access token is not valid")),
    41001: CodeMeaning("refresh", Text("缺少访问令牌", "No access token")),
    42001: CodeMeaning("refresh", Text("访问令牌已过期", "The access token expired")),
    45009: CodeMeaning(
        "rate_limit", Text("接口调用次数超限", "The interface was called too often"), retry_after_s=60.0
    ),
    45033: CodeMeaning("rate_limit", Text("接口并发超限", "Too many calls at once"), retry_after_s=1.0),
    NOT_A_CONTACT: CodeMeaning(
        "not_found", Text("不是企业的客户，或已解除好友关系", "Not a contact, or no longer one")
    ),
    NO_SUCH_CUSTOMER: CodeMeaning("not_found", Text("没有这个客户", "There is no such customer")),
    NOBODY_REACHABLE: CodeMeaning("not_found", Text("没有可以送达的客户", "No customer can be reached")),
    NO_SUCH_MEMBER: CodeMeaning("invalid", Text("成员 userid 不存在", "There is no such member")),
    40056: CodeMeaning("invalid", Text("应用的 agent_id 不正确", "Wrong agent_id")),
    40058: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    40068: CodeMeaning("conflict", Text("标签已被删除", "The tag was deleted")),
    40071: CodeMeaning("conflict", Text("同组已有同名标签", "The group has a tag of that name")),
    47001: CodeMeaning("invalid", Text("参数格式不正确", "The parameters have a wrong format")),
    48002: CodeMeaning("permission", Text("应用没有该接口的权限", "The application may not use this interface")),
    MEMBER_OUT_OF_SCOPE: CodeMeaning(
        "permission", Text("应用无权操作该成员", "The member is outside the application's scope")
    ),
    60020: CodeMeaning("address", Text("服务器 IP 不在应用的可信 IP 中", "The server's IP is not a trusted one")),
    301002: CodeMeaning("permission", Text("应用无权访问", "The application has no access")),
}
