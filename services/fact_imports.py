"""Facts from a table, taken over as a whole: every row is looked at first, and nothing is noted while one is wrong.

Named after payee and day, or by a key, a row is noted once: the same table again changes nothing. All of it becomes
visible together, so that no calculation is frozen with half of a table.
"""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

from connectors.files import open_table
from domain.access import Actor, Permission
from domain.imports import RowError
from domain.imports.mapping import ImportMapping
from domain.problems import ConflictProblem, Text, ValidationProblem
from domain.settlement.fact_rows import FactLine, FactTable
from services.payee_refusals import noted_otherwise, unknown_fact
from storage.audit import AuditLog
from storage.engine import Database
from storage.fact_names import FactNames
from storage.payee_facts import Contradicted, PayeeFact, PayeeFacts
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork

AT_ONCE = 5_000
"""How many rows are held, looked at and written at a time."""
MOST_ROWS = 300_000
_CHUNK = 1 << 20
_SHAPE = ImportMapping(record="payee", fields={})

OnError = Callable[[RowError], None]


@dataclass(frozen=True, slots=True)
class FactImport:
    """What became of a table. rows: read; refused: that are wrong, and while there are any nothing is stored; new:
    facts noted now; known: noted before. digest: of the file. stored: whether it was taken over."""

    digest: str
    rows: int = 0
    refused: int = 0
    new: int = 0
    known: int = 0
    stored: bool = False


class FactImports:
    """Tables of facts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(
        self, actor: Actor, file: BinaryIO, name: str, on_error: OnError, *, dry_run: bool = False
    ) -> FactImport:
        """Take over a seekable file's table; what is wrong with a row is told to `on_error`.

        :raises AuthorizationProblem: not allowed. :raises ValidationProblem: no table, a column that is missing or
            unknown, too many rows. :raises ConflictProblem: somebody noted otherwise, or changed the file, meanwhile.
        """
        actor.require(Permission.PAYEES_MANAGE)
        outcome = await self._checked(actor, file, FactImport(await asyncio.to_thread(_digest, file)), on_error)
        if outcome.refused or dry_run:
            return outcome
        async with UnitOfWork(self._database) as work:
            with open_table(file, _SHAPE) as opened:
                rows = FactTable(opened).lines()
                while found := await _next(rows):
                    outcome = replace(outcome, new=outcome.new + await self._note(work, actor, found))
            if await asyncio.to_thread(_digest, file) != outcome.digest:
                raise _changed()
            outcome = replace(outcome, known=outcome.rows - outcome.new, stored=True)
            told = {"file": name[:200], "digest": outcome.digest, "rows": outcome.rows, "new": outcome.new}
            await AuditLog(work).record(actor, "payee.facts.import", "payees", told)
        return outcome

    async def _note(self, work: UnitOfWork, actor: Actor, found: Sequence[FactLine | list[RowError]]) -> int:
        """How many facts that were not noted before."""
        lines = [each for each in found if isinstance(each, FactLine)]
        placed = await Payees(work).placed({each.fact.code for each in lines})
        facts = _facts(lines, {code: payee for code, (payee, _) in placed.items()})
        if len(facts) < len(found):
            raise _changed()
        new = await PayeeFacts(work).add(facts, actor.login)
        if (other := await PayeeFacts(work).contradicted(facts)) is not None:
            raise noted_otherwise(lines[other.place].fact, other)
        return new

    async def _checked(self, actor: Actor, file: BinaryIO, outcome: FactImport, on_error: OnError) -> FactImport:
        """How many rows there are, and how many of them are wrong."""
        async with UnitOfWork(self._database) as work:
            known = await FactNames(work).known()
        with open_table(file, _SHAPE) as opened:
            table = FactTable(opened)
            rows = table.lines()
            while found := await _next(rows):
                errors = [error for each in found if not isinstance(each, FactLine) for error in each]
                lines = [each for each in found if isinstance(each, FactLine)]
                errors += await self._refused(actor, lines, known, table)
                for error in sorted(errors, key=lambda each: each.line):
                    on_error(error)
                refused = len({error.line for error in errors})
                outcome = replace(outcome, rows=outcome.rows + len(found), refused=outcome.refused + refused)
                if outcome.rows > MOST_ROWS:
                    raise ValidationProblem(
                        Text(
                            f"表格超过 {MOST_ROWS} 行，未做任何改动；请拆成几个文件",
                            f"The table has more than {MOST_ROWS:,} rows, and nothing was changed: split the file",
                        )
                    )
        return outcome

    async def _refused(
        self, actor: Actor, lines: Sequence[FactLine], known: Collection[str], table: FactTable
    ) -> list[RowError]:
        """Facts of payees whom the person does not see, that no scheme goes by, or that were noted otherwise."""
        async with UnitOfWork(self._database) as work:
            placed = await Payees(work).placed({each.fact.code for each in lines})
            payees = {code: payee for code, (payee, placement) in placed.items() if actor.sees(placement)}
            seen = [each for each in lines if each.fact.code in payees]
            others = await PayeeFacts(work).contradictions(_facts(seen, payees))
        errors = [RowError(each.line, table.title("code"), _UNKNOWN) for each in lines if each.fact.code not in payees]
        errors += [
            RowError(each.line, table.title("name"), unknown_fact(each.fact.name, known))
            for each in lines
            if each.fact.name not in known
        ]
        errors += [RowError(seen[each.place].line, table.title("amount"), _otherwise(each)) for each in others]
        return errors


async def _next(rows: Iterator[FactLine | list[RowError]]) -> Sequence[FactLine | list[RowError]]:
    """The rows that come next, read elsewhere than where others wait."""
    return await asyncio.to_thread(lambda: list(islice(rows, AT_ONCE)))


def _facts(lines: Sequence[FactLine], payees: dict[str, int]) -> list[PayeeFact]:
    """To be noted, of those who are there."""
    told = [each.fact for each in lines if each.fact.code in payees]
    return [PayeeFact(payees[each.code], each.name, each.day, each.amount, each.key) for each in told]


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _changed() -> ConflictProblem:
    return ConflictProblem(
        Text(
            "文件或收款人在导入期间被改动，未做任何改动；请重新导入",
            "The file or the payees were changed while it was read, and nothing was changed here: import it again",
        )
    )


def _otherwise(noted: Contradicted) -> Text:
    return Text(
        f"已记为 {noted.day} {noted.amount}；要更正或另记一次，请在 key 列写一个新的 key（计数用负数冲减，"
        "考核分以最后一次为准）",
        f"noted as {noted.amount} on {noted.day}; to correct it or note another, give a new key in a column `key` "
        "(counts are taken back by less than nothing, of scores the last one counts)",
    )


_UNKNOWN = Text("没有这位收款人，或不在您的数据范围内", "no such payee within your data scope")
