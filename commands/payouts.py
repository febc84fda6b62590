"""`tandem settle pay|batches|payouts|confirmation|call-off`: batches, planned here and paid by the worker."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import typer

from commands.database import AsDirector, approving_actor, command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from commands.settlement_calculations import AsJson
from commands.settlement_status import show_problem, show_verdicts
from connectors.http import Link, open_client
from domain.access import Role
from domain.money import major_from_minor
from domain.problems import Text, ValidationProblem
from domain.settlement.payouts import OMISSIONS, RAILS, Rail
from runtime.settings import Settings
from services.calculations import CalculationSteps
from services.connections import Connections
from services.payers import BY_MERCHANT
from services.payout_call_offs import PayoutCallOffs
from services.payout_confirmations import PayoutConfirmations
from services.payout_planning import PARTS, PayoutPlanning
from services.payouts import BatchView, PayoutService, PayoutWish
from services.platform_tokens import StoredTokens
from services.shareable_sums import ShareableSums
from services.trade_bills import TradeBills
from storage.engine import Database
from storage.payout_batches import PayoutBatchRow


def plan_payouts(
    scheme: Annotated[str, typer.Argument(help="方案名 / the scheme")],
    rail: Annotated[
        list[str] | None,
        typer.Option("--rail", help="付款渠道，按先后 / rails in order: wechat-pay, profit-sharing, bank"),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            help="由哪个商户号付，可按渠道 / which merchant pays, by rail if need be: main, profit-sharing=other",
        ),
    ] = None,
) -> None:
    """按余额计划一批付款，等他人批准后由 worker 付出 / plan payouts; once others approve, the worker pays."""
    rails = rails_of(rail) if rail is not None else None
    accounts = accounts_of(account or ())

    async def work(database: Database, settings: Settings) -> None:
        service = _service(database, settings)
        actor = command_line_actor(Role.FINANCE)
        batch = await service.ask(actor, PayoutWish(scheme=scheme, rails=rails, accounts=accounts))
        async with open_client() as http:
            link = Link(http, StoredTokens(database), database.clock)
            sharing = ShareableSums(TradeBills(database, Connections(database), link))
            planning = PayoutPlanning(database, settings.settlement_approvals, sharing)
            for part in range(PARTS):
                await planning.plan_part(batch.id, part)
            await planning.finish_plan(batch.id)
        _show(await service.show(actor, batch.id), settings)

    with_database(work)


def list_batches(
    scheme: Annotated[str | None, typer.Option("--scheme", help="只看一个方案 / of one scheme only")] = None,
    as_json: AsJson = False,
) -> None:
    """所有付款批次，最新的在前 / all batches of payouts, the newest first."""

    async def work(database: Database, settings: Settings) -> None:
        service, actor = _service(database, settings), command_line_actor(Role.FINANCE)
        found = await all_pages(lambda page: service.list(actor, page, scheme=scheme))
        rows = [
            {
                "id": str(each.id),
                "scheme": each.scheme,
                "day": str(each.day),
                "state": each.state,
                "asked_by": each.asked_by,
                "payouts": each.payouts,
                "total": None if each.total_minor is None else _money(each.total_minor, each),
            }
            for each in found
        ]
        show_rows(rows, as_json=as_json)

    with_database(work)


def show_payouts(batch: Annotated[UUID, typer.Argument(help="批次的编号 / a batch's id")]) -> None:
    """一批付款到了哪一步、哪天付完、谁没付 / how far a batch is, its last day, who is not paid."""

    async def work(database: Database, settings: Settings) -> None:
        _show(await _service(database, settings).show(command_line_actor(Role.FINANCE), batch), settings)

    with_database(work)


def approve_payouts(
    batch: Annotated[UUID, typer.Argument(help="批次的编号 / a batch's id")],
    note: Annotated[str | None, typer.Option("--note", help="意见 / what to note")] = None,
    refuse: Annotated[bool, typer.Option("--refuse", help="拒绝 / refuse it")] = False,
    as_director: AsDirector = False,
) -> None:
    """批准（或拒绝）一批付款，不能是提出的人 / approve or refuse a batch; never who asked for it."""

    async def work(database: Database, settings: Settings) -> None:
        service, actor = _service(database, settings), approving_actor(as_director=as_director)
        await service.decide(actor, batch, approve=not refuse, note=note)
        _show(await service.show(actor, batch), settings)

    with_database(work)


def call_off_payouts(
    batch: Annotated[UUID | None, typer.Argument(help="批次的编号 / a batch's id")] = None,
    payout: Annotated[str | None, typer.Option("--payout", help="只撤回这一笔，付款单号 / only this payout")] = None,
    note: Annotated[str, typer.Option("--note", help="原因，写入审计 / why; it is audited")] = "",
) -> None:
    """撤回尚未提交渠道的付款，不能是提出的人 / call off what no rail was asked for; never who asked for it."""
    if (batch is None) == (payout is None):
        raise ValidationProblem(Text("请给出批次或 --payout，二者其一", "Give a batch, or a payout by --payout"))
    if not note.strip():
        raise ValidationProblem(Text("请用 --note 写明原因", "Say why by --note"))

    async def work(database: Database, settings: Settings) -> None:
        call_offs, actor = PayoutCallOffs(database), command_line_actor(Role.APPROVER)
        count = amount_minor = 0
        if payout is not None:
            count, amount_minor = 1, (await call_offs.of_one(actor, payout, note)).payout.amount_minor
        more = batch is not None
        while batch is not None and more:
            done = await call_offs.of_batch(actor, batch, note)
            count, amount_minor, more = count + done.payouts, amount_minor + done.amount_minor, done.more
        total = major_from_minor(amount_minor)
        say(settings, Text(f"已撤回 {count} 笔，{total} 退回余额", f"{count} called off, {total} back in the balances"))

    with_database(work)


def show_confirmation(
    number: Annotated[str, typer.Argument(help="付款单号 / the payout's number")],
    reason: Annotated[str, typer.Option("--reason", help="为什么查看，写入审计 / why; it is audited")],
) -> None:
    """待收款人确认的付款：小程序调起确认页所需（JSON） / what a payee's app needs to confirm a payout, as JSON."""

    async def work(database: Database, _: Settings) -> None:
        found = await PayoutConfirmations(database).show(command_line_actor(Role.FINANCE), number, reason)
        payout, told = found.payout, found.confirmation.model_dump(mode="json")
        shown = {"number": payout.number, "payee": found.payee, "amount_minor": payout.amount_minor, **told}
        typer.echo(json.dumps(shown, ensure_ascii=False))

    with_database(work)


