"""ERPs and warehouses: orders go out, waybills and stock come in, by push and by polling."""

import secrets

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault, ConnectionReport, explain
from connectors.erp.client import STOCK, WAYBILLS, ErpSystem
from connectors.erp.pushes import push_events, read_push, uses_push, verify_push
from connectors.erp.settings import ErpSettings
from connectors.erp.wire import PLATFORM
from connectors.http import Link
from connectors.readable_streams import require_readable
from connectors.standard_webhooks import new_secret
from connectors.webhooks import PushAnswer, Verified, WebhookRequest, json_answer, refusal_text
from domain.calls import AnyCall
from domain.catalog.erp import ERP_CALLS, ERP_QUEUE
from domain.events import Event
from domain.problems import ProblemError, Text

_HINTS = {
    ConnectionFault.CREDENTIALS: Text(
        "核对 client_id 与 secret，并校准两边的时钟", "Check client_id and secret, and set both clocks right"
    ),
    ConnectionFault.PERMISSION: Text(
        "请 ERP 管理员开放发货单、运单与库存权限",
        "Have the ERP's administrator permit shipping orders, waybills and stock",
    ),
}


_READABLE = {WAYBILLS.name: Text("运单", "Waybills"), STOCK.name: Text("库存", "Stock")}


class ErpConnector:
    """See `connectors.registry.Connector`."""

    platform = PLATFORM
    title = Text("ERP 与仓库", "ERP and warehouse")
    queue = ERP_QUEUE
    # No ERP's figure is known [U]; modest, as such systems often share a machine with the warehouse.
    requests_per_second = 20.0
    settings = ErpSettings
    nobody = Account(
        PLATFORM, "", {"client_id": secrets.token_hex(8), "secret": new_secret(), "base_url": "https://nobody.invalid"}
    )
    calls: tuple[AnyCall, ...] = ERP_CALLS
    client = ErpSystem

    def verify(self, request: WebhookRequest, account: Account) -> Verified:
        return verify_push(request, account)

    def read_push(self, kept: Verified, account: Account) -> Verified:
        return read_push(kept)

    def acknowledge(self, verified: Verified, account: Account) -> PushAnswer:
        return PushAnswer(200, b'{"status":"success"}', "application/json")

    def refuse(self, problem: ProblemError) -> PushAnswer:
        status = problem.problem.status
        return json_answer(status, {"status": status, "message": refusal_text(problem)})

    def uses(self, kind: str) -> bool:
        return uses_push(kind)

    def to_events(self, record: Verified, account: Account) -> list[Event]:
        return push_events(record, account)

    def open(self, account: Account, link: Link) -> ErpSystem:
        return ErpSystem(account, link)

    async def test_connection(self, account: Account, link: Link) -> ConnectionReport:
        """Reads a minute of waybills and of stock."""
        try:
            system = self.open(account, link)
            await require_readable(system, link, _READABLE)
        except ProblemError as error:
            return explain(error, _HINTS)
        return ConnectionReport(True, Text("连接正常，可以读取运单与库存", "It works: waybills and stock can be read"))
