"""Streams out, to a real HTTP server that answers as it is told: order, signatures, retries, dead letters, crashes."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from connectors.standard_webhooks import new_secret, sign_message
from connectors.subscribers import Subscribers
from connectors.web.guard import HostGuard, WebSettings
from domain.access import Role, Scope
from domain.catalog import CATALOG
from domain.events import Event
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from domain.subscriptions import NewSubscription, Start, outgoing
from services.streams import LEASE, StreamDelivery
from services.subscriptions import SubscriptionService
from storage.engine import Database
from storage.events import Events
from storage.figures import Figures
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.services.house import eventually

ADMIN = an_actor("root")
SETTINGS = WebSettings(("127.0.0.1",), True, timeout_s=0.5, max_response_bytes=1024)


class Receiver:
    """A subscriber's server. answers: statuses in turn, 0 says nothing at all; then 204 for ever."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: deque[int] = deque()
        self.retry_after = ""
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
        yield self
        server.close()

    @property
    def ids(self) -> list[str]:
        """Of the events of all requests, in the order in which they came."""
        return [event["id"] for event in self.events]

    @property
    def events(self) -> list[dict[str, Any]]:
        bodies = [json.loads(body) for _, body in self.requests]
        return [event for body in bodies for event in (body if isinstance(body, list) else [body])]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((headers, body))
                status = self.answers.popleft() if self.answers else 204
                if status == 0:
                    await reader.read()
                    return
                extra = "Location: http://169.254.169.254/\r\n" if status == 302 else ""
                extra += f"Retry-After: {self.retry_after}\r\n" if self.retry_after else ""
                writer.write(f"HTTP/1.1 {status} Answer\r\n{extra}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


class Stage:
    """Subscriptions, events and the delivery over one database whose clock is moved by hand."""

    def __init__(self, database: Database, clock: SteppedClock) -> None:
        self.database = database
        self.clock = clock
        self.service = SubscriptionService(database, HostGuard(SETTINGS))
        self.subscribers = Subscribers(SETTINGS)
        self.delivery = StreamDelivery(database, self.subscribers, CATALOG.masking(), most_attempts=3)

    async def round(self, *, after: timedelta = timedelta(seconds=2)) -> None:
        """Let everybody who is due have a turn, and wait for its end."""
        self.clock.advance(seconds=after.total_seconds())
        await self.delivery.drain()
        await self.delivery.settled()

    def signers(self, receiver: Receiver, *secrets: str) -> list[set[str]]:
        """Which of the secrets signed each request."""
        found = []
        for headers, body in receiver.requests:
            # The library compares with the machine's clock; the stage's stands elsewhere.
            at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
            given = headers["webhook-signature"].split(" ")
            mine = {each: Webhook(each).sign(headers["webhook-id"], at, body.decode()) for each in secrets}
            assert set(given) <= set(mine.values())
            found.append({secret for secret, signature in mine.items() if signature in given})
        return found

    async def publish(self, *events: Event) -> None:
        async with UnitOfWork(self.database) as work:
            await Events(work).add(events)


@pytest.fixture
async def stage(database: Database, clock: SteppedClock) -> AsyncIterator[Stage]:
    stage = Stage(database, clock)
    yield stage
    await stage.delivery.aclose()
    await stage.subscribers.aclose()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as receiver:
        yield receiver


def an_event(id_: str, type_: str = "tandem.order.paid", source: str = "/youzan/flagship", **more: Any) -> Event:
    return Event(id=id_, source=source, type=type_, **more)


def wanted(receiver: Receiver, **more: Any) -> NewSubscription:
    return NewSubscription(**{"name": "warehouse", "url": receiver.url, "types": ("tandem.order.*",), **more})


async def test_events_arrive_in_order_signed_and_only_those_that_are_wanted(stage: Stage, receiver: Receiver) -> None:
    await stage.publish(an_event("before"))
    made, secret = await stage.service.create(ADMIN, wanted(receiver, accounts=("youzan/flagship",)))
    events = [an_event(f"e{number}") for number in range(30)]
    await stage.publish(*events[:15], an_event("refund", "tandem.refund.created"), an_event("x", "tandem.orders.y"))
    await stage.publish(an_event("elsewhere", source="/youzan/other"), *events[15:])
    await stage.round()
    assert receiver.ids == [event.id for event in events]
    wire = {"specversion": "1.0", "id": "e0", "source": "/youzan/flagship", "type": "tandem.order.paid"}
    assert receiver.events[0] == wire
    for headers, body in receiver.requests:
        assert headers["content-type"].startswith("application/cloudevents+json")
        # The library compares with the machine's clock; the stage's stands elsewhere.
        stamp = headers["webhook-timestamp"]
        at = stage.clock().fromtimestamp(int(stamp), stage.clock().tzinfo)
        assert Webhook(secret).sign(headers["webhook-id"], at, body.decode()) == headers["webhook-signature"]
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == len(events)
    followed = await stage.service.show(ADMIN, made.id)
    assert (followed.subscription.delivered, followed.lag.events, followed.lag.dead) == (30, 0, 0)


async def test_the_beginning_is_everything_that_is_kept_in_batches_when_asked(stage: Stage, receiver: Receiver) -> None:
    await stage.publish(*(an_event(f"e{number}") for number in range(150)))
    await stage.service.create(ADMIN, wanted(receiver, batched=True, start=Start.BEGINNING, types=("*",)))
    await stage.round()
    assert [len(json.loads(body)) for _, body in receiver.requests] == [100, 50]
    assert receiver.requests[0][0]["content-type"].startswith("application/cloudevents-batch+json")
    assert receiver.ids == [f"e{number}" for number in range(150)]


@pytest.mark.parametrize("failure", [500, 0, 302])
async def test_a_failed_delivery_is_repeated_and_nothing_overtakes_it(
    stage: Stage, receiver: Receiver, failure: int
) -> None:
    made, _ = await stage.service.create(ADMIN, wanted(receiver))
    await stage.publish(an_event("a"), an_event("b"))
    receiver.answers.append(failure)
    await stage.round()
    assert receiver.ids == ["a"]
    seen = (await stage.service.show(ADMIN, made.id)).subscription
    assert (seen.attempts, seen.delivered) == (1, 0)
    assert seen.problem is not None
    await stage.round(after=timedelta(seconds=1))
    assert receiver.ids == ["a"], "it waits before it tries again"
    await stage.round(after=timedelta(seconds=5))
    assert receiver.ids == ["a", "a", "b"]
    assert receiver.requests[0][0]["webhook-id"] == receiver.requests[1][0]["webhook-id"]
    assert (await stage.service.show(ADMIN, made.id)).subscription.problem is None


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        ("600", timedelta(minutes=10)),
        ("1", timedelta(seconds=5)),
        ("9999999999", timedelta(days=1)),
        ("Sat, 01 Jan 2000 00:00:00 GMT", timedelta(seconds=5)),
        ("soon", timedelta(seconds=5)),
    ],
)
async def test_a_subscriber_may_ask_to_be_left_alone_longer_up_to_a_day(
    stage: Stage, receiver: Receiver, asked: str, waits: timedelta
) -> None:
    made, _ = await stage.service.create(ADMIN, wanted(receiver))
    await stage.publish(an_event("a"))
    receiver.answers.append(429)
    receiver.retry_after = asked
    await stage.round()
    seen = (await stage.service.show(ADMIN, made.id)).subscription
    assert seen.next_attempt_at - stage.clock() == waits
    await stage.round(after=waits - timedelta(seconds=1))
    assert receiver.ids == ["a"]
    await stage.round(after=timedelta(seconds=1))
    assert receiver.ids == ["a", "a"]


