"""What a bank answers to a file of payouts: taken over row by row, booked with the state, and never twice.

A file of the wrong shape is refused as a whole. A row that is wrong holds up no other one; a row that contradicts what
was answered before is a break, which two people work through: it changes nothing by itself.
"""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from connectors.files import open_table
from domain.access import Actor, Permission
from domain.ids import content_digest
from domain.imports import RowError
from domain.imports.mapping import ImportMapping
from domain.money import minor_from_major
from domain.problems import ConflictProblem, ProblemError, Text
from domain.settlement.bank_answers import Answer, AnswerRow, read_answer
from domain.settlement.payouts import State
from services.bank_breaks import Contradiction, keep_contradictions
from services.bank_payouts import no_file
from services.overdue_payouts import ANSWERED_WITHIN, end_overdue
from services.payout_booking import settle
from services.payout_planning import batch_of
from storage.audit import AuditLog
from storage.bank_files import BankFiles
from storage.bills import Bills
from storage.engine import Database
from storage.ledger import AccountKind
from storage.payouts import End, PayoutRow, Payouts
from storage.unit_of_work import UnitOfWork

_AT_ONCE = 500
_MOST_TOLD = 50
_HAS_LEFT = Text(
    "银行流水里有这笔付款付出的钱，不按失败处理；确已退回的，先导入退回那天的流水，再导入这份回单",
    "a statement has money that left for it, so it did not fail; if it came back, take in the statement of that day "
    "first, then this answer again",
)
_AHEAD = timedelta(days=1)
"""How much later than ours a bank's clock may be."""


@dataclass(frozen=True, slots=True)
class Break:
    """A row that contradicts what is known of a payout: which, and how."""

    number: str
    error: RowError


@dataclass(slots=True)
class AnswerOutcome:
    """What became of an answer. paid, failed: moved now; known: answered so before; pending: the bank is still at it;
    open: payouts in the file or batch that are not answered; digest: of the answer's bytes."""

    digest: str
    rows: int = 0
    paid: int = 0
    paid_minor: int = 0
    failed: int = 0
    failed_minor: int = 0
    known: int = 0
    pending: int = 0
    open: int = 0
    errors: list[RowError] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Target:
    """What an answer is for: a batch, or one file of it."""

    batch: UUID
    scheme: str
    files: frozenset[str]
    name: str


class BankAnswers:
    """Answers of banks, taken over by finance with a scope of everything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def import_answer(self, actor: Actor, target: UUID | str, content: bytes) -> AnswerOutcome:
        """Take over a CSV or XLSX answer to a batch (its id) or a file (its number). Handed in again, it changes
        nothing.

        :raises NotFoundProblem: no such batch or file. :raises ValidationProblem: no table, or one of the wrong shape.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        actor.require_everything()
        found = await self._target(target)
        answer = await asyncio.to_thread(_read, content)
        outcome = AnswerOutcome(content_digest(content), len(answer.rows) + len(answer.errors))
        outcome.errors += answer.errors
        for start in range(0, len(answer.rows), _AT_ONCE):
            await self._take(actor, found, answer.rows[start : start + _AT_ONCE], outcome)
        outcome.errors.sort()
        async with UnitOfWork(self._database) as work:
            files = BankFiles(work)
            outcome.open = sum([await files.open(each) for each in sorted(found.files)])
            await AuditLog(work).record(actor, "bank-file.answer", found.name, _detail(outcome))
        return outcome

    async def _target(self, target: UUID | str) -> _Target:
        async with UnitOfWork(self._database) as work:
            if isinstance(target, str):
                file = await BankFiles(work).find(target)
                if file is None:
                    raise no_file(target)
                scheme = (await batch_of(work, file.batch)).scheme
                return _Target(file.batch, scheme, frozenset({file.number}), f"bank-file:{target}")
            scheme = (await batch_of(work, target)).scheme
            files = await BankFiles(work).of_batch(target)
            return _Target(target, scheme, frozenset(each.number for each in files), f"payout-batch:{target}")

    async def _take(self, actor: Actor, target: _Target, rows: Sequence[AnswerRow], outcome: AnswerOutcome) -> None:
        """Some rows, with what they book, in one unit of work; counted when it is written."""
        some = AnswerOutcome(outcome.digest)
        async with UnitOfWork(self._database) as work:
            payouts = await Payouts(work).locked([each.number for each in rows])
            booked: list[tuple[PayoutRow, AccountKind]] = []
            ends: list[End] = []
            contradicted: list[Contradiction] = []
            left = await Bills(work).left_for({row.number for row in rows if row.result == "failed"})
            for row in rows:
                payout = payouts.get(row.number)
                if payout is None or payout.batch != target.batch or payout.file not in target.files:
                    reason = Text("这批付款文件里没有这个编号", "no payout of this number is in these files")
                    some.errors.append(RowError(row.line, "", reason))
                elif (wrong := _unlike(payout, row, work.now)) is not None:
                    some.errors.append(RowError(row.line, "", wrong))
                elif row.result == "pending":
                    some.pending += 1
                elif (contradiction := _contradiction(payout, row)) is not None:
                    some.breaks.append(Break(row.number, RowError(row.line, "", contradiction)))
                    contradicted.append(Contradiction(payout, row))
                elif payout.state == row.result:
                    some.known += 1
                elif row.number in left:
                    some.errors.append(RowError(row.line, "", _HAS_LEFT))
                else:
                    ends.append(_end_of(payout, row))
                    booked.append((payout, _counted(payout, row, some)))
            if await Payouts(work).end(ends) != len(ends):
                raise ConflictProblem(Text("付款已被别处改动，请重新导入", "Payouts were changed meanwhile: try again"))
            await settle(work, booked)
            for payout, _ in booked:
                if payout.first_sent_at is not None and work.now - payout.first_sent_at > ANSWERED_WITHIN:
                    await end_overdue(work, payout)
            await keep_contradictions(work, target.scheme, contradicted)
        for name in ("paid", "paid_minor", "failed", "failed_minor", "known", "pending"):
            setattr(outcome, name, getattr(outcome, name) + getattr(some, name))
        outcome.errors += some.errors
        outcome.breaks += some.breaks


