"""What Tandem does in one Bazaar shop: one method for each call, and the reading of what its pushes missed."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.accounts import Account
from connectors.errors import http_refusal, leaving_unknown, raise_meaning, unreadable_answer
from connectors.http import Link, PlatformHttp, retry_after
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import mapping, minor, optional_text, state_of, text, whole_number
from connectors.webhooks import Verified
from domain.ids import canonical_json, content_digest
from domain.problems import ConflictProblem
from tandem_bazaar.calls import OrderArguments, OrderOutput, ShipOrderArguments
from tandem_bazaar.wire import CODES, PLATFORM, STATUSES, BazaarSettings, sign


class BazaarShop:
    """One shop. Methods raise problems as `connectors.errors` describes them."""

    streams = (Stream("orders", reaches_back=timedelta(days=90)),)

    def __init__(self, account: Account, link: Link) -> None:
        self._settings = account.parse_settings(BazaarSettings)
        self._link = link
        self._http = PlatformHttp(PLATFORM, self._settings.base_url, link)

    async def get_order(self, request: OrderArguments) -> OrderOutput:
        """The order as it is now."""
        return _order(await self._ask("GET", f"/orders/{request.order_id}"))

    async def ship_order(self, request: ShipOrderArguments, *, key: str, resumed: bool) -> OrderOutput:
        """Ship the order, once.

        Bazaar knows no idempotency key. A resumed attempt, or one that finds the order shipped already, is settled by
        what the order says now.
        """
        if resumed:
            present = await self.get_order(OrderArguments(order_id=request.order_id))
            if present.waybill == request.waybill:
                return present
        try:
            answer = await self._ask(
                "POST", f"/orders/{request.order_id}/ship", {"waybill": request.waybill}, effect=True
            )
        except ConflictProblem:
            present = await self.get_order(OrderArguments(order_id=request.order_id))
            if present.waybill != request.waybill:
                raise
            return present
        # It is shipped, whatever cannot be read of it.
        with leaving_unknown():
            return _order(answer)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of changed orders; Bazaar keeps the order of changes and gives out the place in it."""
        answer = await self._ask("GET", f"/orders?after={whole_number(cursor, 'after', 0)}")
        rows = answer.get("orders")
        received_at = self._link.now()
        records = [_pulled(row, received_at) for row in (rows if isinstance(rows, list) else [])]
        return PulledPage(records, {"after": whole_number(answer, "last", 0)}, more=answer.get("more") is True)

    async def _ask(
        self, method: str, target: str, payload: Mapping[str, Any] | None = None, *, effect: bool = False
    ) -> Mapping[str, Any]:
        """The object of an answer that says yes. The same bytes are signed and sent."""
        body = b"" if payload is None else json.dumps(payload).encode()
        time = str(int(self._link.now().timestamp()))
        signature = sign(self._settings.secret, f"{method} {target}\n{time}\n{body.decode()}")
        headers = {"bazaar-key": self._settings.key_id, "bazaar-time": time, "bazaar-sign": signature}
        status, answered, content = await self._http.send(
            method, target, {}, body or None, effect=effect, headers=headers
        )
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        code = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(code, str):
            raise_meaning(PLATFORM, code, "", CODES.get(code), effect=effect)
        if status != 200:
            raise http_refusal(PLATFORM, status, effect=effect, retry_after_s=retry_after(answered, self._link))
        if not isinstance(answer, dict):
            raise unreadable_answer(PLATFORM, effect=effect)
        return answer


def _order(answer: Mapping[str, Any]) -> OrderOutput:
    order = mapping(answer.get("order"), "order")
    return OrderOutput(
        order_id=text(order, "number"),
        status=state_of(STATUSES, order, "state", "unknown"),
        paid_minor=minor(order, "fen"),
        waybill=optional_text(order, "waybill", limit=64),
    )


def _pulled(row: Any, received_at: datetime) -> Verified:
    """A row as its push is; one that cannot be read goes to quarantine later, and holds up no other."""
    payload = canonical_json({"kind": "order", "order": row})
    return Verified("order", payload, f"pull:{content_digest(payload)}", received_at)
