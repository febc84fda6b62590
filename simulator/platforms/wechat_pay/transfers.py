"""Transfers to WeChat users: waiting for the payee, done, failed."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import AwareDatetime

from simulator.entities import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Row):
    """One transfer; `id` is merchant/out_bill_no. state: WAIT_USER_CONFIRM, then SUCCESS, FAIL or CANCELLED."""

    account: str
    out_bill_no: str
    transfer_bill_no: str
    openid: str
    amount_minor: int
    remark: str
    payee_name: str
    state: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    fail_reason: str = ""