async def test_while_a_secret_is_changed_over_both_sign(stage: Stage, receiver: Receiver) -> None:
    made, old = await stage.service.create(ADMIN, wanted(receiver))
    changed, new = await stage.service.rotate(ADMIN, made.id, timedelta(hours=1))
    assert changed.previous_until == stage.clock() + timedelta(hours=1)
    await stage.publish(an_event("a"))
    await stage.round()
    assert stage.signers(receiver, old, new) == [{old, new}]
    await stage.publish(an_event("b"))
    await stage.round(after=timedelta(hours=1))
    assert stage.signers(receiver, old, new)[-1] == {new}
    assert (await stage.service.show(ADMIN, made.id)).subscription.previous_until is None


async def test_a_secret_that_got_out_signs_nothing_any_more(stage: Stage, receiver: Receiver) -> None:
    made, first = await stage.service.create(ADMIN, wanted(receiver))
    _, second = await stage.service.rotate(ADMIN, made.id, timedelta(days=1))
    _, third = await stage.service.rotate(ADMIN, made.id, timedelta(days=1))
    _, last = await stage.service.rotate(ADMIN, made.id, timedelta(0))
    await stage.publish(an_event("a"))
    await stage.round()
    assert stage.signers(receiver, first, second, third, last) == [{last}]
    with pytest.raises(ValidationProblem):
        await stage.service.rotate(ADMIN, made.id, timedelta(days=31))


