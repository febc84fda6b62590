"""What Youzan's error codes mean. Source: the platform's gateway and after-sale documents, second-hand [S]."""

from connectors.errors import CodeMeaning
from domain.problems import Text

# `gw_err_resp`: the gateway refused before the interface was reached.
GATEWAY_CODES = {
    4201: CodeMeaning("refresh", Text("缺少访问令牌", "No access token")),
    4202: CodeMeaning("refresh", Text("访问令牌已过期", "The access token expired")),
    4203: CodeMeaning("refresh", Text("访问令牌无效", "The access token is not valid")),
    4101: CodeMeaning("rate_limit", Text("调用过于频繁", "Called too often"), retry_after_s=1.0),
    5001: CodeMeaning("busy", Text("平台系统异常", "The platform has a fault"), retry_after_s=2.0),
    4301: CodeMeaning("permission", Text("应用没有该接口的权限", "The application may not use this interface")),
}
# HTTP 200 with `success: false`: the interface itself refused.
BUSINESS_CODES = {
    5001: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    10002: CodeMeaning("invalid", Text("参数不正确", "A parameter is wrong")),
    102010002: CodeMeaning("conflict", Text("退款状态已变化", "The refund's state has changed")),
    103010039: CodeMeaning("conflict", Text("退款单已被更新", "The refund was changed meanwhile")),
    103010052: CodeMeaning("invalid", Text("退款单号不合法", "No valid refund number")),
    103011024: CodeMeaning("not_found", Text("没有这笔退款", "There is no such refund")),
    103010054: CodeMeaning("permission", Text("退款单不属于本店铺", "The refund belongs to another shop")),
    105000016: CodeMeaning("not_found", Text("没有这笔订单", "There is no such order")),
    106000004: CodeMeaning("invalid", Text("订单号不合法", "No valid order number")),
}
# 5000 is the platform's word for many things; from youzan.trade.get it says that the order is not there.
TRADE_CODES = {**BUSINESS_CODES, 5000: CodeMeaning("not_found", Text("没有这笔订单", "There is no such order"))}
# What the item interfaces say of an article that is not there is in no document at hand [U].
ITEM_CODES = {**BUSINESS_CODES, 5000: CodeMeaning("not_found", Text("没有这个商品", "There is no such article"))}
TOKEN_CODES = {
    1000: CodeMeaning("credentials", Text("client_id 或 client_secret 不正确", "Wrong client_id or client_secret")),
    1103: CodeMeaning("credentials", Text("店铺没有授权给该应用", "The shop has not authorised the application")),
    1004: CodeMeaning("credentials", Text("授权已过期，请重新授权", "The authorisation expired; authorise again")),
    1105: CodeMeaning("credentials", Text("应用类型不支持这种授权", "The application's type does not allow this")),
}
