"""`tandem settle preview|what-if|repeat|calculations`: settlements computed, and nothing booked."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from commands.settlement_comparison import comparison_as_json, show_comparison
from commands.settlement_payees import FEW, Limit, WithPayees, payees_of, show_payees
from domain.access import Role
from domain.money import major_from_minor
from domain.problems import Text
from domain.settlement.scheme import Cycle
from runtime.settings import Settings
from services.calculation_comparisons import CalculationComparer, Comparison
from services.calculation_payees import Asked
from services.calculations import CalculationSteps, Wanted
from services.left_out import told_left_out
from services.repeats import RepeatOutcome, Repeats
from services.settlement_views import CalculationView, SettlementViews
from storage.engine import Database

AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]
SchemeName = Annotated[str, typer.Argument(help="方案名 / the scheme")]
Day = Annotated[datetime, typer.Argument(help="账期内任一天 / any day of the period", formats=["%Y-%m-%d"])]
CycleOption = Annotated[
    Cycle | None,
    typer.Option("--cycle", help="收款人自己的周期；不写则为方案的 / payees' own cycle; else the scheme's"),
]


def preview(
    scheme: SchemeName,
    day: Day,
    version: Annotated[str | None, typer.Option("--version", help="未发布的也可 / any uploaded one")] = None,
    cycle: CycleOption = None,
    payees: WithPayees = False,
    limit: Limit = FEW,
    as_json: AsJson = False,
) -> None:
    """试算一个账期，不记账 / compute a period; nothing is booked."""
    _compute(Wanted(scheme, day.date(), "preview", version, cycle), limit if payees else None, as_json=as_json)


def what_if(
    scheme: SchemeName,
    day: Day,
    version: Annotated[str, typer.Option("--version", help="哪个版本，未发布的也可 / which one; any uploaded one")],
    cycle: CycleOption = None,
    input_of: Annotated[
        UUID | None, typer.Option("--input-of", help="用哪次结算或核算冻结的输入 / whose frozen input it goes by")
    ] = None,
    today: Annotated[
        bool, typer.Option("--today", help="记过账的账期也按今天的数据 / by what counts today, booked or not")
    ] = False,
    payees: WithPayees = False,
    limit: Limit = FEW,
    as_json: AsJson = False,
) -> None:
    """假设按另一版本会是多少，并与已记账的对比，不记账 / what another version would make of a period."""
    wanted = Wanted(scheme, day.date(), "what-if", version, cycle, input_of, today)
    _compute(wanted, limit if payees else None, as_json=as_json)


def repeat_calculation(
    calculation: Annotated[UUID, typer.Argument(help="核算的编号 / a calculation's id")],
    as_json: AsJson = False,
) -> None:
    """由冻结的输入另行重算并逐人比较；不同则以 1 结束 / compute again from what was frozen, and compare."""

    async def work(database: Database, settings: Settings) -> bool:
        actor = command_line_actor(Role.FINANCE)
        row = await Repeats(database).ask(actor, calculation)
        await CalculationSteps(database).run(row.id)
        view = await SettlementViews(database).show(actor, row.id)
        _show(view, settings, as_json=as_json)
        return view.repeat is not None and bool(view.repeat.same)

    if not with_database(work):
        raise typer.Exit(1)


def list_calculations(
    scheme: Annotated[str | None, typer.Option("--scheme", help="只看一个方案 / of one scheme only")] = None,
    as_json: AsJson = False,
) -> None:
    """所有核算，最新的在前 / all calculations, the newest first."""

    async def work(database: Database, _: Settings) -> None:
        actor, views = command_line_actor(Role.FINANCE), SettlementViews(database)
        found = await all_pages(lambda page: views.list(actor, page, scheme=scheme))
        rows = [
            {
                "id": str(each.id),
                "scheme": f"{each.scheme} {each.version}",
                "start": str(each.start),
                "end": str(each.end),
                "purpose": each.purpose,
                "state": each.state,
                "total": None if each.total_minor is None else major_from_minor(each.total_minor),
            }
            for each in found
        ]
        show_rows(rows, as_json=as_json)

    with_database(work)


def _compute(wanted: Wanted, payees: int | None, *, as_json: bool) -> None:
    """Compute and show it; payees: how many of them are listed, if any."""

    async def work(database: Database, settings: Settings) -> None:
        actor, calculation = command_line_actor(Role.FINANCE), uuid4()
        steps = CalculationSteps(database)
        row = await steps.ask(actor, calculation, wanted)
        await steps.run(calculation)
        beside = None
        if row.input_of is not None:
            beside = await CalculationComparer(database).compare(actor, calculation)
        view, asked = await SettlementViews(database).show(actor, calculation), Asked("calculation", calculation)
        if payees is None:
            _show(view, settings, beside, as_json=as_json)
        elif as_json:
            given, _ = await payees_of(database, asked._replace(sort="change"), payees)
            _print_json({**_shown(view, beside), "payees": [asdict(each) for each in given]})
        else:
            _show(replace(view, highest=()), settings, beside, as_json=False)
            await show_payees(database, settings, asked._replace(sort="change"), payees)

    with_database(work)


def _print_json(told: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2, default=str))


def _show(view: CalculationView, settings: Settings, beside: Comparison | None = None, *, as_json: bool) -> None:
    if as_json:
        _print_json(_shown(view, beside))
        return
    row = view.row
    total = major_from_minor(row.total_minor or 0)
    zh = f"{row.scheme} {row.version}，{row.start} 至 {row.end}（不含），{row.members} 位收款人，合计 {total}"
    en = f"{row.scheme} {row.version}, {row.start} to {row.end}, {row.members} payees, {total} in all"
    say(settings, Text(f"{zh}\n摘要 {row.digest}\n编号 {row.id}", f"{en}\ndigest {row.digest}\nid {row.id}"))
    for remark in (*view.remarks, *told_left_out(row.left_out or {})):
        say(settings, remark, err=True)
    if view.repeat is not None:
        _show_outcome(view.repeat, settings)
        return
    if beside is not None:
        show_comparison(beside, settings)
        return
    for rows in (view.components, view.highest):
        sums = [asdict(each) for each in rows]
        show_rows([{**each, "amount_minor": major_from_minor(each["amount_minor"])} for each in sums], as_json=False)


def _show_outcome(found: RepeatOutcome, settings: Settings) -> None:
    if found.same:
        say(
            settings,
            Text(f"与 {found.of} 相同：摘要与每位收款人", f"the same as {found.of}: the digest and every payee"),
        )
        return
    zh = f"与 {found.of} 不同：原摘要 {found.digest}，{found.differing} 位收款人的金额或基数不同"
    en = f"not the same as {found.of}: its digest is {found.digest}, and {found.differing} payees differ"
    say(settings, Text(zh, en))
    show_rows([asdict(each) for each in found.first], as_json=False)


def _shown(view: CalculationView, beside: Comparison | None = None) -> Mapping[str, Any]:
    row = view.row
    found: dict[str, Any] = {
        "id": str(row.id),
        "version": row.version,
        "digest": row.digest,
        "total_minor": row.total_minor,
        "members": row.members,
        "left_out": row.left_out,
        "components": [asdict(each) for each in view.components],
        "remarks": [each.as_dict() for each in view.remarks],
        "rates": [asdict(each) for each in view.rates],
    }
    if beside is not None:
        found["comparison"] = comparison_as_json(beside)
    if view.repeat is not None:
        found["repeat"] = {**asdict(view.repeat), "of": str(view.repeat.of)}
    return found