async def test_after_the_last_attempt_a_dead_letter_and_the_stream_goes_on(stage: Stage, receiver: Receiver) -> None:
    made, _ = await stage.service.create(ADMIN, wanted(receiver, batched=True))
    await stage.publish(an_event("bad"), an_event("good"))
    receiver.answers.extend([500, 500, 500])
    for _ in range(4):
        await stage.round(after=timedelta(minutes=5))
    assert receiver.ids == ["bad", "good", "bad", "bad", "good"], "one by one after the batch failed"
    letters = (await stage.service.dead_letters(ADMIN, made.id, PageRequest())).items
    assert [(letter.event.id, letter.attempts, letter.reason) for letter in letters] == [("bad", 3, "HTTP 500")]
    async with UnitOfWork(stage.database) as work:
        figures = (await Figures(work).collect()).streams
    assert (figures.behind_since, figures.delivered, figures.dead) == (None, 1, 1)

    receiver.answers.append(503)
    assert await stage.service.redrive(ADMIN, made.id, [letters[0].seq]) == 1
    await stage.round()
    [again] = (await stage.service.dead_letters(ADMIN, made.id, PageRequest())).items
    assert (again.attempts, again.reason, again.redriven_at) == (4, "HTTP 503", None)
    assert await stage.service.redrive(ADMIN, made.id, None) == 1
    await stage.round()
    assert receiver.ids[-2:] == ["bad", "bad"]
    assert (await stage.service.show(ADMIN, made.id)).lag.dead == 0


