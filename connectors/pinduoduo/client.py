"""What Tandem does in one Pinduoduo shop: the implementation of `domain.catalog.pinduoduo`."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.goods_lists import GOODS
from connectors.http import Link
from connectors.lookups import asked_for
from connectors.pinduoduo import goods
from connectors.pinduoduo.decryption import DecryptionQuota
from connectors.pinduoduo.gateway import PLATFORM, PinduoduoGateway
from connectors.pinduoduo.messages import ORDER_KIND
from connectors.pinduoduo.pulling import ORDERS, REFUNDS, PinduoduoReader
from connectors.pinduoduo.records import REFUNDED, lacks_refunded, read_delivery, read_order, read_refund
from connectors.pinduoduo.refunds import refund_information, refunded_minor
from connectors.pulling import Cursor, PulledPage, stream_named
from connectors.reading import mapping, optional_mapping, optional_text
from connectors.shop_effects import pay_back_once, refuse_once, ship_once
from connectors.webhooks import Verified
from domain.canonical import Delivery
from domain.catalog.pinduoduo import DecryptReceiverOutput
from domain.catalog.shop_calls import (
    OrderArguments,
    OrderOutput,
    RefundOfOrderArguments,
    RefundOutput,
    SettledRefundOutput,
    SettleRefundOfOrderArguments,
    ShipOrderArguments,
    ShipOrderOutput,
    TurnDownRefundOfOrderArguments,
)
from domain.problems import NotFoundProblem, Text


class PinduoduoShop:
    """One shop. Methods raise problems as `connectors.errors` describes them."""

    streams = (ORDERS, REFUNDS, GOODS)

    def __init__(self, account: Account, link: Link) -> None:
        self.gateway = PinduoduoGateway(account, link)
        self._reader = PinduoduoReader(self.gateway)
        self._decryptions = DecryptionQuota(account.slug, link)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of `orders`, `refunds` or `goods`; see `connectors.pulling.Pullable`."""
        if stream_named(self.streams, stream) is GOODS:
            return await goods.pull(self.gateway, cursor, until)
        return await self._reader.pull(stream, cursor, until)

    async def get_order(self, request: OrderArguments) -> OrderOutput:
        """The order as it is now."""
        return read_order(await self._whole(request.order_id))

    async def whole_order(self, order_id: str) -> Verified:
        """See `connectors.lookups.TellsWholeOrders`."""
        return asked_for(ORDER_KIND, order_id, await self._whole(order_id), self.gateway.now())

    async def get_refund(self, request: RefundOfOrderArguments) -> RefundOutput:
        """The after-sale application as it is now."""
        return read_refund(await refund_information(self.gateway, request.refund_id, request.order_id))

    async def decrypt_receiver(self, request: OrderArguments) -> DecryptReceiverOutput:
        """Who the order goes to, in clear; costs one of the day's decryptions.

        Raises NotFoundProblem once the platform has blanked the receiver, RateLimitProblem until a permit is there.
        """
        await self._decryptions.wait_for(request.order_id)
        # Alone: a state that nobody here knows keeps no parcel from its label.
        delivery = read_delivery(await self._order(request.order_id)) or Delivery()
        ciphers = {
            name: cipher
            for name, cipher in (
                ("name", delivery.name_ciphertext),
                ("phone", delivery.phone_ciphertext),
                ("address", delivery.address_ciphertext),
            )
            if cipher
        }
        if not ciphers:
            await self._decryptions.leave(request.order_id)
            raise _blanked(request.order_id)
        await self._decryptions.take(request.order_id)
        asked = [{"data_tag": request.order_id, "encrypted_data": cipher} for cipher in ciphers.values()]
        params = {"data_list": json.dumps(asked, separators=(",", ":"))}
        found = await self.gateway.call("pdd.open.decrypt.batch", params, "open_decrypt_batch_response")
        plain = _decrypted(found)
        return DecryptReceiverOutput(
            order_id=request.order_id,
            **{name: plain[cipher] for name, cipher in ciphers.items() if cipher in plain},
        )

    async def ship_order(self, request: ShipOrderArguments, *, key: str, resumed: bool) -> ShipOrderOutput:
        """Tell that an order was given to a carrier, once."""

        async def send() -> None:
            params = {
                "order_sn": request.order_id,
                "logistics_id": request.company,
                "tracking_number": request.waybill,
            }
            await self.gateway.call("pdd.logistics.online.send", params, "logistics_online_send_response", effect=True)

        return await ship_once(PLATFORM, request, lambda: self.get_order(request), send)

    async def agree_refund(
        self, request: SettleRefundOfOrderArguments, *, key: str, resumed: bool
    ) -> SettledRefundOutput:
        """Pay a refund back, once.

        Whether the platform pays or lets the goods come back follows from what kind of application it is [U], so one of
        another kind than money only is paid when its goods are back.
        """

        async def agree(refund: RefundOutput) -> None:
            params = {"order_sn": refund.order_id, "after_sales_id": refund.refund_id}
            await self.gateway.call("pdd.refund.agree", params, "refund_agree_response", effect=True)

        return await pay_back_once(
            PLATFORM, lambda: self.get_refund(request), agree, request.amount_minor, also_agrees_to_returns=True
        )

    async def refuse_refund(
        self, request: TurnDownRefundOfOrderArguments, *, key: str, resumed: bool
    ) -> SettledRefundOutput:
        """Refuse a refund, once; the buyer reads the reason."""

        async def refuse(refund: RefundOutput) -> None:
            params = {"order_sn": refund.order_id, "after_sales_id": refund.refund_id, "reject_desc": request.reason}
            await self.gateway.call("pdd.refund.reject", params, "refund_reject_response", effect=True)

        return await refuse_once(PLATFORM, lambda: self.get_refund(request), refuse)

    async def _whole(self, order_id: str) -> Mapping[str, Any]:
        """With how much went back of it, where something did."""
        order = await self._order(order_id)
        if lacks_refunded(order) is None:
            return order
        return {**order, REFUNDED: await refunded_minor(self.gateway, order_id)}

    async def _order(self, order_id: str) -> Mapping[str, Any]:
        found = await self.gateway.call("pdd.order.information.get", {"order_sn": order_id}, "order_info_get_response")
        return mapping(found.get("order_info"), "order_info")


def _decrypted(found: Mapping[str, Any]) -> dict[str, str]:
    """Plain texts by their ciphertexts; one that failed is left out."""
    rows = found.get("data_decrypt_list")
    plain = {}
    for row in rows if isinstance(rows, list) else ():
        each = optional_mapping(row)
        cipher, value = optional_text(each, "encrypted_data"), optional_text(each, "decrypted_data")
        if cipher and value:
            plain[cipher] = value
    return plain


def _blanked(order_id: str) -> NotFoundProblem:
    return NotFoundProblem(
        Text(
            f"订单 {order_id} 的收件人信息已被平台清空（发货后不再提供）",
            f"The platform has blanked the receiver of order {order_id}, as it does after shipping",
        ),
        platform=PLATFORM,
        retryable=False,
        outcome="not_done",
    )