def _read(content: bytes) -> Answer:
    with open_table(io.BytesIO(content), ImportMapping(record="bank-answer", fields={})) as table:
        return read_answer(table)


def _unlike(payout: PayoutRow, row: AnswerRow, now: datetime) -> Text | None:
    """Why a row cannot be about the payout that has its number."""
    if payout.state in ("created", "reserved"):
        return Text("这笔付款不在银行手中", "the bank does not have this payout")
    if row.currency is not None and row.currency != payout.currency:
        return Text(f"币种应为 {payout.currency}", f"the currency of this payout is {payout.currency}")
    try:
        amount = minor_from_major(row.amount, payout.currency)
    except ProblemError:
        return Text("不是有效的金额", "this is no amount of money")
    if amount != payout.amount_minor:
        return Text("金额与付款不符", "the amount is not what the payout was")
    if row.at is not None and row.at > now + _AHEAD:
        return Text("交易时间在将来", "the time is in the future")
    return None


def _contradiction(payout: PayoutRow, row: AnswerRow) -> Text | None:
    """How a row contradicts what is known of its payout, if it does."""
    if payout.state == "cancelled":
        return Text("付款已取消，银行却有结果", "the payout was cancelled, and the bank answers it")
    if payout.state in ("paid", "failed") and payout.state != row.result:
        return Text(
            f"此前银行的结果是 {payout.state}，与这一行矛盾；已记的不改",
            f"the bank answered {payout.state} before, which this row contradicts; what is booked stays",
        )
    if payout.state == "paid" and payout.rail_number != row.serial:
        return Text(
            "此前已付款，银行流水号与这一行不同；可能付了两次",
            "it was paid before under another serial number: perhaps it was paid twice",
        )
    return None


def _counted(payout: PayoutRow, row: AnswerRow, outcome: AnswerOutcome) -> AccountKind:
    """Count a payout's end; where its sum goes."""
    if row.result == "paid":
        outcome.paid, outcome.paid_minor = outcome.paid + 1, outcome.paid_minor + payout.amount_minor
        return "bank"
    outcome.failed, outcome.failed_minor = outcome.failed + 1, outcome.failed_minor + payout.amount_minor
    return "payable"


def _end_of(payout: PayoutRow, row: AnswerRow) -> End:
    state: State = "paid" if row.result == "paid" else "failed"
    return End(payout.id, state, row.serial, None if state == "paid" else row.reason or "bank", row.at)


def _detail(outcome: AnswerOutcome) -> dict[str, object]:
    return {
        "digest": outcome.digest,
        "rows": outcome.rows,
        "paid": outcome.paid,
        "paid_minor": outcome.paid_minor,
        "failed": outcome.failed,
        "failed_minor": outcome.failed_minor,
        "known": outcome.known,
        "errors": len(outcome.errors),
        "breaks": [each.number for each in outcome.breaks[:_MOST_TOLD]],
        "more_breaks": max(len(outcome.breaks) - _MOST_TOLD, 0),
    }
