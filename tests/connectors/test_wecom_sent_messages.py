"""A message to a customer of a corp that went unanswered: found again among all that the corp sent, and sent once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.wecom.marks import unmarked
from connectors.wecom.sent_messages import SETTLE_S
from connectors.wecom.sent_minutes import SentMinute, SentMinutes, sent_minute
from domain.calls import Attempted
from domain.catalog import CATALOG
from domain.problems import ProblemError
from simulator.entities import GroupMessage
from tests.connectors.harness import Attempts, Outside, just_now, perform
from tests.connectors.test_wecom import SEND, rule


async def test_a_message_whose_mark_got_lost_is_still_recognised(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    rows = world.sim.app.state.world.group_messages
    request = CATALOG["wecom.send_message"].parse_arguments(
        {"external_userid": friend["external_userid"], "text": "您好"}
    )
    await world.break_things(rule(SEND, "timeout_after", times=1, seconds=3))
    attempts = Attempts(client, CATALOG["wecom.send_message"], request, "k")
    with pytest.raises(ProblemError):
        await attempts.until_done(most=1)
    (message,) = rows
    rows.change(message, text=unmarked(message.text))
    resumed = await client.send_message(request, key="k", attempted=just_now())
    assert resumed.message_id == message.id
    assert await world.effects(kind="message", external_userid=friend["external_userid"]) == 1


async def test_a_message_whose_template_changed_between_two_attempts_is_still_recognised(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    call, who = CATALOG["wecom.send_message"], {"external_userid": friend["external_userid"]}
    await world.break_things(rule(SEND, "timeout_after", times=1, seconds=3))
    with pytest.raises(ProblemError):
        await Attempts(client, call, call.parse_arguments({**who, "text": "您好"}), "k").until_done(most=1)
    again = await client.send_message(call.parse_arguments({**who, "text": "您好，亲"}), key="k", attempted=just_now())
    assert again.message_id is not None
    assert await world.effects(kind="message", **who) == 1


async def test_a_markless_message_to_somebody_else_is_not_taken_for_ours(world: Outside) -> None:
    client = await world.open("wecom")
    rows = (await world.sim.admin("GET", "/customers", params={"limit": 30}))["customers"]
    first, second = [row["external_userid"] for row in rows if row["external_userid"]][:2]
    await perform(client, "wecom.send_message", key="first", external_userid=first, text="您好")
    messages = world.sim.app.state.world.group_messages
    for message in list(messages):
        messages.change(message, text=unmarked(message.text))
    request = CATALOG["wecom.send_message"].parse_arguments({"external_userid": second, "text": "您好"})
    await client.send_message(request, key="second", attempted=just_now())
    assert await world.effects(kind="message", external_userid=second) == 1


async def test_an_earlier_message_is_found_behind_hundreds_of_later_ones(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    who = {"external_userid": friend["external_userid"]}
    first = await perform(client, "wecom.send_message", key="first", **who, text="您好")
    for number in range(130):
        await perform(client, "wecom.send_message", key=f"later-{number}", **who, text="您好")
    request = CATALOG["wecom.send_message"].parse_arguments({**who, "text": "您好"})
    assert (await client.send_message(request, key="first", attempted=just_now())).message_id == first.message_id


def busy_corp(world: Outside, count: int, *, within: timedelta, before: timedelta) -> None:
    """So many messages to others, the last of them `before` now and the first `within` earlier."""
    rows, newest = world.sim.app.state.world.group_messages, datetime.now(UTC) - before
    for number in range(count):
        at = newest - within * number / count
        rows.put(GroupMessage(id=f"msg-{number}", corp="demo-corp", created_at=at, text="您好", recipients=()))


@pytest.mark.parametrize(
    ("count", "within", "before"),
    [
        (12_000, timedelta(hours=13), timedelta()),
        (12_000, timedelta(minutes=7), timedelta(minutes=2)),
        (2_500, timedelta(minutes=1), timedelta(seconds=5)),
    ],
)
async def test_in_a_busy_corp_what_became_of_a_message_is_found_out_all_the_same(
    world: Outside, count: int, within: timedelta, before: timedelta
) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    message = {"external_userid": friend["external_userid"], "text": "您的退款已到账"}
    busy_corp(world, count, within=within, before=before)
    for number, silence in enumerate(("timeout_after", "timeout_before")):
        await world.break_things(rule(SEND, silence, times=1, seconds=3))
        assert (await perform(client, "wecom.send_message", key=f"k{number}", **message)).message_id
    assert await world.effects(kind="message", external_userid=friend["external_userid"]) == 2


async def test_what_an_attempt_may_still_be_sending_is_looked_for_when_it_can_no_more(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    message = {"external_userid": friend["external_userid"], "text": "您好"}
    request = CATALOG["wecom.send_message"].parse_arguments(message)
    now = datetime.now(UTC)
    cut_off = Attempted(now - timedelta(seconds=31), now + timedelta(seconds=9))
    with pytest.raises(ProblemError, match="may still be sending") as error:
        await client.send_message(request, key="k", attempted=cut_off)
    problem = error.value.problem.as_dict()
    assert (problem["outcome"], problem["retryable"]) == ("unknown", True)
    assert 8 < problem["retry_after_s"] <= 9
    assert await world.effects(kind="message", external_userid=friend["external_userid"]) == 0


async def test_when_a_busy_worker_dies_two_searches_go_on_at_a_time(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    busy_corp(world, 2_000, within=timedelta(minutes=1), before=timedelta(seconds=5))
    at_once, most, read = 0, 0, client.api.read

    async def counted(path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal at_once, most
        at_once, most = at_once + 1, max(most, at_once + 1)
        try:
            answer: dict[str, Any] = await read(path, payload)
            return answer
        finally:
            at_once -= 1

    message = {"external_userid": friend["external_userid"], "text": "您的退款已到账"}
    request = CATALOG["wecom.send_message"].parse_arguments(message)
    client.api.read = counted
    sent = await asyncio.gather(
        *(client.send_message(request, key=f"k{number}", attempted=just_now()) for number in range(10))
    )
    assert len({each.message_id for each in sent}) == 10
    assert most == 2


async def test_when_a_busy_worker_dies_what_one_search_read_serves_the_others(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    message = {"external_userid": friend["external_userid"], "text": "您的退款已到账"}
    request = CATALOG["wecom.send_message"].parse_arguments(message)
    busy_corp(world, 2_000, within=timedelta(minutes=1), before=timedelta(seconds=5))
    before = {number: await perform(client, "wecom.send_message", key=f"k{number}", **message) for number in (3, 17)}
    read, pages, now = client.api.read, list[str](), datetime.now(UTC)
    died = Attempted(now - timedelta(seconds=30), now - timedelta(seconds=SETTLE_S))

    async def counted(path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        pages.append(path)
        answer: dict[str, Any] = await read(path, payload)
        return answer

    client.api.read = counted
    others = [await world.open("wecom") for _ in range(3)]
    for other in others:
        other.api.read = counted
    sent = await asyncio.gather(
        *([client, *others][number % 4].send_message(request, key=f"k{number}", attempted=died) for number in range(40))
    )
    assert {number: sent[number].message_id for number in before} == {
        number: each.message_id for number, each in before.items()
    }
    assert len({each.message_id for each in sent}) == 40
    # Twice in vain up to five pages of the wide window, then each minute once: 21 full pages, and those that are short.
    assert len(pages) <= 10 + 21 + 6


async def test_what_lands_late_is_not_looked_for_in_what_was_read_too_soon(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    busy_corp(world, 2_000, within=timedelta(minutes=1), before=timedelta(seconds=5))
    request = CATALOG["wecom.send_message"].parse_arguments({**who_is(friend), "text": "在吗"})
    now = datetime.now(UTC)
    silent_since, long_ago = (now - timedelta(seconds=ago) for ago in (SETTLE_S / 2, SETTLE_S * 2))
    assert await client.sent_message(request, key="other", attempted=Attempted(long_ago, long_ago)) is None
    late = await perform(client, "wecom.send_message", key="late", **who_is(friend), text="在吗")
    found = await client.sent_message(request, key="late", attempted=Attempted(long_ago, silent_since))
    assert found is not None, "the platform was still at work when others read that minute"
    assert found.message_id == late.message_id


def test_texts_that_nobody_could_encode_are_looked_through_all_the_same() -> None:
    minute = sent_minute(datetime.now(UTC), [("m1", "\ud83d"), ("m2", "您好")])
    assert (minute.without_mark("\ud83d"), minute.without_mark("您好")) == (["m1"], ["m2"])


async def test_minutes_are_kept_while_there_is_room_for_what_is_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.wecom.sent_minutes._KEPT_MESSAGES", 5)
    minutes, now, read_again = SentMinutes(), datetime.now(UTC), list[int]()

    async def read(number: int) -> SentMinute:
        read_again.append(number)
        return sent_minute(now, [(f"{number}-{each}", "您好") for each in range(number)])

    for number in (2, 3, 2, 3, 1, 3, 9, 9):
        assert (await minutes.get(number, now, read)).count == number
    assert read_again == [2, 3, 1, 9]
    assert (minutes.count(range(9)), minutes.count(range(10))) == (0, 9), (
        "one that is greater than all room is kept alone"
    )


async def test_what_was_sent_after_a_minute_was_read_is_found_in_it(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    busy_corp(world, 2_000, within=timedelta(minutes=1), before=timedelta(seconds=5))
    request = CATALOG["wecom.send_message"].parse_arguments({**who_is(friend), "text": "在吗"})
    first = await client.send_message(request, key="first", attempted=just_now())
    second = await perform(client, "wecom.send_message", key="second", **who_is(friend), text="在吗")
    found = await client.send_message(request, key="second", attempted=just_now())
    assert found.message_id == second.message_id != first.message_id
    assert await world.effects(kind="message", **who_is(friend)) == 2


def who_is(friend: Mapping[str, Any]) -> dict[str, str]:
    return {"external_userid": friend["external_userid"]}


async def test_a_corp_that_sent_more_in_a_minute_than_can_be_looked_through_is_left_to_a_person(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    monkeypatch.setattr("connectors.wecom.sent_messages._FEW_PAGES", 2)
    monkeypatch.setattr("connectors.wecom.sent_messages._MOST_PAGES", 3)
    busy_corp(world, 800, within=timedelta(seconds=30), before=timedelta())
    request = CATALOG["wecom.send_message"].parse_arguments(
        {"external_userid": friend["external_userid"], "text": "在吗"}
    )
    with pytest.raises(ProblemError, match="check by hand") as error:
        await client.send_message(request, key="k", attempted=just_now())
    problem = error.value.problem.as_dict()
    assert (problem["outcome"], problem["retryable"]) == ("unknown", False)
    assert await world.effects(kind="message", external_userid=friend["external_userid"]) == 0


@pytest.mark.parametrize("minutes", [-8, 8])
async def test_clocks_that_differ_by_minutes_make_no_second_message(world: Outside, minutes: int) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    message = {"external_userid": friend["external_userid"], "text": "您好"}
    first = await perform(client, "wecom.send_message", key="k", **message)
    (sent,) = world.sim.app.state.world.group_messages
    at = sent.created_at + timedelta(minutes=minutes)
    world.sim.app.state.world.group_messages.change(sent, created_at=at)
    request = CATALOG["wecom.send_message"].parse_arguments(message)
    assert (await client.send_message(request, key="k", attempted=just_now())).message_id == first.message_id
