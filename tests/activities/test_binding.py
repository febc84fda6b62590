"""What every call gets around it: repeated when it may be, and never done twice."""

from typing import Any

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.binding import Activity, CallBinder, CallContext, Implementation, SecretValues
from connectors.errors import asked_first
from domain.calls import Arguments, Call, Result
from domain.problems import (
    AuthorizationProblem,
    CommunicationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    Text,
    TimeoutProblem,
    UnavailableProblem,
)
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


class LostSecrets:
    """Secrets that are taken away after the first attempt."""

    def __init__(self) -> None:
        self.asked = 0

    async def reveal(self, value: Any) -> Any:
        self.asked += 1
        if self.asked > 1:
            raise AuthorizationProblem(Text("没有密钥 shop-key", "There is no secret shop-key"))
        return value


def bound(database: Database, implementation: Implementation, secrets: SecretValues | None = None) -> Activity:
    return CallBinder(database, secrets or NoSecrets()).bind(PAY, implementation)


def no_answer() -> TimeoutProblem:
    return TimeoutProblem(Text("没有应答", "No answer"), retryable=True, outcome="unknown")


async def ledger_of(database: Database) -> str:
    async with UnitOfWork(database) as work:
        (effect,) = await work.session.scalars(select(EffectRow))
    return effect.state


async def attempt(activity: Activity) -> Any:
    """One attempt of the same call; the failure as Temporal gets it, if it fails."""
    return await attempt_of(activity, PAY.name, {"amount_minor": 100})


async def attempt_of(activity: Activity, call: str, arguments: dict[str, Any]) -> Any:
    """As `attempt`, of any call."""
    envelope = CallEnvelope(call, arguments, "key-1", "flow/test/pay/1", "/do/0/pay")
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


@pytest.mark.parametrize(
    "later",
    [
        NotFoundProblem(Text("账号已停用", "The account is disconnected")),
        AuthorizationProblem(Text("店铺已取消授权", "Not authorised any more"), retryable=False, outcome="not_done"),
        CommunicationProblem(Text("限流", "Too often"), retryable=True, outcome="not_done"),
    ],
    ids=["disconnected", "unauthorised", "busy"],
)
async def test_what_keeps_a_later_attempt_from_acting_says_nothing_of_the_earlier(
    database: Database, later: ProblemError
) -> None:
    payments = Payments(no_answer(), later)
    activity = bound(database, payments.pay)
    await attempt(activity)
    told = (await attempt(activity)).details[0]
    assert (told["status"], told["outcome"]) == (later.problem.status, "unknown"), "the flow must not pay another way"
    assert await ledger_of(database) == "unknown"
    assert await attempt(activity) == {"resumed": True}


async def test_a_secret_that_is_gone_says_nothing_of_an_earlier_attempt(database: Database) -> None:
    payments = Payments(no_answer())
    activity = bound(database, payments.pay, LostSecrets())
    await attempt(activity)
    assert (await attempt(activity)).details[0]["outcome"] == "unknown"
    assert await ledger_of(database) == "unknown"


async def test_a_refusal_after_the_platform_was_asked_is_certain(database: Database) -> None:
    refusal = ConflictProblem(Text("余额不足", "Too little money"), retryable=False, outcome="not_done")
    payments = Payments(no_answer())

    async def pay(request: PayArguments, context: CallContext) -> PayOutput:
        if not context.resumed:
            return await payments.pay(request, context)
        with asked_first():
            raise refusal

    activity = bound(database, pay)
    await attempt(activity)
    told = (await attempt(activity)).details[0]
    assert (told["outcome"], await ledger_of(database)) == ("not_done", "failed")


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
