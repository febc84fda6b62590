"""The flagship flow, path by path, as operations and finance expect it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.catalog import CATALOG
from domain.dsl.definition import parse_definition
from domain.dsl.dry_run import HUMAN_TASK_COMPLETED, HUMAN_TASK_FAILED, RunResult, Scenario, TimedEvent, dry_run
from domain.dsl.host import CallRequest
from domain.dsl.program import Program
from domain.events import Event
from domain.problems import (
    AuthorizationProblem,
    CommunicationProblem,
    ConflictProblem,
    ProblemError,
    RateLimitProblem,
    Text,
    TimeoutProblem,
)

TEXT = Path("definitions/apparel/return-refund.yaml").read_text(encoding="utf-8")
DEFINITION = parse_definition(TEXT)
REFUND = "202611230001"
DAY = 86_400

Answers = dict[str, dict[str, Any] | Callable[[], dict[str, Any]]]


def person(after_s: float, task: str, **form: Any) -> TimedEvent:
    """Somebody completes a step so long after the start."""
    data = {"task": task, "form": form}
    event = Event(id=f"{task}-{after_s}", source="/people", type=HUMAN_TASK_COMPLETED, data=data)
    return TimedEvent(timedelta(seconds=after_s), event)


def gives_up(after_s: float, task: str, comment: str) -> TimedEvent:
    """Somebody declares a step failed so long after the start."""
    data = {"task": task, "form": {}, "comment": comment}
    event = Event(id=f"{task}-{after_s}", source="/people", type=HUMAN_TASK_FAILED, data=data)
    return TimedEvent(timedelta(seconds=after_s), event)


def happens(after_s: float, kind: str, **data: Any) -> TimedEvent:
    """Something happens at the shop."""
    return TimedEvent(timedelta(seconds=after_s), Event(id=f"{kind}-{after_s}", source="/shop", type=kind, data=data))


def play(*events: TimedEvent, answers: Answers | None = None, amount_minor: int = 29_900) -> RunResult:
    """The flow over a refund of that amount; `answers` override what platforms say."""
    refund = {**CATALOG["youzan.get_refund"].example, "amount_minor": amount_minor}
    said: Answers = {"youzan.get_refund": refund, **(answers or {})}

    def perform(request: CallRequest) -> dict[str, Any]:
        answer = said.get(request.call.name, dict(request.call.example))
        return answer() if callable(answer) else answer

    trigger = {"data": {"account": "demo-apparel", "refund_id": REFUND, "platform": "youzan"}}
    scenario = Scenario(input=[trigger], events=events, subject=f"refund:{REFUND}", perform=perform)
    return dry_run(Program(DEFINITION.flow, DEFINITION.data), CATALOG, scenario)


def silent_at_first(times: int, answer: dict[str, Any], problem: ProblemError) -> Callable[[], dict[str, Any]]:
    """What a platform says that fails so often before it answers."""
    left = [problem] * times

    def say() -> dict[str, Any]:
        if left:
            raise left.pop()
        return answer

    return say


def calls(result: RunResult, name: str) -> list[dict[str, Any]]:
    return [call["arguments"] for call in result.calls if call["call"] == name]


def test_intact_goods_under_the_limit_are_refunded_without_finance() -> None:
    result = play(person(3600, "inspect", grade="A"))
    assert result.output == {
        "result": "refunded",
        "refund_id": REFUND,
        "amount_minor": 29_900,
        "message": {"sent": True, "skipped_reason": None},
        "tagged": True,
    }
    assert len(calls(result, "youzan.agree_refund")) == 1
    assert "approve" not in {task["name"] for task in result.tasks}
    assert result.emitted[-1]["type"] == "apparel.return.closed"


def test_refunds_over_the_limit_wait_for_finance() -> None:
    result = play(person(60, "inspect", grade="A"), person(120, "approve", approved=True), amount_minor=50_001)
    assert result.output["result"] == "refunded"
    assert calls(result, "youzan.agree_refund")[0]["amount_minor"] == 50_001


def test_exactly_the_limit_needs_no_finance() -> None:
    result = play(person(60, "inspect", grade="A"), amount_minor=50_000)
    assert result.output["result"] == "refunded"


SOLD = {
    **CATALOG["youzan.get_trade"].example,
    "lines": [{**line, "item_id": "2001000000"} for line in CATALOG["youzan.get_trade"].example["lines"]],
}


@pytest.mark.parametrize(("unconditional", "asked"), [(False, True), (True, False), (None, False)])
def test_what_the_shop_does_not_take_back_without_a_reason_needs_finance(
    unconditional: bool | None, asked: bool
) -> None:
    rule = {"item_id": "2001000000", "unconditional": unconditional}
    answers: Answers = {"youzan.get_trade": SOLD, "youzan.get_return_rule": rule}
    events = person(60, "inspect", grade="A"), person(120, "approve", approved=True)
    result = play(*events, answers=answers)
    assert result.output["result"] == "refunded"
    assert calls(result, "youzan.get_return_rule")[0]["item_id"] == "2001000000"
    assert ("approve" in {task["name"] for task in result.tasks}) is asked


def test_a_rule_that_cannot_be_read_keeps_nobody_waiting() -> None:
    def silent() -> dict[str, Any]:
        raise AuthorizationProblem(Text("没有权限", "Not permitted"), retryable=False)

    answers: Answers = {"youzan.get_trade": SOLD, "youzan.get_return_rule": silent}
    result = play(person(60, "inspect", grade="A"), answers=answers)
    assert result.output["result"] == "refunded"


def test_what_finance_rejects_is_refused_with_its_reason() -> None:
    events = person(60, "inspect", grade="A"), person(120, "approve", approved=False, reason="订单异常")
    result = play(*events, amount_minor=60_000)
    assert result.output["result"] == "refused"
    assert calls(result, "youzan.refuse_refund")[0]["reason"] == "订单异常"
    assert calls(result, "youzan.agree_refund") == []
    assert calls(result, "send")[0]["template"] == "refund-refused"


def test_a_slow_finance_is_escalated_to_its_lead() -> None:
    events = person(60, "inspect", grade="A"), person(2 * DAY, "approveByLead", approved=True)
    result = play(*events, amount_minor=60_000)
    assert result.output["result"] == "refunded"
    statuses = {task["name"]: task["status"] for task in result.tasks}
    assert statuses["approve"] == "faulted"
    assert statuses["approveByLead"] == "completed"


@pytest.mark.parametrize(
    ("task", "lead", "form", "before"),
    [
        ("inspect", "inspectByLead", {"grade": "A"}, ()),
        ("settleWithCustomer", "settleByLead", {"decision": "refund"}, (person(60, "inspect", grade="B"),)),
        ("approve", "approveByLead", {"approved": True}, (person(60, "inspect", grade="A"),)),
    ],
)
def test_what_somebody_cannot_do_goes_to_a_lead_with_the_reason(
    task: str, lead: str, form: dict[str, Any], before: tuple[TimedEvent, ...]
) -> None:
    amount = 60_000 if task == "approve" else 29_900
    result = play(*before, gives_up(120, task, "包裹丢失"), person(180, lead, **form), amount_minor=amount)
    assert result.output["result"] == "refunded"
    errors = {each["name"]: each.get("error", {}) for each in result.tasks}
    assert (errors[task]["status"], errors[task]["detail"]) == (422, "包裹丢失")


@pytest.mark.parametrize(("decision", "ending"), [("refund", "refunded"), ("refuse", "refused")])
def test_a_negotiation_without_an_end_is_the_leads_decision(decision: str, ending: str) -> None:
    events = person(60, "inspect", grade="B"), person(6 * DAY, "settleByLead", decision=decision)
    assert play(*events).output["result"] == ending


@pytest.mark.parametrize(
    ("last", "before", "amount"),
    [
        ("inspectByLead", (), 29_900),
        ("settleByLead", (person(60, "inspect", grade="B"),), 29_900),
        ("approveByLead", (person(60, "inspect", grade="A"),), 60_000),
    ],
)
def test_a_lead_who_does_not_act_either_fails_the_run_before_any_money_moves(
    last: str, before: tuple[TimedEvent, ...], amount: int
) -> None:
    result = play(*before, amount_minor=amount)
    assert result.error is not None
    assert (result.status, result.error["status"]) == ("faulted", 408)
    assert result.error["instance"].endswith(f"/{last}")
    assert calls(result, "youzan.agree_refund") == []


def test_a_slow_warehouse_is_escalated_to_its_lead() -> None:
    result = play(person(3 * DAY, "inspectByLead", grade="A"))
    assert result.output["result"] == "refunded"


@pytest.mark.parametrize(("decision", "ending"), [("refund", "refunded"), ("refuse", "refused")])
def test_worn_goods_are_settled_with_the_customer(decision: str, ending: str) -> None:
    result = play(person(60, "inspect", grade="B"), person(120, "settleWithCustomer", decision=decision))
    assert result.output["result"] == ending


def test_foreign_goods_are_refused() -> None:
    result = play(person(60, "inspect", grade="C", note="非本店商品"))
    assert result.output["result"] == "refused"
    assert calls(result, "youzan.refuse_refund")[0]["reason"] == "非本店商品"


def test_a_refund_without_goods_skips_the_parcel_and_the_inspection() -> None:
    refund = {**CATALOG["youzan.get_refund"].example, "returns_goods": False}
    result = play(answers={"youzan.get_refund": refund})
    assert result.output["result"] == "refunded"
    assert calls(result, "youzan.track_waybill") == []


def test_the_parcel_is_looked_for_until_it_arrives() -> None:
    states = iter(["none", "in_transit", "in_transit", "signed"])
    answers: Answers = {"youzan.track_waybill": lambda: {"state": next(states)}}
    result = play(person(DAY, "inspect", grade="A"), answers=answers)
    assert result.output["result"] == "refunded"
    assert len(calls(result, "youzan.track_waybill")) == 4


def test_the_news_that_the_parcel_was_sent_is_looked_into_at_once() -> None:
    states = iter(["none", "signed"])
    answers: Answers = {"youzan.track_waybill": lambda: {"state": next(states)}}
    events = happens(600, "tandem.refund.returned", refund_id=REFUND), person(601, "inspect", grade="A")
    result = play(*events, answers=answers)
    assert result.virtual_s < 700


def test_a_parcel_that_never_comes_is_a_persons_decision() -> None:
    answers: Answers = {"youzan.track_waybill": {"state": "in_transit"}}
    result = play(person(15 * DAY + 60, "parcelOverdue", decision="give-up"), answers=answers)
    assert result.status == "faulted"
    assert result.error is not None
    assert result.error["type"] == "https://tandem-scrm.org/problems/parcel-never-came"
    assert calls(result, "youzan.agree_refund") == []


TROUBLES = [CommunicationProblem("busy", status=503), TimeoutProblem("silent"), RateLimitProblem("slow down")]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda problem: str(problem.status))
@pytest.mark.parametrize("times", [2, 9])
def test_a_carrier_that_does_not_answer_is_asked_again(trouble: ProblemError, times: int) -> None:
    """For a while, and for half a day: nobody is told that the parcel is overdue, and the run does not fail."""
    carrier = silent_at_first(times, {"state": "signed"}, trouble)
    result = play(person(2 * DAY, "inspect", grade="A"), answers={"youzan.track_waybill": carrier})
    assert result.output["result"] == "refunded"
    assert "parcelOverdue" not in {task["name"] for task in result.tasks}
    assert len(calls(result, "youzan.track_waybill")) == times + 1


def test_a_carrier_that_never_answers_is_a_persons_decision_after_fifteen_days() -> None:
    def silent() -> dict[str, Any]:
        raise TimeoutProblem("silent")

    events = person(16 * DAY, "parcelOverdue", decision="received"), person(17 * DAY, "inspect", grade="A")
    result = play(*events, answers={"youzan.track_waybill": silent})
    assert result.output["result"] == "refunded"
    assert result.virtual_s > 15 * DAY


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda problem: str(problem.status))
@pytest.mark.parametrize("name", ["youzan.get_refund", "youzan.get_trade"])
def test_a_shop_that_is_away_for_hours_fails_no_run(name: str, trouble: ProblemError) -> None:
    answers: Answers = {name: silent_at_first(4, dict(CATALOG[name].example), trouble)}
    result = play(person(DAY, "inspect", grade="A"), answers=answers)
    assert result.output["result"] == "refunded"


@pytest.mark.parametrize("name", ["youzan.get_refund", "youzan.get_trade", "youzan.track_waybill"])
def test_a_shop_that_forbids_the_reading_fails_the_run_at_once(name: str) -> None:
    def forbidden() -> dict[str, Any]:
        raise AuthorizationProblem("no permission")

    result = play(answers={name: forbidden})
    assert result.error is not None
    assert (result.status, result.error["status"], result.virtual_s) == ("faulted", 403, 0)


def test_a_refund_that_the_platform_will_not_make_goes_to_finance_by_hand() -> None:
    def refused() -> dict[str, Any]:
        raise ConflictProblem("another amount")

    events = person(60, "inspect", grade="A"), person(120, "refundByHand", settled=True, voucher="V1")
    result = play(*events, answers={"youzan.agree_refund": refused})
    assert result.output["result"] == "refunded"
    assert len(calls(result, "send")) == 1


@pytest.mark.parametrize("grade", ["A", "C"])
def test_a_request_withdrawn_before_the_shop_decides_is_nobodys_task(grade: str) -> None:
    def closed() -> dict[str, Any]:
        raise ConflictProblem("closed", refund_status="closed")

    answers: Answers = {"youzan.agree_refund": closed, "youzan.refuse_refund": closed}
    result = play(person(60, "inspect", grade=grade), answers=answers)
    assert result.output == {"result": "settled-elsewhere", "status": "closed"}
    assert "refundByHand" not in {task["name"] for task in result.tasks}
    assert calls(result, "send") == []


def test_a_refusal_that_the_platform_will_not_take_fails_the_run_for_someone_to_look_at() -> None:
    def refused() -> dict[str, Any]:
        raise ConflictProblem("not allowed")

    result = play(person(60, "inspect", grade="C"), answers={"youzan.refuse_refund": refused})
    assert result.status == "faulted"


def test_a_withdrawn_request_ends_the_flow_and_takes_the_tasks_back() -> None:
    result = play(happens(3600, "tandem.refund.closed", refund_id=REFUND))
    assert result.output == {"result": "withdrawn", "refund_id": REFUND}
    assert {task["name"]: task["status"] for task in result.tasks}["inspect"] == "cancelled"
    assert calls(result, "youzan.agree_refund") == []


def test_another_refunds_withdrawal_changes_nothing() -> None:
    events = happens(60, "tandem.refund.closed", refund_id="other"), person(120, "inspect", grade="A")
    assert play(*events).output["result"] == "refunded"


@pytest.mark.parametrize("status", ["refunded", "closed", "refused"])
def test_what_is_settled_already_is_left_alone(status: str) -> None:
    refund = {**CATALOG["youzan.get_refund"].example, "status": status}
    result = play(answers={"youzan.get_refund": refund})
    assert result.output == {"result": "settled-elsewhere", "status": status}
    assert [call["call"] for call in result.calls] == ["youzan.get_refund"]


def test_a_customer_who_is_nobodys_contact_is_refunded_all_the_same() -> None:
    answers: Answers = {"wecom.find_customer": {"found": False, "external_userid": None}}
    result = play(person(60, "inspect", grade="A"), answers=answers)
    assert result.output["result"] == "refunded"
    assert calls(result, "send") == []
    assert calls(result, "wecom.add_tag") == []


def test_a_chat_platform_that_is_down_does_not_hold_the_money_back() -> None:
    def down() -> dict[str, Any]:
        raise CommunicationProblem("down", status=503)

    answers: Answers = {"send": down, "wecom.add_tag": down}
    result = play(person(60, "inspect", grade="A"), answers=answers)
    assert result.output["result"] == "refunded"
    assert result.output["message"]["sent"] is False
    assert result.output["tagged"] is False
