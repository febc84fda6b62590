"""The journeys, on the virtual clock and on Temporal: who is written to, when, and who is left alone."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.testing import WorkflowEnvironment

from connectors.templates import TemplateRenderer
from domain.catalog import CATALOG
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.dsl.definition import parse_definition
from domain.dsl.dry_run import RunResult, Scenario, TimedEvent, dry_run
from domain.dsl.host import CallRequest
from domain.dsl.program import Program
from domain.enrolments import read_enrolment
from domain.events import Event
from runtime.rehearsal import Rehearsal
from workflows.messages import EVENT_SIGNAL, Events

Answer = dict[str, Any]
NOT_NOW = {"sent": False, "message_id": None, "skipped_reason": "quiet_hours"}
OWNER = CATALOG["order.get"].example["customer_id"]
JOURNEYS = {
    "unpaid-order": ("tandem.order.created", "tandem.order.paid", timedelta(minutes=30)),
    "live-coupon": ("tandem.coupon.taken", "tandem.coupon.used", timedelta(days=3)),
}


def text_of(name: str) -> str:
    return Path(f"definitions/journeys/{name}.yaml").read_text(encoding="utf-8")


def example(kind: str) -> dict[str, Any]:
    return {**KNOWN_EVENT_TYPES[kind].example}


def cause(kind: str, **more: Any) -> list[dict[str, Any]]:
    return [{"data": {**example(kind), **more}, "tandemkeys": ["key:buyer/youzan/B1", "customer:c1"]}]


def play(
    name: str, given: Any, *events: TimedEvent, answers: Mapping[str, Answer | Iterator[Answer]] | None = None
) -> RunResult:
    """The journey to its end; `answers` by call, the same each time or one after the other, else its example."""
    definition = parse_definition(text_of(name))
    said = answers or {}

    def perform(request: CallRequest) -> Answer:
        answer = said.get(request.call.name, dict(request.call.example))
        return next(answer) if isinstance(answer, Iterator) else answer

    scenario = Scenario(input=given, events=events, perform=perform)
    return dry_run(Program(definition.flow, definition.data), CATALOG, scenario)


def ends(result: RunResult) -> str:
    assert isinstance(result.output, dict), result.error
    return str(result.output["result"])


def sent(result: RunResult) -> list[dict[str, Any]]:
    return [call["arguments"] for call in result.calls if call["call"] == "send"]


@pytest.mark.parametrize("name", JOURNEYS)
def test_who_did_nothing_is_reminded_when_the_time_is_over(name: str) -> None:
    begins, _, patience = JOURNEYS[name]
    result = play(name, cause(begins))
    assert result.output == {"result": "reminded", "reason": None}
    assert result.virtual_s == pytest.approx(patience.total_seconds(), abs=1)
    (message,) = sent(result)
    assert message["purpose"] == "marketing"
    assert message["about"]["customer"] == (OWNER if name == "unpaid-order" else "customer:c1")


@pytest.mark.parametrize("name", JOURNEYS)
def test_who_acted_in_time_is_left_alone_and_others_do_not_count(name: str) -> None:
    begins, ends, patience = JOURNEYS[name]
    data = example(ends)
    other = {key: "other" if key in ("order_id", "coupon_id") else value for key, value in data.items()}
    elsewhere = ({"account": "other"}, {"platform": "jd"})
    foreign = [
        TimedEvent(patience / 3, Event(id=f"1-{place}", source="/shop", type=ends, data=each))
        for place, each in enumerate((other, *({**data, **shop} for shop in elsewhere)))
    ]
    own = TimedEvent(patience / 2, Event(id="2", source="/shop", type=ends, data=data))
    result = play(name, cause(begins), *foreign, own)
    assert isinstance(result.output, dict)
    assert result.output["result"] == "not-needed"
    assert result.virtual_s == pytest.approx(patience.total_seconds() / 2, abs=1)
    assert sent(result) == []
    assert len(sent(play(name, cause(begins), *foreign))) == 1


def test_what_was_ordered_or_taken_is_checked_when_it_is_sent() -> None:
    (order,) = sent(play("unpaid-order", cause("tandem.order.created")))
    assert [item["item_id"] for item in order["about"]["items"]] == [
        line["item_id"] for line in example("tandem.order.created")["lines"]
    ]
    assert order["about"]["unpaid_order"]["order_id"] == example("tandem.order.created")["order_id"]
    (coupon,) = sent(play("live-coupon", cause("tandem.coupon.taken")))
    assert coupon["about"]["coupon"]["coupon_id"] == example("tandem.coupon.taken")["coupon_id"]


@pytest.mark.parametrize(
    ("told", "read", "code"), [("LIVE20", "LIVE21", "LIVE21"), ("LIVE20", None, "LIVE20"), (None, "LIVE21", "LIVE21")]
)
def test_the_tutorial_brings_the_code_as_it_was_read_last(told: str | None, read: str | None, code: str) -> None:
    known = {"coupon.check": {**CATALOG["coupon.check"].example, "code": read}}
    (message,) = sent(play("live-coupon", cause("tandem.coupon.taken", code=told), answers=known))
    assert (message["template"], message["data"]) == ("live-coupon-tutorial", {"code": code})


async def test_the_tutorial_shows_its_code_and_does_without_one() -> None:
    shipped = yaml.safe_load_all(Path("definitions/journeys/messages.yaml").read_text(encoding="utf-8"))
    text = {each["message"]["name"]: each["message"]["text"] for each in shipped}["live-coupon-tutorial"]
    async with TemplateRenderer() as renderer:
        assert "输入券码 LIVE20" in await renderer.render(text, {"code": "LIVE20"})
        assert "券码" not in await renderer.render(text, {"code": None})


def test_a_new_customer_has_the_gift_within_two_days() -> None:
    result = play("new-customer-gift", cause("tandem.contact.added"))
    assert result.output == {"result": "given", "reason": None}
    assert result.virtual_s <= 48 * 3600
    assert [message["to"] for message in sent(result)] == [example("tandem.contact.added")["external_userid"]]


def test_a_gift_that_came_at_a_bad_moment_is_given_the_next_morning_but_never_to_who_is_suppressed() -> None:
    def answered(*answers: dict[str, Any]) -> RunResult:
        left = iter(answers)
        definition = parse_definition(text_of("new-customer-gift"))
        given = cause("tandem.contact.added")
        scenario = Scenario(input=given, perform=lambda request: {"message_id": None, **next(left)})
        return dry_run(Program(definition.flow, definition.data), CATALOG, scenario)

    capped, suppressed = ({"sent": False, "skipped_reason": reason} for reason in ("cap", "suppressed"))
    later = answered(capped, {"sent": True, "skipped_reason": None})
    assert (later.output, len(sent(later))) == ({"result": "given", "reason": None}, 2)
    assert later.virtual_s <= 48 * 3600
    never = answered(suppressed)
    assert (never.output, len(sent(never))) == ({"result": "skipped", "reason": "suppressed"}, 1)


def profile(**changes: Any) -> Answer:
    """A customer as `profile.get` tells of them."""
    return {**CATALOG["profile.get"].example, **changes}


def tagged(tag: str) -> list[dict[str, Any]]:
    return [{"data": {**example("tandem.customer.tag-gained"), "customer": "c1", "tag": tag}, "tandemkeys": []}]


def suppressed(after: timedelta, item: str | None = None, **more: Any) -> TimedEvent:
    """The customer is not to be spoken to about one article of the example shop, or about anything."""
    data = {**example("tandem.customer.suppressed"), "item_id": item, **more}
    return TimedEvent(after, Event(id="s1", source="/tandem", type="tandem.customer.suppressed", data=data))


ITEM = example("tandem.order.created")["lines"][0]["item_id"]
SHOP = {key: example("tandem.order.created")[key] for key in ("platform", "account")}
LAST = {**CATALOG["profile.get"].example["last_order"], "items": [{**SHOP, "item_id": ITEM}]}
SILENT = profile(tags=["断粮"], last_order=LAST)
CART = {**CATALOG["profile.get"].example["open_cart"], "items": [{**SHOP, "item_id": ITEM}]}
WAITING = profile(tags=["加购未买"], open_cart=CART)
ALL = {
    "unpaid-order": (cause("tandem.order.created"), profile(), "reminded"),
    "live-coupon": (cause("tandem.coupon.taken"), profile(), "reminded"),
    "new-customer-gift": (cause("tandem.contact.added"), profile(), "given"),
    "third-order": (tagged("高价值"), profile(), "welcomed"),
    "run-out": (tagged("断粮"), SILENT, "reminded"),
    "cart-waiting": (tagged("加购未买"), WAITING, "reminded"),
}
AT_ONCE = ("third-order", "cart-waiting")
"""Those that try once before they wait."""
ABOUT_GOODS = ("unpaid-order", "run-out")
SAYS = {
    "unpaid-order": "unpaid-discount",
    "live-coupon": "live-coupon-tutorial",
    "new-customer-gift": "new-customer-gift",
    "third-order": "vip-welcome",
    "run-out": "run-out-reminder",
    "cart-waiting": "cart-discount",
}


@pytest.mark.parametrize("name", ALL)
def test_each_says_what_it_is_for(name: str) -> None:
    given, known, _ = ALL[name]
    shipped = yaml.safe_load_all(Path("definitions/journeys/messages.yaml").read_text(encoding="utf-8"))
    assert SAYS[name] in {each["message"]["name"] for each in shipped}
    for answer in (NOT_NOW, {**NOT_NOW, "sent": True, "skipped_reason": None}):
        said = sent(play(name, given, answers={"profile.get": known, "send": answer}))
        assert {message["template"] for message in said} == {SAYS[name]}, "the second time too"


@pytest.mark.parametrize("name", ALL)
def test_who_is_silenced_leaves_at_once_and_nothing_is_sent(name: str) -> None:
    given, known, _ = ALL[name]
    result = play(name, given, suppressed(timedelta(seconds=1)), answers={"profile.get": known, "send": NOT_NOW})
    assert result.output == {"result": "suppressed", "reason": "refund"}
    assert result.virtual_s == pytest.approx(1, abs=0.1)
    assert result.status == "completed"


@pytest.mark.parametrize("name", ALL)
def test_a_refund_ends_what_is_about_its_goods_and_nothing_else(name: str) -> None:
    given, known, ending = ALL[name]
    others = suppressed(timedelta(seconds=1), "other"), suppressed(timedelta(seconds=1), ITEM, account="other")
    assert ends(play(name, given, *others, answers={"profile.get": known})) == ending
    about_it = play(name, given, suppressed(timedelta(seconds=1), ITEM), answers={"profile.get": known})
    assert ends(about_it) == ("suppressed" if name in ABOUT_GOODS else ending)


@pytest.mark.parametrize("name", ALL)
def test_who_is_nobodys_contact_is_not_written_to(name: str) -> None:
    given, known, _ = ALL[name]
    if name == "new-customer-gift":
        return  # its cause is that somebody became a contact
    result = play(name, given, answers={"profile.get": {**known, "contact": None}})
    assert ends(result) == "not-needed"
    assert sent(result) == []


def test_each_customer_order_or_coupon_enters_once() -> None:
    rules = {name: read_enrolment(parse_definition(text_of(name)).flow.document.metadata) for name in ALL}
    assert {name: rule and (rule.per, rule.again) for name, rule in rules.items()} == {
        "unpaid-order": ("order", None),
        "live-coupon": ("coupon", None),
        "new-customer-gift": ("customer", None),
        "third-order": ("customer", None),
        "run-out": ("customer", timedelta(days=30)),
        "cart-waiting": ("customer", timedelta(days=7)),
    }


def test_a_live_coupon_is_recalled_for_hesitating_customers_alone() -> None:
    given = cause("tandem.coupon.taken")
    decided = play("live-coupon", given, answers={"profile.get": profile(tags=[])})
    assert (ends(decided), sent(decided)) == ("not-needed", [])
    late = gained(timedelta(days=3, minutes=2))
    known = iter([profile(tags=[]), profile()])
    hesitating = play("live-coupon", given, late, answers={"profile.get": known})
    assert ends(hesitating) == "reminded"
    assert hesitating.virtual_s == pytest.approx(timedelta(days=3, minutes=2).total_seconds(), abs=1)


def gained(after: timedelta) -> TimedEvent:
    """The customer becomes 犹豫型."""
    tag = {**example("tandem.customer.tag-gained"), "tag": "犹豫型"}
    event = Event(id=f"t{after}", source="/tags", type="tandem.customer.tag-gained", data=tag)
    return TimedEvent(after, event)


def test_a_tag_that_was_gained_and_lost_before_anybody_asked_reminds_nobody_until_it_comes_again() -> None:
    given, early = cause("tandem.coupon.taken"), gained(timedelta(days=1))
    never = play("live-coupon", given, early, answers={"profile.get": profile(tags=[])})
    assert (ends(never), sent(never)) == ("not-needed", [])
    assert never.virtual_s == pytest.approx(timedelta(days=3, hours=6).total_seconds(), abs=1)
    known = iter([profile(tags=[]), profile(tags=[]), profile()])
    again = play("live-coupon", given, early, gained(timedelta(days=3, hours=1)), answers={"profile.get": known})
    assert (ends(again), len(sent(again))) == ("reminded", 1)
    assert again.virtual_s == pytest.approx(timedelta(days=3, hours=1).total_seconds(), abs=1)


@pytest.mark.parametrize("reason", ["quiet_hours", "cap"])
@pytest.mark.parametrize("name", JOURNEYS)
def test_a_reminder_that_came_at_a_bad_moment_is_sent_the_next_morning_once(name: str, reason: str) -> None:
    begins, _, patience = JOURNEYS[name]
    not_now = {**NOT_NOW, "skipped_reason": reason}
    later = play(
        name, cause(begins), answers={"send": iter([not_now, {**NOT_NOW, "sent": True, "skipped_reason": None}])}
    )
    assert later.output == {"result": "reminded", "reason": None}
    first, second = sent(later)
    assert first == second
    assert later.virtual_s <= patience.total_seconds() + 24 * 3600
    never = play(name, cause(begins), answers={"send": not_now})
    assert (never.output, len(sent(never))) == ({"result": "skipped", "reason": reason}, 2)
    for final in ("suppressed", "order_settled", "coupon_gone", "contact_gone"):
        given_up = play(name, cause(begins), answers={"send": {**NOT_NOW, "skipped_reason": final}})
        assert (given_up.output, len(sent(given_up))) == ({"result": "skipped", "reason": final}, 1)


@pytest.mark.parametrize(
    ("name", "morning", "reason"),
    [
        ("live-coupon", profile(tags=[]), "tag-lost"),
        ("live-coupon", profile(contact=None), "stranger"),
        ("unpaid-order", profile(contact=None), "stranger"),
    ],
)
def test_who_is_not_to_be_reminded_any_more_in_the_morning_is_left_alone(
    name: str, morning: Answer, reason: str
) -> None:
    known = iter([profile(), morning])
    result = play(name, cause(JOURNEYS[name][0]), answers={"profile.get": known, "send": NOT_NOW})
    assert (result.output, len(sent(result))) == ({"result": "not-needed", "reason": reason}, 1)


def test_the_third_order_is_told_to_customer_and_guide() -> None:
    result = play("third-order", tagged("高价值"))
    calls = {call["call"]: call["arguments"] for call in result.calls}
    assert (calls["wecom.add_tag"]["tag"], calls["wecom.notify_staff"]["userids"]) == ("VIP", ["lin"])
    assert calls["send"]["purpose"] == "marketing"
    quiet = play("third-order", tagged("高价值"), answers={"send": NOT_NOW})
    assert (ends(quiet), len(sent(quiet))) == ("skipped", 2)
    assert quiet.virtual_s <= 24 * 3600


def test_whom_a_refund_makes_ordinary_overnight_is_not_welcomed_in_the_morning() -> None:
    known = iter([profile(), profile(tags=[])])
    result = play("third-order", tagged("高价值"), answers={"profile.get": known, "send": NOT_NOW})
    assert (ends(result), len(sent(result))) == ("not-needed", 1)


def test_who_stocked_up_before_the_reminder_is_left_alone() -> None:
    lost = {**example("tandem.customer.tag-lost"), "tag": "断粮"}
    bought = TimedEvent(timedelta(seconds=1), Event(id="t", source="/t", type="tandem.customer.tag-lost", data=lost))
    assert ends(play("run-out", tagged("断粮"), bought, answers={"profile.get": SILENT})) == "not-needed"
    (reminder,) = sent(play("run-out", tagged("断粮"), answers={"profile.get": SILENT}))
    assert [item["item_id"] for item in reminder["about"]["items"]] == [ITEM]


@pytest.mark.parametrize("name", ALL)
async def test_temporal_ends_them_alike(time_skipping: WorkflowEnvironment, name: str) -> None:
    given, known, ending = ALL[name]
    stage = Rehearsal(time_skipping.client)
    stage.answers["profile.get"] = lambda envelope: known
    async with stage.worker():
        handle = await stage.start(text_of(name), f"journeys/{name}", given)
        output = await asyncio.wait_for(handle.result(), 30)
        assert output == {"result": ending, "reason": None}
        assert [call.call for call in stage.calls].count("send") == 1
        stage.calls.clear()
        stage.reports.clear()
        stage.answers["send"] = lambda envelope: NOT_NOW
        with time_skipping.auto_time_skipping_disabled():
            silenced = await stage.start(text_of(name), f"journeys/{name}/silenced", given)
            await stage.until(lambda: name not in AT_ONCE or "send" in [call.call for call in stage.calls])
            envelope = suppressed(timedelta()).event.envelope()
            await silenced.signal(EVENT_SIGNAL, Events([envelope]))
            result = await asyncio.wait_for(silenced.result(), 10)
    assert result == {"result": "suppressed", "reason": "refund"}
    assert [call.call for call in stage.calls].count("send") <= (1 if name in AT_ONCE else 0)


@pytest.mark.parametrize("name", JOURNEYS)
async def test_temporal_tries_them_again_in_the_morning_alike(time_skipping: WorkflowEnvironment, name: str) -> None:
    given, known, _ = ALL[name]
    stage = Rehearsal(time_skipping.client)
    answers = iter([NOT_NOW, {**NOT_NOW, "sent": True, "skipped_reason": None}])
    # The tag comes late: what a run hears of it, it looks up.
    looks = iter([profile(tags=[])])
    stage.answers["send"] = lambda envelope: next(answers)
    stage.answers["profile.get"] = lambda envelope: next(looks, known) if name == "live-coupon" else known
    async with stage.worker():
        handle = await stage.start(text_of(name), f"journeys/{name}/morning", given)
        await handle.signal(EVENT_SIGNAL, Events([gained(timedelta()).event.envelope()]))
        assert await asyncio.wait_for(handle.result(), 30) == {"result": "reminded", "reason": None}
    assert [call.call for call in stage.calls].count("send") == 2
