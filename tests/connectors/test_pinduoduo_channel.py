"""Pinduoduo's message channel: acknowledged when kept, told again when not, and given up when silent."""

import json
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import pytest

from connectors.channels import listen
from connectors.pinduoduo.channel import PinduoduoChannel
from domain.problems import (
    UnavailableProblem,
)
from simulator import trade
from tests.connectors.harness import Outside
from tests.connectors.sockets import Socket
from tests.connectors.test_pinduoduo import ACCOUNT, RECEIVED, SHOP, Inbox, Silent, frame, take, waiting


async def test_messages_are_acknowledged_when_they_are_kept(world: Outside) -> None:
    account, state = await world.account("pinduoduo"), world.sim.app.state.world
    order = trade.pay(state, trade.place_order(state, SHOP))
    trade.ship(state, order, "SF1")
    inbox = Inbox(account.settings["mall_id"])
    socket = await take(world, inbox, 2)
    assert [record.kind for record in inbox.records] == ["pdd_trade_TradeConfirmed", "pdd_trade_TradeSellerShip"]
    assert {json.loads(text)["commandType"] for text in socket.sent} == {"Ack"}
    assert waiting(world) == 0


async def test_what_was_not_kept_comes_again(world: Outside) -> None:
    account, state = await world.account("pinduoduo"), world.sim.app.state.world
    for _ in range(3):
        trade.pay(state, trade.place_order(state, SHOP))
    broken = Inbox(account.settings["mall_id"], breaks_at=1)
    await take(world, broken, 3)
    assert waiting(world) == 2
    mended = Inbox(account.settings["mall_id"])
    await take(world, mended, 2)
    assert waiting(world) == 0
    assert len({record.dedupe_key for record in [*broken.records, *mended.records]}) == 3


async def test_a_wrong_secret_opens_no_channel(world: Outside) -> None:
    account = await world.account("pinduoduo", client_secret="0" * 32)
    address = urlsplit(PinduoduoChannel(account).address(datetime.now(UTC)))
    assert not await Socket(world.sim.app, unquote(address.path)).open()


async def test_a_silent_channel_is_given_up_and_signs_of_life_are_sent_meanwhile() -> None:
    channel, connection, inbox = PinduoduoChannel(ACCOUNT), Silent(), Inbox(95)
    channel.heartbeat_s, channel.silence_s = 0.01, 0.1
    with pytest.raises(UnavailableProblem, match="silent"):
        await listen(channel, connection, inbox.keep, inbox.set_aside, lambda: RECEIVED)
    assert {json.loads(text)["commandType"] for text in connection.sent} == {"HeartBeat"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 5000,
        "not json",
        '{"commandType":"Common"}',
        '{"commandType":"Common","id":1,"message":{"type":"x"}}',
        '{"commandType":"Common","id":1,"time":-5,"message":{"type":"x","mallID":95}}',
    ],
    ids=lambda text: text[:60],
)
async def test_a_frame_that_cannot_be_read_is_set_aside_and_stops_no_other(text: str) -> None:
    channel, inbox = PinduoduoChannel(ACCOUNT), Inbox(95)
    channel.silence_s = 0.05
    connection = Silent(text, json.dumps(frame("pdd_trade_TradeConfirmed", tid="1")))
    with pytest.raises(UnavailableProblem):
        await listen(channel, connection, inbox.keep, inbox.set_aside, lambda: RECEIVED)
    assert [record.dedupe_key for record in inbox.records] == ["message:7"]
    assert [json.loads(sent)["id"] for sent in connection.sent] == [7]
    assert [aside.payload.decode() for aside in inbox.unreadable] == [text]


def test_a_frame_that_comes_again_is_known_whenever_it_is_sent() -> None:
    channel, odd = PinduoduoChannel(ACCOUNT), {"commandType": "Common", "message": {"type": "x", "mallID": 95}}
    first, again, other = (
        channel.known_by(json.dumps(told))
        for told in ({**odd, "sendTime": 1}, {"sendTime": 2, **odd}, {**odd, "time": 3, "sendTime": 1})
    )
    assert first == again != other
