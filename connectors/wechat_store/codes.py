"""What a WeChat Store's error codes mean besides those of every WeChat application [U]."""

from connectors.errors import CodeMeaning
from connectors.wechat.codes import CODES
from domain.problems import Text

STORE_CODES = {
    **CODES,
    10020050: CodeMeaning("permission", Text("小店没有该接口的权限", "The store may not use this interface")),
    10020051: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    10020052: CodeMeaning("not_found", Text("没有这笔订单", "There is no such order")),
    10020053: CodeMeaning("conflict", Text("订单状态不允许", "The order's state does not allow it")),
    10020054: CodeMeaning("not_found", Text("没有这笔售后", "There is no such refund")),
    10020055: CodeMeaning("conflict", Text("售后状态不允许", "The refund's state does not allow it")),
}
