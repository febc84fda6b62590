"""What changes after a period is closed, told by `tandem settle explain` with the order lines behind it."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from commands.payees import payee
from commands.settle import settle
from storage.encryption import Keyring
from storage.engine import Database
from tests.commands.terminal import printed
from tests.commands.test_payees import sell, write
from tests.commands.test_settling import id_of
from tests.services.test_selling import NOW, Counter, a_refund, an_order

pytestmark = pytest.mark.usefixtures("environment")
DOCS = Path(__file__).parents[2] / "docs" / "settlement.md"
IN_JUNE = NOW + timedelta(days=31)


async def tell(url: str, *records: Any) -> None:
    database = Database(url, Keyring({"k1": b"1" * 32}))
    await Counter(database).told(*records, at=IN_JUNE)
    await database.close()


def test_a_refund_and_a_late_order_of_closed_months_are_told_in_the_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed(payee, "import", write("P1,李小红,promoter,,2026-01-01,live-7"))
    asyncio.run(sell(database_url))
    asyncio.run(tell(database_url, an_order("E2", created_at=IN_JUNE, paid_at=IN_JUNE)))

    def booked(day: str) -> None:
        asked = id_of(printed(settle, "run", "promoters", day))
        with monkeypatch.context() as other:
            other.setattr("commands.database.account_here", lambda: "wu")
            assert "booked" in printed(settle, "approve", asked)

    for day in ("2026-05-20", "2026-06-20"):
        booked(day)
        printed(settle, "close", "promoters", day)
    late = an_order("E3", created_at=IN_JUNE, paid_at=IN_JUNE)
    asyncio.run(tell(database_url, a_refund(10_000, 1, "2"), late))
    booked("2026-07-20")
    told = printed(settle, "explain", "P1", "2026-07-20").strip()
    assert told.startswith("P1 promoters 2026-07-01 – 2026-08-01：期初 30.00，期末 40.00")
    _, clawback, _, adjustment, _ = told.split("\n\n")
    assert clawback.startswith("2026-07-31  clawback 2026-05-01 – 2026-06-01  receivable → commission  -5.00")
    assert adjustment.startswith("2026-07-31  adjustment 2026-06-01 – 2026-07-01  commission → payable  15.00")
    assert f"```text\n{told}\n```" in DOCS.read_text(encoding="utf-8"), "the lines behind them, as they are documented"