async def test_an_event_that_cannot_be_told_is_a_dead_letter_and_blocks_no_others(
    stage: Stage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = await stage.service.create(ADMIN, wanted(receiver))

    def chokes(event: Event, masking: Any) -> Any:
        if event.id == "bad":
            raise TypeError("no text")
        return outgoing(event, masking)

    monkeypatch.setattr("services.streams.outgoing", chokes)
    await stage.publish(an_event("bad"), an_event("good"))
    for _ in range(4):
        await stage.round(after=timedelta(minutes=5))
    assert receiver.ids == ["good"]
    letters = (await stage.service.dead_letters(ADMIN, made.id, PageRequest())).items
    assert [(letter.event.id, letter.attempts, letter.reason) for letter in letters] == [
        ("bad", 3, "TypeError: no text")
    ]


async def test_a_paused_subscription_gets_nothing_until_it_is_resumed(stage: Stage, receiver: Receiver) -> None:
    made, _ = await stage.service.create(ADMIN, wanted(receiver))
    await stage.service.pause(ADMIN, made.id)
    await stage.publish(an_event("a"))
    await stage.round()
    assert receiver.ids == []
    await stage.service.resume(ADMIN, made.id)
    await stage.round()
    assert receiver.ids == ["a"]


async def test_a_subscriber_that_is_gone_is_paused(stage: Stage, receiver: Receiver) -> None:
    made, _ = await stage.service.create(ADMIN, wanted(receiver))
    await stage.publish(an_event("a"))
    receiver.answers.append(410)
    await stage.round()
    seen = (await stage.service.show(ADMIN, made.id)).subscription
    assert seen.paused_at is not None
    assert seen.problem == "HTTP 410"


async def test_a_crash_between_delivery_and_cursor_repeats_the_event(stage: Stage, receiver: Receiver) -> None:
    await stage.service.create(ADMIN, wanted(receiver))
    await stage.publish(an_event("a"), an_event("b"))
    receiver.answers.append(0)
    stage.clock.advance(seconds=2)
    await stage.delivery.drain()

    async def has_arrived() -> bool:
        return len(receiver.requests) == 1

    await eventually(has_arrived)
    await stage.delivery.aclose()
    await stage.round()
    assert receiver.ids == ["a"], "the lease of the one that died still holds"
    await stage.round(after=LEASE)
    assert receiver.ids == ["a", "a", "b"]


async def test_an_event_that_commits_after_a_later_one_is_not_skipped(stage: Stage, receiver: Receiver) -> None:
    await stage.service.create(ADMIN, wanted(receiver))
    async with UnitOfWork(stage.database) as slow:
        await Events(slow).add([an_event("slow")])
        await stage.publish(an_event("quick"))
        await stage.round()
        assert receiver.ids == []
    await stage.round()
    assert receiver.ids == ["slow", "quick"]


async def test_a_dead_subscriber_delays_no_other(stage: Stage, receiver: Receiver) -> None:
    async with Receiver().serving() as dead:
        dead.answers.extend([0] * 10)
        await stage.service.create(ADMIN, wanted(dead))
        await stage.service.create(ADMIN, wanted(receiver))
        await stage.publish(*(an_event(f"e{number}") for number in range(5)))
        stage.clock.advance(seconds=2)
        await stage.delivery.drain()

        async def has_all() -> bool:
            return len(receiver.requests) == 5

        await eventually(has_all, seconds=5)
        await stage.delivery.settled()
        assert len(dead.requests) == 1


async def test_personal_data_goes_out_masked_and_in_clear_only_for_who_may_see_it(
    stage: Stage, receiver: Receiver
) -> None:
    await stage.service.create(ADMIN, wanted(receiver))
    await stage.publish(an_event("13800138000", data={"receiver": {"phone": "13800138000"}}))
    await stage.round()
    [event] = receiver.events
    assert event["id"] == "13800138000", "what names the event stays"
    assert "13800138000" not in json.dumps(event["data"])
    with pytest.raises(AuthorizationProblem):
        await stage.service.create(ADMIN, wanted(receiver, masked=False))
    both = an_actor("both", Role.OPS, Role.SUPERVISOR)
    await stage.service.create(both, wanted(receiver, masked=False))
    await stage.publish(an_event("clear", data={"receiver": {"phone": "13800138000"}}))
    await stage.round()
    phones = [event["data"]["receiver"]["phone"] for event in receiver.events if event["id"] == "clear"]
    assert sorted(phone == "13800138000" for phone in phones) == [False, True]


async def test_a_host_that_is_not_allowed_is_refused_at_once(stage: Stage, receiver: Receiver) -> None:
    with pytest.raises(AuthorizationProblem, match="TANDEM_HTTP_ALLOWED_HOSTS"):
        await stage.service.create(ADMIN, wanted(receiver, url="https://elsewhere.example.com/"))
    assert await stage.service.list(ADMIN) == []


async def test_a_narrow_scope_subscribes_to_its_own_accounts_and_sees_no_others(
    stage: Stage, receiver: Receiver
) -> None:
    narrow = an_actor("narrow", Role.OPS, scope=Scope.of_accounts("youzan/flagship"))
    everything, _ = await stage.service.create(ADMIN, wanted(receiver))
    for accounts in ((), ("youzan/flagship", "youzan/other")):
        with pytest.raises(AuthorizationProblem):
            await stage.service.create(narrow, wanted(receiver, accounts=accounts))
    own, _ = await stage.service.create(narrow, wanted(receiver, accounts=("youzan/flagship",)))
    assert [each.id for each in await stage.service.list(narrow)] == [own.id]
    with pytest.raises(NotFoundProblem):
        await stage.service.remove(narrow, everything.id)


def test_a_secret_signs_what_the_library_checks() -> None:
    secret = new_secret()
    headers = sign_message(SecretStr(secret), "msg_1", datetime.now(UTC), b'{"id":"a"}')
    assert Webhook(secret).verify(b'{"id":"a"}', headers) == {"id": "a"}
