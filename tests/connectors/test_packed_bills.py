"""Bills that WeChat Pay packs: asked for so, unpacked within a bound, fetched again when damaged."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from connectors.reading import CHINA
from connectors.wechat_pay import api
from connectors.wechat_pay.packed import unpacked
from domain.problems import CommunicationProblem
from simulator.platforms.wechat_pay import bills
from tests.connectors.harness import Outside, perform

BILL = "交易时间,商户订单号\r\n".encode() * 1_000


@pytest.mark.parametrize("kind", ["trade", "funds"])
async def test_bills_are_downloaded_packed(world: Outside, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    packed: list[bytes] = []

    def noted(content: bytes) -> bytes:
        packed.append(content)
        return unpacked(content)

    monkeypatch.setattr(api, "unpacked", noted)
    sold = [each.paid_at for each in world.sim.app.state.world.orders.having(shop=bills.SHOP) if each.paid_at]
    today = datetime.now(UTC).astimezone(CHINA).date()
    day = max(each.astimezone(CHINA).date() for each in sold if each.astimezone(CHINA).date() < today)
    bill = await perform(await world.open("wechat_pay"), "wechat_pay.read_bill", day=day.isoformat(), kind=kind)
    assert bill.rows > 0
    assert [each[:2] for each in packed] == [b"\x1f\x8b"]
    empty = await perform(
        await world.open("wechat_pay"), "wechat_pay.read_bill", day=f"{today - timedelta(days=3_000)}", kind=kind
    )
    assert (empty.rows, len(packed)) == (0, 1)


def test_what_is_packed_is_unpacked_and_what_is_not_stays() -> None:
    assert unpacked(gzip.compress(BILL)) == BILL
    assert unpacked(gzip.compress(BILL[:100]) + gzip.compress(BILL[100:])) == BILL
    assert unpacked(BILL) == BILL


def test_what_holds_too_much_is_not_unpacked_to_its_end() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    assert len(unpacked(gzip.compress(bytes(1_000_000)), 1_000_000)) == 1_000_000
    with pytest.raises(CommunicationProblem, match="more than") as refused:
        unpacked(bomb, 1_000_000)
    assert refused.value.problem.as_dict()["retryable"] is False


@pytest.mark.parametrize("damaged", [gzip.compress(BILL)[:-20], gzip.compress(BILL) + b"x", b"\x1f\x8bnothing"])
def test_what_is_damaged_is_fetched_again(damaged: bytes) -> None:
    with pytest.raises(CommunicationProblem, match="damaged") as refused:
        unpacked(damaged)
    assert refused.value.problem.as_dict()["retryable"] is True
