"""Reaching customers: may they be reached now, and what was done about it."""

from dataclasses import dataclass

from domain.catalog.messages import SendArguments, SendOutput
from domain.journeys.reach import Customer, ReachPolicy, SkippedReason, skip_reason
from domain.problems import NotFoundProblem, Text
from domain.resources import Message
from storage.definitions import Definitions
from storage.engine import Database
from storage.reach import Touches, TouchRow
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a customer is reached: the effect's key, the run, and the step."""

    key: str
    run_id: str
    reference: str


class ReachService:
    """The house rules of reaching people, over the record of every touch."""

    def __init__(self, database: Database, policy: ReachPolicy | None = None) -> None:
        self._database = database
        self._policy = policy or ReachPolicy()

    async def template(self, name: str) -> str:
        """The text of the message template in force. Raises NotFoundProblem."""
        async with UnitOfWork(self._database) as work:
            version = await Definitions(work).in_force("message", name)
        if version is None:
            raise NotFoundProblem(
                Text(f"没有名为“{name}”的已发布消息模板", f"There is no published message template “{name}”"),
                retryable=False,
            )
        return Message.model_validate(version.properties).text

    async def refusal(self, request: SendArguments) -> SkippedReason | None:
        """Why the message must not go out now; None when it may."""
        async with UnitOfWork(self._database) as work:
            since = work.now - self._policy.looks_back
            sent_at = await Touches(work).marketing_sent_at(request.channel, request.to, since)
            return skip_reason(self._policy, Customer(marketing_sent_at=sent_at), request.purpose, work.now)

    async def record(self, request: SendArguments, output: SendOutput, cause: Cause) -> None:
        """Note the touch, once per key."""
        async with UnitOfWork(self._database) as work:
            await Touches(work).record(
                TouchRow(
                    key=cause.key,
                    channel=request.channel,
                    recipient=request.to,
                    purpose=request.purpose,
                    run_id=cause.run_id,
                    reference=cause.reference,
                    template=request.template,
                    skipped_reason=output.skipped_reason,
                    message_id=output.message_id,
                    at=work.now,
                )
            )
