"""What every call gets around it: repeated when it may be, and never done twice."""

from typing import Any

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.binding import Activity, CallBinder, CallContext, Implementation
from domain.calls import Arguments, Call, Result
from domain.problems import ConflictProblem, ProblemError, Text, UnavailableProblem
from storage.effects import EffectRow
from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from workflows.messages import CallEnvelope


class PayArguments(Arguments):
    amount_minor: int


class PayOutput(Result):
    resumed: bool


PAY: Call[PayArguments, PayOutput] = Call(
    name="test.pay", title=Text("付款", "Pay"), input=PayArguments, output=PayOutput, effect="keyed", moves_money=True
)


class NoSecrets:
    async def reveal(self, value: Any) -> Any:
        return value


class Payments:
    """Fails with these, one attempt after the other, then pays; `resumed` as each attempt was told."""

    def __init__(self, *failures: ProblemError) -> None:
        self.failures = list(failures)
        self.resumed: list[bool] = []

    async def pay(self, request: PayArguments, context: CallContext) -> PayOutput:
        self.resumed.append(context.resumed)
        if self.failures:
            raise self.failures.pop(0)
        return PayOutput(resumed=context.resumed)


def bound(database: Database, implementation: Implementation) -> Activity:
    return CallBinder(database, NoSecrets()).bind(PAY, implementation)


async def attempt(activity: Activity) -> Any:
    """One attempt of the same call; the failure as Temporal gets it, if it fails."""
    envelope = CallEnvelope(PAY.name, {"amount_minor": 100}, "key-1", "flow/test/pay/1", "/do/0/pay")
    try:
        return await ActivityEnvironment().run(activity, envelope)
    except ApplicationError as failure:
        return failure


async def test_a_database_that_is_away_fails_no_call_for_good(tmp_path: Any) -> None:
    database = Database(f"postgresql://postgres@/tandem?host={tmp_path}", Keyring({"k1": b"1" * 32}))
    failure = await attempt(bound(database, Payments().pay))
    await database.close()
    assert failure.type == UnavailableProblem.type
    assert not failure.non_retryable


async def test_what_broke_after_the_platform_was_asked_is_queried_before_it_is_done_again(database: Database) -> None:
    payments = Payments(UnavailableProblem(Text("数据库暂时无法响应", "The database is away")))
    activity = bound(database, payments.pay)
    assert not (await attempt(activity)).non_retryable
    assert await attempt(activity) == {"resumed": True}
    assert payments.resumed == [False, True]


async def test_what_was_certainly_not_done_is_done_without_asking(database: Database) -> None:
    busy = UnavailableProblem(Text("忙", "Busy"), retryable=True, outcome="not_done")
    payments = Payments(busy)
    activity = bound(database, payments.pay)
    await attempt(activity)
    assert await attempt(activity) == {"resumed": False}


async def test_a_done_call_answers_again_without_acting(database: Database) -> None:
    payments = Payments()
    activity = bound(database, payments.pay)
    assert await attempt(activity) == await attempt(activity)
    assert len(payments.resumed) == 1
    async with UnitOfWork(database) as work:
        (effect,) = await work.session.scalars(select(EffectRow))
    assert effect.moves_money, "its record is kept as that of a payment"


@pytest.mark.parametrize("members", [{}, {"retryable": False, "outcome": "not_done"}])
async def test_a_refusal_reaches_the_flow_at_once(database: Database, members: dict[str, Any]) -> None:
    refusal = ConflictProblem(Text("退款单已关闭", "The refund is closed"), **members)
    failure = await attempt(bound(database, Payments(refusal).pay))
    assert failure.non_retryable
    assert failure.details[0]["status"] == 409
