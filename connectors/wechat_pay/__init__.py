"""WeChat Pay (微信支付): transfers to WeChat users, payments shared with others, and the day's bills."""

from contextlib import suppress

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.readable_streams import reading
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from connectors.wechat_pay.client import TRANSFERS, WechatPayMerchant
from connectors.wechat_pay.codes import SHARING_CODES
from connectors.wechat_pay.keys import PLATFORM, nobodys_account
from connectors.wechat_pay.notices import notice_events, uses_push, verify_notice
from connectors.wechat_pay.settings import WechatPaySettings
from connectors.wechat_pay.sharing import SHARINGS
from domain.calls import AnyCall
from domain.catalog.wechat_pay import WECHAT_PAY_CALLS, WECHAT_PAY_QUEUE
from domain.catalog.wechat_pay_sharing import WECHAT_PAY_SHARING_CALLS
from domain.events import Event
from domain.problems import NotFoundProblem, ProblemError, Text, ValidationProblem

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 mch_id、serial_no、商户私钥 private_key 与微信支付公钥 public_key、public_key_id，并校准服务器时钟",
        "Check mch_id, serial_no, the merchant's private_key, WeChat Pay's public_key and public_key_id, and the "
        "server's clock",
    ),
    ConnectionFault.PERMISSION: Text(
        "在商户平台开通“商家转账”（设置了 profit_sharing 的还有“分账”），并把本机 IP 加入白名单",
        "Apply for merchant transfers in the console, and for profit sharing where profit_sharing is set; add this "
        "server's IP to the white list",
    ),
}
_UNTRIED = Text(
    "apiv3_key 要等转账结束的通知到来才用得上，现在试不了：填错了通知都会被拒收，请再核对一遍",
    "apiv3_key cannot be tried before a notice of a transfer that ended comes in: check it once more, for by a wrong "
    "one all notices are refused",
)
# A number that no transfer of ours has: they are 32 characters long or an operator's own.
_NOBODYS = "TANDEMCONNECTIONTEST"
_NOBODYS_PAYMENT = "4200000000000000000000000000"


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
        """Asks for a transfer that is not there, and where payments are shared for a request: what that is refused with
        is signed, so that both sides' keys are tried by it, and permission."""
        try:
            api = self.open(account, link).api
            with suppress(NotFoundProblem), reading(Text("转账单", "Transfers")):
                await api.get(f"{TRANSFERS}/out-bill-no/{_NOBODYS}")
            if api.settings.profit_sharing:
                # How it words that a payment is not there is unverified.
                with suppress(NotFoundProblem, ValidationProblem), reading(Text("分账单", "Profit sharing")):
                    target = f"{SHARINGS}/{_NOBODYS}?transaction_id={_NOBODYS_PAYMENT}"
                    await api.get(target, SHARING_CODES)
        except ProblemError as error:
            return explain(error, _HINTS)
        hint = _UNTRIED if api.settings.notify_url else None
        return ConnectionReport(True, Text("连接正常，可以查询转账", "It works: transfers can be looked at"), hint)
