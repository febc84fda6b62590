"""The effect ledger: what was done on the outside under which idempotency key, and what came back.

An attempt writes `started` before it acts and `finished` after. Whoever finds `started` or `unknown` knows that nobody
knows, and asks the platform before acting again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Index, literal_column, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import AutoString, Field, col

from domain.calls import Attempted
from domain.problems import ConflictProblem, NotFoundProblem, Text
from storage.encryption import EncryptedJson
from storage.tables import Table, instant
from storage.unit_of_work import Repository

EffectState = Literal["started", "finished", "failed", "unknown"]


class EffectRow(Table, table=True):
    """One effect. answer: the call's result, when finished; the problem, when failed or unknown.

    started_at: when the first attempt began after which nothing is certain. changed_at: when one was heard of last that
    may have done it. moves_money: such a record is kept for
    years, whatever becomes of its run and of the call's declaration.
    """

    __tablename__ = "effects"
    key: str = Field(primary_key=True)
    call: str
    request_digest: str
    run_id: str = ""
    reference: str = ""
    state: EffectState = Field(default="started", sa_type=AutoString)
    attempts: int = 1
    answer: Any = Field(default=None, sa_type=EncryptedJson("effects.answer"), nullable=True)
    started_at: datetime = instant()
    changed_at: datetime = instant()
    moves_money: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})

    __table_args__ = (
        Index("ix_effects_run_id", "run_id"),
        Index("ix_effects_moves_money_changed_at", "moves_money", "changed_at"),
        Index("ix_effects_unsettled", "changed_at", postgresql_where=text("state IN ('started', 'unknown')")),
    )


# Written out: parameters would hide the partial index from a prepared statement.
UNSETTLED = col(EffectRow.state).in_([literal_column("'started'"), literal_column("'unknown'")])


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of an effect when an attempt begins.

    new: nobody ever tried, or it failed for certain: act. recorded: it is done, `answer` is the result: do not act.
    resumed: an attempt started and nobody knows how it ended: ask the platform first. attempted: when earlier attempts
    were at work, None for the first.
    """

    standing: Literal["new", "recorded", "resumed"]
    answer: Any = None
    attempts: int = 1
    attempted: Attempted | None = None


class Effects(Repository):
    """Effects by key. Each step is a unit of work of its own, so that a dying process leaves its trace."""

    async def begin(
        self,
        key: str,
        call: str,
        request_digest: str,
        *,
        run_id: str = "",
        reference: str = "",
        moves_money: bool = False,
        searches: bool = False,
        acts_for: timedelta = timedelta(),
    ) -> Begun:
        """Note that an attempt starts. searches: it says by `acts` when it does anything itself. acts_for: how long one
        that is cut off may still act.

        What certainly did not happen may be tried again with other arguments: nothing was done with the old ones.

        :raises ConflictProblem: the key belongs to another call, or to the same with other arguments.
        """
        statement = (
            insert(EffectRow)
            .values(
                key=key,
                call=call,
                request_digest=request_digest,
                run_id=run_id,
                reference=reference,
                moves_money=moves_money,
                state="started",
                attempts=1,
                started_at=self.now,
                changed_at=self.now,
            )
            .on_conflict_do_nothing()
            .returning(col(EffectRow.key))
        )
        if (await self.session.scalar(statement)) is not None:
            return Begun("new")
        row = await self._row(key)
        was_failed = row.state == "failed"
        if row.call != call or (row.request_digest != request_digest and not was_failed):
            raise ConflictProblem(
                Text(
                    f"幂等键 {key} 已用于另一个请求（{row.call}），不能用于 {call}。请检查流程是否改动了参数。",
                    f"The idempotency key {key} belongs to another request ({row.call}) and cannot be used for {call}. "
                    "Check whether the arguments changed between attempts.",
                ),
                key=key,
                retryable=False,
            )
        if row.state == "finished":
            return Begun("recorded", row.answer, row.attempts)
        was_cut_off = row.state == "started"
        attempted = Attempted(row.started_at, row.changed_at + acts_for if was_cut_off else row.changed_at)
        row.attempts += 1
        if was_failed:
            row.started_at = self.now
        if was_failed or not searches:
            row.request_digest, row.state, row.answer = request_digest, "started", None
            row.changed_at = self.now
        await self.session.flush()
        return Begun("new" if was_failed else "resumed", attempts=row.attempts, attempted=attempted)

    async def acts(self, key: str, attempt: int) -> None:
        """Note that no attempt has done it so far, and that this one begins to.

        :raises ConflictProblem: a later one has begun, which does not know of this one.
        """
        row = await self._row(key)
        if row.attempts != attempt:
            raise ConflictProblem(
                Text("下一次尝试已经开始，本次不再执行", "The next attempt has begun: this one does nothing more"),
                key=key,
                retryable=True,
                outcome="unknown",
            )
        row.state, row.answer = "started", None
        row.started_at = row.changed_at = self.now
        await self.session.flush()

    async def finish(self, key: str, answer: Any) -> None:
        """Record the result; a result that is there already stays."""
        await self._settle(key, "finished", answer)

    async def fail(self, key: str, problem: dict[str, Any], attempt: int) -> None:
        """Record that it certainly did not happen, unless a later attempt has begun: of that nobody knows yet."""
        await self._settle(key, "failed", problem, attempt)

    async def mark_unknown(self, key: str, problem: dict[str, Any], attempt: int) -> None:
        """Record that nobody knows whether it happened; as `fail`."""
        await self._settle(key, "unknown", problem, attempt)

    async def _settle(self, key: str, state: EffectState, answer: Any, attempt: int | None = None) -> None:
        row = await self._row(key)
        if row.state == "finished" or attempt not in (None, row.attempts):
            return
        row.state, row.answer, row.changed_at = state, answer, self.now
        await self.session.flush()

    async def _row(self, key: str) -> EffectRow:
        row = await self.session.get(EffectRow, key, with_for_update=True, populate_existing=True)
        if row is None:
            raise NotFoundProblem(Text(f"没有幂等键 {key} 的记录", f"There is no effect with the key {key}"), key=key)
        return row
