"""`tandem settle due`: periods that are over and were not settled, listed or settled all at once."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from commands.settlement_calculations import AsJson, CycleOption
from connectors.loading import load_connectors
from domain.access import Actor, Role
from domain.catalog import CATALOG
from domain.money import major_from_minor
from domain.problems import ProblemError, Text
from runtime.settings import Settings
from services.calculations import CalculationSteps
from services.due_periods import DuePeriod
from services.due_settlements import MOST_BEGUN, DueSettlements
from services.run_views import RunView
from services.settlement_runs import SettlementRunService
from storage.engine import Database


def settle_due(
    scheme: Annotated[str | None, typer.Option("--scheme", help="只看一个方案 / of one scheme only")] = None,
    cycle: CycleOption = None,
    begin: Annotated[
        bool, typer.Option("--begin", help="逐个结算，等他人批准 / settle each; others have to approve")
    ] = False,
    leave_out: Annotated[
        bool,
        typer.Option("--leave-out", help="没有计入业绩的订单先不计 / settle without orders that have no sales"),
    ] = False,
    most: Annotated[
        int, typer.Option("--most", min=1, max=MOST_BEGUN, help="一次最多几个 / how many at most")
    ] = MOST_BEGUN,
    as_json: AsJson = False,
) -> None:
    """到期而未结算的账期；--begin 逐个结算 / periods that are due; --begin settles each of them."""

    async def work(database: Database, settings: Settings) -> bool:
        actor, due = command_line_actor(Role.FINANCE), DueSettlements(database, _Here(database, settings))
        if not begin:
            _show(await due.due(actor, scheme, cycle), settings, as_json=as_json)
            return True
        found = await due.begin(actor, scheme, cycle, leave_out=leave_out, most=most)
        show_rows([_begun(each) for each in found.begun], as_json=as_json)
        for each in found.left_alone:
            told = f"{_named(each)}: {each.state} {each.run}"
            say(settings, Text(f"{told}，已在进行，未动", f"{told}, under way, left alone"), err=True)
        for refused in found.refused:
            named, why = _named(refused.period), refused.problem.text
            say(settings, Text(f"{named} 未结算：{why.zh}", f"{named} not settled: {why.en}"), err=True)
        if found.waiting:
            zh = f"还有 {found.waiting} 个到期的账期，请再执行一次"
            say(settings, Text(zh, f"{found.waiting} more are due: run this again"), err=True)
        return not found.refused

    if not with_database(work):
        raise typer.Exit(1)


class _Here:
    """Settles a period in this process, as `tandem settle run` does."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._steps = CalculationSteps(database)
        connectors = load_connectors(CATALOG)
        self._runs = SettlementRunService(database, self._steps, connectors, settings.settlement_approvals)

    async def __call__(self, actor: Actor, period: DuePeriod, *, leave_out: bool) -> RunView:
        view = await self._runs.ask(actor, period.scheme, period.start, period.cycle, leave_out=leave_out)
        try:
            for each in view.calculations:
                await self._steps.run(each.id)
        except ProblemError as error:
            await self._runs.failed(view.run.id, error.problem.as_dict())
            raise
        await self._runs.computed(view.run.id)
        return await self._runs.show(actor, view.run.id)


def _show(found: Sequence[DuePeriod], settings: Settings, *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {**asdict(each), "start": str(each.start), "end": str(each.end), "run": str(each.run) if each.run else None}
        for each in found
    ]
    show_rows(rows, as_json=as_json)
    if not found and not as_json:
        say(settings, Text("没有到期未结的账期", "No period is due"))


def _begun(view: RunView) -> dict[str, Any]:
    run, period = view.run, view.period
    total = f"{major_from_minor(run.total_minor or 0, period.currency)} {period.currency}"
    return {
        "id": str(run.id),
        "scheme": run.scheme,
        "cycle": run.cycle,
        "start": str(period.start),
        "state": run.state,
        "total": total,
    }


def _named(period: DuePeriod) -> str:
    return f"{period.scheme} {period.cycle} {period.start} – {period.end - timedelta(days=1)}"
