"""`tandem settle terms|confirm-terms`: whose orders an account bills, proposed by one and confirmed by another."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from domain.access import Role
from domain.problems import Text
from domain.settlement.reconciliation import WINDOW_DAYS
from runtime.settings import Settings
from services.bill_terms import BillTerms, BillTermsService, TermsView
from storage.engine import Database

Account = Annotated[str, typer.Argument(help="平台/账号，如 wechat_pay/main / platform/account")]


def bill_terms(
    account: Account,
    shops: Annotated[
        list[str] | None, typer.Option("--shop", help="为哪个店铺收款，可重复 / whose orders it bills, repeatable")
    ] = None,
    fee_bps: Annotated[
        int | None, typer.Option("--fee-bps", min=0, max=10_000, help="费率（万分之）/ the rate")
    ] = None,
    window: Annotated[
        int, typer.Option("--window", min=1, max=15, help="账单可迟几天 / how many days late a bill may be")
    ] = WINDOW_DAYS,
    fees_back: Annotated[
        bool | None,
        typer.Option("--fees-back/--no-fees-back", help="退款是否退手续费 / whether fees come back with refunds"),
    ] = None,
    bank: Annotated[
        bool, typer.Option("--bank", help="账单是付款银行的流水 / its bills are the bank's statements")
    ] = False,
) -> None:
    """提议账号为哪些店铺收款，由另一人确认；不写店铺则显示 / propose whose orders an account bills, or show it."""

    async def work(database: Database, settings: Settings) -> None:
        actor, service = command_line_actor(Role.FINANCE), BillTermsService(database)
        if shops or bank:
            terms = BillTerms(account, shops or (), fee_bps, window, fees_back, bank)
            await service.propose(actor, terms)
        _show(await service.show(actor, account), settings)

    with_database(work)


def confirm_terms(
    account: Account,
    proposal: Annotated[UUID, typer.Argument(help="提议的编号 / the proposal's id")],
    refuse: Annotated[bool, typer.Option("--refuse", help="退回 / refuse it")] = False,
) -> None:
    """确认（或退回）账单约定，不能是提议的人 / confirm or refuse what an account bills; never who proposed it."""

    async def work(database: Database, settings: Settings) -> None:
        actor, service = command_line_actor(Role.APPROVER), BillTermsService(database)
        _show(await service.decide(actor, account, proposal, confirm=not refuse), settings)

    with_database(work)


def _show(view: TermsView, settings: Settings) -> None:
    show_rows([_row(view.terms)], as_json=False)
    if view.proposed is not None:
        waits = view.proposed
        said = Text(f"{waits.by} 的提议，待确认：{waits.id}", f"proposed by {waits.by}, to be confirmed: {waits.id}")
        say(settings, said)
        show_rows([_row(waits.terms)], as_json=False)


def _row(terms: BillTerms) -> dict[str, object]:
    return {**asdict(terms), "shops": list(terms.shops), "fees_back": terms.gives_fees_back}