def rails_of(named: Sequence[str]) -> Sequence[Rail]:
    """The rails that are named, in that order; raises ValidationProblem for what is none."""
    if strange := [each for each in named if each not in RAILS]:
        known = ", ".join(RAILS)
        raise ValidationProblem(
            Text(f"--rail {strange[0]}：没有这个渠道，可选 {known}", f"--rail {strange[0]}: it is one of {known}")
        )
    return sorted((rail for rail in RAILS if rail in named), key=named.index)


def accounts_of(named: Sequence[str]) -> Mapping[Rail, str]:
    """Who pays, by rail: a slug alone is meant for every rail that none is named for. Raises ValidationProblem."""
    alone = [each for each in named if "=" not in each]
    found = dict.fromkeys(BY_MERCHANT, alone[-1]) if alone else {}
    for each in named:
        rail, is_named, slug = each.partition("=")
        wanted = next((known for known in BY_MERCHANT if known == rail), None)
        if is_named and wanted is not None and slug:
            found[wanted] = slug
        elif is_named or not each:
            forms = ", ".join(["main", *(f"{known}=main" for known in BY_MERCHANT)])
            raise ValidationProblem(Text(f"--account {each}：应写成 {forms}", f"--account {each}: write it as {forms}"))
    return found


def _service(database: Database, settings: Settings) -> PayoutService:
    return PayoutService(database, CalculationSteps(database), settings.payout_quotas, settings.settlement_approvals)


def _money(amount_minor: int, batch: PayoutBatchRow) -> str:
    return f"{major_from_minor(amount_minor, batch.currency)} {batch.currency}"


def _show(view: BatchView, settings: Settings) -> None:
    batch = view.batch
    total = _money(batch.total_minor or 0, batch)
    last = view.calendar[-1].day if view.calendar else batch.day
    yes = sum(each.approved for each in view.approvals)
    said = f"{batch.scheme} {batch.day}: {batch.state}, {batch.payouts or 0}, {total}"
    zh = f"{said}；批准 {yes}/{batch.approvals_needed or '-'}；最后一笔 {last}"
    en = f"{said}; approvals {yes}/{batch.approvals_needed or '-'}; the last is paid on {last}"
    say(settings, Text(zh, en))
    show_problem(batch.problem, settings)
    show_verdicts(view.approvals, settings)
    typer.echo(str(batch.id))
    for rail, payer in batch.payers.items():
        typer.echo(f"{rail}: {payer.account} ({payer.mch_id})")
    rows = [
        {"rail": each.rail, "state": each.state, "payouts": each.payouts, "amount": _money(each.amount_minor, batch)}
        for each in view.sums
    ]
    rows += [
        {"rail": "-", "state": reason, "payouts": count, "amount": _money(amount, batch)}
        for reason, (count, amount) in sorted(view.omitted.items())
    ]
    show_rows(rows, as_json=False)
    for reason in sorted(view.omitted):
        told = OMISSIONS[reason]
        say(settings, Text(f"{reason}：{told.zh}", f"{reason}: {told.en}"))
