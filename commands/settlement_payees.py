"""`tandem settle payees`, and `--payees` of what computes or shows a settlement: what each payee is given, and why."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from commands.settlement_reports import Form
from domain.access import Role
from domain.money import major_from_minor
from domain.problems import Text
from domain.settlement.given import BOOKS, REASONS
from runtime.settings import Settings
from services.calculation_payees import Asked, GivenPayees, PayeeGiven
from services.given_files import GivenFiles
from storage.engine import Database
from storage.paging import LARGEST_PAGE, PageRequest

WithPayees = Annotated[
    bool,
    typer.Option("--payees", help="列出收款人，变化最大的在前 / list payees, whose sum changes most first"),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="最多列出几位 / how many payees at most")]
FEW = 50
"""How many payees are listed, unless it is said."""


def list_payees(
    number: Annotated[UUID, typer.Argument(help="核算或结算的编号 / a calculation's or a settlement's id")],
    changed: Annotated[
        bool, typer.Option("--changed", help="只列与此前已记的不同的 / only who gets another sum than before")
    ] = False,
    limit: Limit = FEW,
    form: Annotated[Form, typer.Option("--format", help="table、csv 或 xlsx")] = "table",
    out: Annotated[Path | None, typer.Option("--out", help="写入文件 / the file to write")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")] = False,
) -> None:
    """一次核算或结算给每位收款人多少、此前已记多少、差在哪里 / what each payee is given, what was booked, and why."""

    async def work(database: Database, settings: Settings) -> None:
        actor = command_line_actor(Role.FINANCE)
        asked = (await GivenPayees(database).meant(actor, number))._replace(changed=changed, sort="change")
        if form == "table":
            await show_payees(database, settings, asked, limit, as_json=as_json)
            return
        made = await GivenFiles(database).export(actor, asked, form, locale=settings.locale)
        target = out or Path(made.name)
        with target.open("wb") as file:
            file.writelines(made.chunks())
        say(settings, Text(f"{target}：{made.rows} 行", f"{target}: {made.rows} rows"))

    with_database(work)


async def show_payees(
    database: Database, settings: Settings, asked: Asked, limit: int, *, as_json: bool = False
) -> None:
    """Print so many payees."""
    found, more = await payees_of(database, asked, limit)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=2, default=str))
        return
    show_rows([_row(each, settings) for each in found], as_json=False)
    if more:
        text = Text(
            f"还有更多收款人；用 --limit，或 tandem settle payees {asked.id} --format csv 取全部",
            f"There are more payees: use --limit, or tandem settle payees {asked.id} --format csv for all",
        )
        say(settings, text, err=True)


async def payees_of(database: Database, asked: Asked, limit: int) -> tuple[list[PayeeGiven], bool]:
    """So many payees, and whether there are more."""
    given, actor = GivenPayees(database), command_line_actor(Role.FINANCE)
    found: list[PayeeGiven] = []
    cursor = None
    while len(found) < limit:
        page = (await given.page(actor, asked, PageRequest(min(LARGEST_PAGE, limit - len(found)), cursor))).rows
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found, cursor is not None


def _row(given: PayeeGiven, settings: Settings) -> dict[str, str]:
    def said(text: Text) -> str:
        return text.zh if settings.locale == "zh" else text.en

    def major(amount: int) -> str:
        return major_from_minor(amount, given.currency)

    parts = [f"{each.title} {major(each.amount_minor)}" for each in given.components if each.amount_minor is not None]
    return {
        "payee": given.payee,
        "name": given.payee_name,
        "period": str(given.start),
        "total": major(given.total_minor),
        "before": major(given.before_minor),
        "difference": major(given.difference_minor),
        "books": said(BOOKS[given.books]) if given.books is not None else "-",
        "components": ", ".join(parts) or "-",
        "why": ", ".join(said(REASONS[each]) for each in given.reasons) or "-",
    }
