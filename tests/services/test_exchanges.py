"""Who has something exchanged is written to as before, also where their order is not known."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from connectors.accounts import Account
from connectors.loading import load_connectors
from connectors.webhooks import Verified
from connectors.wechat_store.events import REFUND
from domain.calls import Catalog
from services.identities import IdentityService
from services.intake import Arrival, Intake
from storage.engine import Database
from storage.suppressions import SuppressionRow
from storage.unit_of_work import UnitOfWork

STORE = load_connectors(Catalog())["wechat_store"]
ACCOUNT = Account("wechat_store", "store", {})


async def silences(database: Database, **row: Any) -> int:
    """How many there are once this after-sale order was listed."""
    now = datetime.now(UTC).replace(microsecond=0)
    told = {"after_sale_order_id": "70", "order_id": "69", "openid": "o1", "update_time": int(now.timestamp()), **row}
    (event,) = STORE.to_events(Verified(REFUND, json.dumps(told).encode(), "key", now), ACCOUNT)
    async with UnitOfWork(database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(event, now)])
        return await work.session.scalar(select(func.count()).select_from(SuppressionRow)) or 0


@pytest.mark.parametrize("status", ["MERCHANT_PROCESSING", "USER_WAIT_RETURN", "MERCHANT_EXCHANGE_SUCCESS"])
async def test_an_exchange_silences_nobody(database: Database, status: str) -> None:
    assert await silences(database, type="EXCHANGE", status=status) == 0


@pytest.mark.parametrize("status", ["MERCHANT_PROCESSING", "MERCHANT_OVERDUE_REFUND"])
async def test_a_refund_under_way_does(database: Database, status: str) -> None:
    assert await silences(database, type="RETURN", status=status) == 1
