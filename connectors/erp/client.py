"""What Tandem does in an ERP: the implementation of `domain.catalog.erp`, and the reading of what its pushes missed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from connectors.accounts import Account
from connectors.erp.records import read_shipping_order
from connectors.erp.settings import ErpSettings
from connectors.erp.wire import CODES, PLATFORM, UNVERIFIED
from connectors.errors import (
    http_refusal,
    leaving_unknown,
    missing_in_answer,
    raise_meaning,
    unreadable_answer,
)
from connectors.http import Link, PlatformHttp, retry_after
from connectors.listed_rows import row_payload
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.standard_webhooks import sign_message
from connectors.webhooks import Verified
from domain.catalog.erp import (
    CancelShippingOrderArguments,
    CancelShippingOrderOutput,
    CreateShippingOrderArguments,
    CreateShippingOrderOutput,
    ShippingOrderArguments,
    ShippingOrderOutput,
)
from domain.events import rfc3339
from domain.ids import content_digest, derived_id

WAYBILLS = Stream("waybills", reaches_back=timedelta(days=90))
STOCK = Stream("stock", reaches_back=timedelta(days=30))
_ADDRESSES = {WAYBILLS.name: ("waybill", UNVERIFIED.waybills), STOCK.name: ("stock", UNVERIFIED.stock)}


class ErpSystem:
    """One ERP. Methods raise problems as `connectors.errors` describes them."""

    streams = (WAYBILLS, STOCK)

    def __init__(self, account: Account, link: Link) -> None:
        self._settings = account.parse_settings(ErpSettings)
        self._account = account
        self._link = link
        self._http = PlatformHttp(PLATFORM, self._settings.base_url, link)

    async def create_shipping_order(
        self, request: CreateShippingOrderArguments, *, key: str, resumed: bool
    ) -> CreateShippingOrderOutput:
        """Send an order out, once.

        Its number is made of the key, and the ERP puts an order under its number: asked again, it answers with the
        order that is there. So `resumed` needs no path of its own.
        """
        number = derived_id("erp", self._account.slug, key)
        payload = {**request.model_dump(mode="json", exclude={"account"}, exclude_none=True), "number": number}
        status, answer = await self._ask("PUT", _order(number), payload=payload, effect=True)
        with leaving_unknown():
            found = read_shipping_order(answer)
        return CreateShippingOrderOutput(**found.model_dump(), already=status == _FOUND)

    async def cancel_shipping_order(
        self, request: CancelShippingOrderArguments, *, key: str, resumed: bool
    ) -> CancelShippingOrderOutput:
        """Keep an order from going out, once. Raises ConflictProblem when the goods have left.

        Cancelling what is cancelled changes nothing, so `resumed` needs no path of its own.
        """
        address = UNVERIFIED.cancel.format(number=quote(request.number, safe=""))
        status, answer = await self._ask("POST", address, payload={"reason": request.reason or ""}, effect=True)
        with leaving_unknown():
            found = read_shipping_order(answer)
        return CancelShippingOrderOutput(**found.model_dump(), already=status == _FOUND)

    async def get_shipping_order(self, request: ShippingOrderArguments) -> ShippingOrderOutput:
        """The shipping order as it is now, with its waybill once there is one."""
        if request.number is not None:
            _, answer = await self._ask("GET", _order(request.number))
        else:
            _, answer = await self._ask("GET", UNVERIFIED.orders, query={"order_id": request.order_id or ""})
        return read_shipping_order(answer)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of waybills or stock: the ERP keeps the order of changes and gives out the place in it."""
        reaches_back = stream_named(self.streams, stream).reaches_back
        kind, address = _ADDRESSES[stream]
        query = {"limit": str(UNVERIFIED.page_size), "until": rfc3339(until)}
        if cursor.get("after"):
            query["after"] = str(cursor["after"])
        else:
            query["since"] = str(cursor.get("since") or rfc3339(until - reaches_back))
        _, answer = await self._ask("GET", address, query=query)
        items = answer.get("items")
        if not isinstance(items, list):
            raise missing_in_answer(PLATFORM, "items")
        received_at = self._link.now()
        records = [_pulled(kind, item, received_at) for item in items]
        after = answer.get("after")
        moved = isinstance(after, str) and after not in ("", cursor.get("after"))
        following = {"after": after} if moved else dict(cursor)
        return PulledPage(records, following, more=moved and answer.get("more") is True)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        payload: Mapping[str, Any] | None = None,
        effect: bool = False,
    ) -> tuple[int, Mapping[str, Any]]:
        """The status and object of an answer that says yes."""
        body = None if payload is None else json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        target = path + (f"?{urlencode(query)}" if query else "")
        base = urlsplit(self._settings.base_url).path.rstrip("/")
        now = self._link.now().astimezone(UTC)
        covered = f"{method} {base}{target}\n".encode() + (body or b"")
        message_id = derived_id(method, target, now.isoformat(), content_digest(covered))
        headers = sign_message(self._settings.secret, message_id, now, covered)
        status, answered, content = await self._http.send(
            method, target, {}, body, effect=effect, headers={**headers, "erp-client": self._settings.client_id}
        )
        answer = _object(content)
        code = None if answer is None else answer.get("code")
        if status in (_FOUND, _MADE) and code is None:
            if answer is None:
                raise unreadable_answer(PLATFORM, effect=effect)
            return status, answer
        if isinstance(code, str) and status != 429:
            said = str((answer or {}).get("message", ""))
            raise_meaning(PLATFORM, code, said, CODES.get(code), effect=effect)
        raise http_refusal(PLATFORM, status, effect=effect, retry_after_s=retry_after(answered, self._link))


_FOUND, _MADE = 200, 201


def _order(number: str) -> str:
    return UNVERIFIED.order.format(number=quote(number, safe=""))


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _pulled(kind: str, item: Any, received_at: datetime) -> Verified:
    """An item as its push is, whatever it holds: one that cannot be read is no reason to leave out its neighbours."""
    payload = row_payload({"type": kind, "data": item}, sort_keys=True)
    return Verified(kind, payload, f"pull:{content_digest(payload)}", received_at)
