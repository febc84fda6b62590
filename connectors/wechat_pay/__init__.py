"""WeChat Pay (微信支付): transfers to WeChat users, payments shared with others, and the day's bills."""

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from connectors.wechat_pay.client import TRANSFERS, WechatPayMerchant
from connectors.wechat_pay.keys import PLATFORM, nobodys_account
from connectors.wechat_pay.notices import notice_events, uses_push, verify_notice
from connectors.wechat_pay.settings import WechatPaySettings
from domain.calls import AnyCall
from domain.catalog.wechat_pay import WECHAT_PAY_CALLS, WECHAT_PAY_QUEUE
from domain.catalog.wechat_pay_sharing import WECHAT_PAY_SHARING_CALLS
from domain.events import Event
from domain.problems import NotFoundProblem, ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 mch_id、serial_no、商户私钥与微信支付公钥，并校准服务器时钟",
        "Check mch_id, serial_no, the merchant's private key and WeChat Pay's public key, and the server's clock",
    ),
    ConnectionFault.PERMISSION: Text(
        "在商户平台开通“商家转账”并把本机 IP 加入白名单",
        "Apply for merchant transfers in the console, and add this server's IP to the white list",
    ),
}
# A number that no transfer of ours has: they are 32 characters long or an operator's own.
_NOBODYS = "TANDEMCONNECTIONTEST"


class WechatPayConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("微信支付", "WeChat Pay")
    queue = WECHAT_PAY_QUEUE
    # 100 transfers a second, and a call takes up to two requests.
    requests_per_second = 50.0
    settings = WechatPaySettings
    nobody = nobodys_account()
    calls: tuple[AnyCall, ...] = (*WECHAT_PAY_CALLS, *WECHAT_PAY_SHARING_CALLS)
    client = WechatPayMerchant

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        return verify_notice(request, account)

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, b'{"code":"SUCCESS"}', "application/json")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        # The platform reads the status; code FAIL makes it send again [O].
        return json_answer(problem.problem.status, {"code": "FAIL", "message": refusal_text(problem)})

    def uses(self, kind: str) -> bool:
        return uses_push(kind)

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return notice_events(record, account)

    def open(self, account: Account, link: Link) -> WechatPayMerchant:
        return WechatPayMerchant(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Asks for a transfer that is not there: signature, verification and permission are tried by it."""
        try:
            await self.open(account, link).api.get(f"{TRANSFERS}/out-bill-no/{_NOBODYS}")
        except NotFoundProblem:
            pass
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, Text("连接正常，可以查询转账", "It works: transfers can be looked at"))
