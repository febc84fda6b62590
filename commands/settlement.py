"""`tandem settle …`: schemes told back in words, whose an order is, exchange rates, settlements, bills."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from commands.database import AsDirector, approving_actor, command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from commands.settlement_calculations import AsJson, CycleOption, Day, SchemeName
from commands.settlement_payees import FEW, Limit, WithPayees, show_payees
from commands.settlement_status import show_run_view
from commands.yaml_files import read_file
from connectors.loading import load_connectors
from domain.access import Actor, Role
from domain.catalog import CATALOG
from domain.dsl.findings import Finding
from domain.dsl.source import SourceDocument, decode_source, read_source
from domain.events import rfc3339
from domain.money import HOME_CURRENCY, major_from_minor
from domain.problems import ProblemError, Text, ValidationProblem
from domain.resources import parse_resource, resource_kind
from domain.settlement.explanation import explained
from domain.settlement.scheme_reading import scheme_of
from runtime.settings import Settings
from runtime.settings_source import read_settings
from services.calculation_payees import Asked
from services.calculations import CalculationSteps
from services.exchange_rates import ExchangeRateService, Rate
from services.sale_corrections import SaleCorrectionService
from services.settlement_runs import SettlementRunService
from storage.engine import Database


def tell_scheme(
    file: Annotated[Path, typer.Argument(help="方案的 YAML 文件 / a YAML file with schemes")],
    as_json: AsJson = False,
) -> None:
    """用白话复述方案，每项附算例 / tell a scheme back in plain words, with a worked example of each component."""
    text = decode_source(read_file(file))
    findings = [text] if isinstance(text, Finding) else []
    documents: list[SourceDocument] = []
    if isinstance(text, str):
        source = read_source(text)
        findings = list(source.findings)
        documents = [each for each in source.documents if resource_kind(each.data) == "scheme"]
    if findings or not documents:
        raise ValidationProblem(
            Text(
                f"{file} 里没有可读的方案（scheme: …）；请先用 tandem flow lint 检查",
                f"There is no scheme to read in {file} (`scheme: …`); check it by tandem flow lint first",
            ),
            findings=[found.as_dict(str(file)) for found in findings],
        )
    settings = read_settings()
    for place, document in enumerate(documents):
        resource = parse_resource("scheme", document.data, settings.level_limit)
        said = explained(scheme_of(resource.model_dump(mode="json", by_alias=True)))
        if as_json:
            typer.echo(json.dumps([each.as_dict() for each in said], ensure_ascii=False))
            continue
        if place:
            typer.echo()
        for each in said:
            typer.echo(each.zh if settings.locale == "zh" else each.en)


def show_order(
    account: Annotated[str, typer.Argument(help="平台/账号，如 youzan/flagship / platform/account")],
    order_id: Annotated[str, typer.Argument(help="订单号 / its number")],
    as_json: AsJson = False,
) -> None:
    """一单归谁、为什么、折算成多少业绩 / whose an order is, why, and what it comes to."""

    async def work(database: Database, settings: Settings) -> None:
        view = await SaleCorrectionService(database).order(command_line_actor(Role.FINANCE), (account, order_id))
        if as_json:
            shown = {**asdict(view), "problem": view.problem.as_dict() if view.problem is not None else None}
            typer.echo(json.dumps(shown, ensure_ascii=False, indent=2, default=str))
            return
        if view.problem is not None:
            say(settings, view.problem, err=True)
        if not view.evidence:
            say(settings, Text("还不归任何人", "It is nobody's yet"), err=True)
        evidence = [{**asdict(each), "share": f"{each.share / 100:g}%"} for each in view.evidence]
        for rows in (evidence, [asdict(each) for each in view.sales], [asdict(each) for each in view.corrections]):
            if rows:
                show_rows(rows, as_json=False)
                typer.echo()

    with_database(work)


def note_rate(
    currency: Annotated[str, typer.Argument(help="币种，如 USD / a currency")],
    day: Annotated[datetime, typer.Argument(help="从哪天起（上海日期）/ from which day on", formats=["%Y-%m-%d"])],
    rate: Annotated[str, typer.Argument(help="1 单位外币合多少人民币 / CNY for one unit of it")],
) -> None:
    """登记汇率，等它的订单随即计入 / note an exchange rate; orders that waited for it count at once."""

    async def work(database: Database, settings: Settings) -> None:
        noted = Rate(currency.upper(), day.date(), rate)
        await ExchangeRateService(database).set(command_line_actor(Role.FINANCE), [noted])
        said = f"1 {noted.currency} = {rate} {HOME_CURRENCY}"
        say(settings, Text(f"自 {noted.day} 起 {said}", f"{said} from {noted.day} on"))

    with_database(work)


def settle_period(
    scheme: SchemeName,
    day: Day,
    cycle: CycleOption = None,
    leave_out: Annotated[
        bool,
        typer.Option("--leave-out", help="本期没有计入业绩的订单先不计 / settle without orders that have no sales"),
    ] = False,
) -> None:
    """结算一个账期：核算后等他人批准 / settle a period: computed, then others have to approve."""

    async def work(database: Database, settings: Settings) -> None:
        steps = CalculationSteps(database)
        runs = _runs(database, settings, steps)
        actor = command_line_actor(Role.FINANCE)
        view = await runs.ask(actor, scheme, day.date(), cycle, leave_out=leave_out)
        try:
            for each in view.calculations:
                await steps.run(each.id)
        except ProblemError as error:
            # Noted as the workflow would, so that another one may be asked for.
            await runs.failed(view.run.id, error.problem.as_dict())
            raise
        await runs.computed(view.run.id)
        show_run_view(await runs.show(actor, view.run.id), settings)

    with_database(work)


def list_runs(
    scheme: Annotated[str | None, typer.Option("--scheme", help="只看一个方案 / of one scheme only")] = None,
    as_json: AsJson = False,
) -> None:
    """所有结算，最新的在前 / all settlements, the newest first."""

    async def work(database: Database, settings: Settings) -> None:
        runs = _runs(database, settings)
        actor = command_line_actor(Role.FINANCE)
        found = await all_pages(lambda page: runs.list(actor, page, scheme=scheme))
        rows = [
            {
                "id": str(each.id),
                "scheme": each.scheme,
                "cycle": each.cycle,
                "state": each.state,
                "asked_by": each.asked_by,
                "asked_at": rfc3339(each.asked_at),
                "total": None if each.total_minor is None else major_from_minor(each.total_minor),
            }
            for each in found
        ]
        show_rows(rows, as_json=as_json)

    with_database(work)


def show_run(
    run: Annotated[UUID, typer.Argument(help="结算的编号 / a settlement's id")],
    payees: WithPayees = False,
    limit: Limit = FEW,
) -> None:
    """一次结算到了哪一步、谁批准的、为什么出错 / how far a settlement is, who approved it, why it failed."""

    async def work(database: Database, settings: Settings) -> None:
        runs = _runs(database, settings)
        show_run_view(await runs.show(command_line_actor(Role.FINANCE), run), settings)
        if payees:
            await show_payees(database, settings, Asked("settlement-run", run, sort="change"), limit)

    with_database(work)


def approve_run(
    run: Annotated[list[UUID], typer.Argument(help="结算的编号，可写几个 / a settlement's id, or several")],
    note: Annotated[str | None, typer.Option("--note", help="意见 / what to note")] = None,
    refuse: Annotated[bool, typer.Option("--refuse", help="拒绝，之后可重新结算 / refuse it; then ask anew")] = False,
    as_director: AsDirector = False,
) -> None:
    """批准（或拒绝）结算（不能是提出的人），人数够了即记账 / approve or refuse; with enough yeses it is booked."""

    async def work(database: Database, settings: Settings) -> bool:
        runs, actor = _runs(database, settings), approving_actor(as_director=as_director)
        all_are, together = True, await runs.moved_together(list(dict.fromkeys(run)))
        for each in dict.fromkeys(run):
            try:
                await _decide(runs, actor, each, together.get(each, 0), approve=not refuse, note=note)
            except ProblemError as problem:
                if len(run) == 1:
                    raise
                all_are = False
                say(settings, Text(f"{each}：{problem.text.zh}", f"{each}: {problem.text.en}"), err=True)
            else:
                show_run_view(await runs.show(actor, each), settings)
        return all_are

    if not with_database(work):
        raise typer.Exit(1)


def close_period(
    scheme: SchemeName,
    day: Day,
    cycle: CycleOption = None,
    unreconciled: Annotated[
        bool,
        typer.Option("--unreconciled", help="没有对完账也关闭 / close what is not reconciled all the same"),
    ] = False,
) -> None:
    """关闭账期，不能重开 / close a period for ever."""

    async def work(database: Database, settings: Settings) -> None:
        runs = _runs(database, settings)
        actor = command_line_actor(Role.APPROVER)
        period = await runs.close(actor, scheme, day.date(), cycle, unreconciled=unreconciled)
        said = f"{period.scheme} {period.start} – {period.end}"
        say(settings, Text(f"已关闭 {said}", f"closed: {said}"))

    with_database(work)


async def _decide(
    runs: SettlementRunService, actor: Actor, run: UUID, together_minor: int, *, approve: bool, note: str | None
) -> None:
    view = await runs.decide(actor, run, approve=approve, note=note, together_minor=together_minor)
    if view.run.state == "approved":
        for each in view.calculations:
            for part in range(each.parts):
                await runs.book_part(run, each.id, part)
        await runs.finish(run)


def _runs(database: Database, settings: Settings, steps: CalculationSteps | None = None) -> SettlementRunService:
    steps = steps or CalculationSteps(database)
    return SettlementRunService(database, steps, load_connectors(CATALOG), settings.settlement_approvals)
