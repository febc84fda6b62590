"""Bazaar: orders are read, shipped, pushed and pulled."""

import secrets

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.http import Link
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from domain.calls import AnyCall
from domain.events import Event
from domain.problems import ProblemError, Text
from tandem_bazaar.calls import BAZAAR_CALLS, QUEUE
from tandem_bazaar.client import BazaarShop
from tandem_bazaar.pushes import push_events, verify_push
from tandem_bazaar.wire import PLATFORM, BazaarSettings

_HINTS = {
    ConnectionFault.CREDENTIALS: Text("核对 key_id 与 secret，并校准时钟", "Check key_id and secret, and the clock"),
    ConnectionFault.PERMISSION: Text("在 Bazaar 后台开放订单权限", "Permit orders in Bazaar's console"),
}


class BazaarConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("集市", "Bazaar")
    queue = QUEUE
    requests_per_second = 10.0
    settings = BazaarSettings
    nobody = Account(
        PLATFORM,
        "",
        {"key_id": secrets.token_hex(8), "secret": secrets.token_hex(16), "base_url": "https://nobody.invalid"},
    )
    calls: tuple[AnyCall, ...] = BAZAAR_CALLS
    client = BazaarShop

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        return verify_push(request, account)

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, b'{"result":"success"}', "application/json")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        return json_answer(problem.problem.status, {"result": "failed", "message": refusal_text(problem)})

    def uses(self, kind: str) -> bool:
        return kind == "order"

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return push_events(record, account)

    def open(self, account: Account, link: Link) -> BazaarShop:
        return BazaarShop(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Reads one page of orders."""
        try:
            await self.open(account, link).pull("orders", {}, link.now())
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, Text("连接正常，可以读取订单", "It works: orders can be read"))
