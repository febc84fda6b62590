"""What payees of transfers do in WeChat, below /_sim."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from simulator.admin.bodies import Body
from simulator.platforms.base import Json, PlatformBase
from simulator.platforms.wechat_pay import WechatPay
from simulator.platforms.wechat_pay.transfers import FundAccount
from simulator.pushing import Pusher


class TransferRequest(Body):
    """What a mini-program hands to `wx.requestMerchantTransfer`, by the names it has there. openId: who is in WeChat
    at that moment, when it is not whom the transfer is for."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    mch_id: str = Field(alias="mchId")
    app_id: str = Field(alias="appId")
    package: str
    open_id: str | None = Field(default=None, alias="openId")


class PayingAccountRequest(Body):
    """Which of a merchant's accounts new transfers are paid from. account: the merchant, as the simulator names it."""

    model_config = ConfigDict(extra="forbid")

    account: str
    pays_from: FundAccount


def add_payee_routes(router: APIRouter, pusher: Pusher, platforms: Mapping[str, PlatformBase]) -> None:
    """/transfers/confirm and /transfers/paid-from."""

    def wechat_pay() -> WechatPay:
        platform = platforms["wechat_pay"]
        if not isinstance(platform, WechatPay):
            raise LookupError("no WeChat Pay here")
        return platform

    @router.post("/transfers/confirm")
    async def confirm(wanted: TransferRequest) -> Json:
        """The payee takes the money of a transfer whose page their mini-program opened."""
        push = wechat_pay().confirm(wanted.mch_id, wanted.app_id, wanted.package, wanted.open_id)
        pusher.submit(push)
        return {"confirmed": True}

    @router.post("/transfers/paid-from")
    async def paid_from(wanted: PayingAccountRequest) -> Json:
        """The merchant opens an operation account, or pays from the basic one again."""
        wechat_pay().pay_from(wanted.account, wanted.pays_from)
        return {"pays_from": wanted.pays_from}
