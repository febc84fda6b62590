"""What a calculation or a settlement gives to each payee as a file, CSV or XLSX, as reports are."""

from collections.abc import AsyncIterator, Sequence

from domain.access import Actor
from domain.problems import Text
from domain.settlement.given import BOOKS, REASONS
from domain.settlement.reports import Column
from services.calculation_payees import (
    Asked,
    PayeeGiven,
    Side,
    given_in,
    note_names,
    require_looking,
    sides_of,
)
from services.report_files import FileFormat, ReportFile, beside_names, table_file
from services.settlement_reports import Row, require_clear
from storage.audit import AuditLog
from storage.engine import Database
from storage.report_rows import NAME, ReportRows
from storage.unit_of_work import UnitOfWork

_COMPONENT = "component:"
"""Before the name of a component, as a column."""
_FIRST = (
    Column("payee", "payee", Text("收款人", "Payee")),
    Column("start", "day", Text("账期", "Period")),
    Column("currency", "text", Text("币种", "Currency")),
)
_LAST = (
    Column("total", "money", Text("合计", "Total")),
    Column("before", "money", Text("此前已记", "Booked before")),
    Column("difference", "money", Text("差额", "Difference")),
    Column("books", "text", Text("记作", "Booked as")),
    Column("reasons", "text", Text("为什么不同", "Why it differs")),
)


class GivenFiles:
    """Exports, each audited."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def export(
        self, actor: Actor, asked: Asked, form: FileFormat, *, unmask_for: str | None = None, locale: str = "zh"
    ) -> ReportFile:
        """All payees at one moment, in one fixed order. Raises as `GivenPayees.page` does."""
        require_looking(actor)
        require_clear(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            sides = await sides_of(work, asked)
            detail = {
                "what": "payees",
                "format": form,
                "changed": asked.changed,
                "names_in_clear": unmask_for is not None,
                "reason": unmask_for,
            }
            await AuditLog(work).record(actor, "settlement.export", asked.target, detail)
            await note_names(work, actor, asked, unmask_for)
        # A settlement that only adjusts has no period of its own among them.
        own = next((each.row for each in sides if each.row.purpose == "settlement"), sides[-1].row)
        name = f"payees_{own.scheme}_{own.start}_{own.end}"
        async with UnitOfWork(self._database) as work:
            await ReportRows(work).read_as_of_now()
            given = given_in(work, sides, changed=asked.changed, in_clear=unmask_for is not None)
            return await table_file(name, columns_of(sides), form, _rows(given, locale), locale)


def columns_of(sides: Sequence[Side]) -> list[Column]:
    """The columns of a file: a payee, each component of any of the calculations, the sums, and why."""
    titles = {name: title for side in sides for name, title in side.titles.items()}
    components = [Column(f"{_COMPONENT}{name}", "money", Text(title, title)) for name, title in titles.items()]
    return beside_names([*_FIRST, *components, *_LAST])


async def _rows(given: AsyncIterator[PayeeGiven], locale: str) -> AsyncIterator[Row]:
    async for each in given:
        yield _Cells(_row(each, locale))


class _Cells(dict[str, object]):
    """A row; what it has not is an empty cell: a component that nothing was earned by."""

    def __missing__(self, _: str) -> None:
        return None


def _row(given: PayeeGiven, locale: str) -> Row:
    def said(text: Text) -> str:
        return text.zh if locale == "zh" else text.en

    return {
        "payee": given.payee,
        NAME: given.payee_name,
        "start": given.start,
        "currency": given.currency,
        **{f"{_COMPONENT}{each.component}": each.amount_minor for each in given.components},
        "total": given.total_minor,
        "before": given.before_minor,
        "difference": given.difference_minor,
        "books": said(BOOKS[given.books]) if given.books is not None else None,
        "reasons": ("；" if locale == "zh" else "; ").join(said(REASONS[each]) for each in given.reasons),
    }
