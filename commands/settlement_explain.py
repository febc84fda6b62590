"""`tandem settle explain`: why somebody's sum is what it is, down to order lines."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import typer

from commands.database import command_line_actor, say, with_database
from commands.listing import show_rows
from commands.settlement import AsJson
from domain.access import Role
from domain.money import major_from_minor
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.payee_accounts import ExplainedEntry, PayeeAccount, PayeeAccounts
from services.settlement_views import ExplainedEarning, SettlementViews
from storage.engine import Database


def explain(
    payee: Annotated[str, typer.Argument(help="收款人编号 / a payee's code")],
    period: Annotated[
        str, typer.Argument(help="账期内任一天，或试算的编号 / any day of the period, or a calculation's id")
    ],
    scheme: Annotated[str | None, typer.Option("--scheme", help="只看一个方案 / of one scheme only")] = None,
    as_json: AsJson = False,
) -> None:
    """一位收款人的金额为什么是这样，直到每一行订单 / why a payee's sum is what it is, down to order lines."""
    actor = command_line_actor(Role.FINANCE)

    async def of_calculation(database: Database, settings: Settings) -> None:
        found = await SettlementViews(database).explain(actor, UUID(period), payee)
        if as_json:
            _print_json({**asdict(found), "earnings": [_earning(each) for each in found.earnings]})
            return
        total = major_from_minor(found.amount_minor, found.currency)
        say(settings, Text(f"{payee} 合计 {total}", f"{payee}: {total} in all"))
        _show_earnings(found.earnings, found.currency, settings)

    async def of_period(database: Database, settings: Settings) -> None:
        accounts = PayeeAccounts(database)
        day = _day(period)
        found = (
            await accounts.of_day(actor, day, payee)
            if scheme is None
            else [await accounts.explain(actor, scheme, day, payee)]
        )
        if as_json:
            _print_json([_account(each) for each in found])
            return
        if not found:
            say(settings, Text(f"{payee} 在该账期没有任何账目", f"{payee} has no entries in that period"))
        for each in found:
            _show_account(each, settings)

    with_database(of_calculation if _is_id(period) else of_period)


def _is_id(told: str) -> bool:
    try:
        UUID(told)
    except ValueError:
        return False
    return True


def _day(told: str) -> date:
    try:
        return date.fromisoformat(told)
    except ValueError:
        raise ValidationProblem(
            Text(
                f"“{told}” 既不是日期（如 2026-11-11）也不是试算的编号",
                f"{told} is neither a day, as 2026-11-11, nor a calculation's id",
            )
        ) from None


def _print_json(told: Any) -> None:
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2, default=str))


def _show_account(account: PayeeAccount, settings: Settings) -> None:
    opening, closing = (
        major_from_minor(each, account.currency) for each in (account.opening_minor, account.closing_minor)
    )
    head = f"{account.payee} {account.scheme} {account.start} – {account.end}"
    say(settings, Text(f"{head}：期初 {opening}，期末 {closing}", f"{head}: opening {opening}, closing {closing}"))
    for each in account.entries:
        _show_entry(each, account.currency, settings)


def _show_entry(told: ExplainedEntry, currency: str, settings: Settings) -> None:
    entry = told.entry
    amount = major_from_minor(entry.net_minor or entry.amount_minor, currency)
    of = f" {told.start} – {told.end}" if told.start is not None else ""
    payout = " ".join(told.payout) if told.payout is not None else ""
    typer.echo(f"\n{entry.kind}{of}  {entry.taken} → {entry.given}  {amount}  {payout}".rstrip())
    for each in told.changes:
        change = f"{major_from_minor(each.before_minor, currency)} → "
        typer.echo(f"  {each.earning.title}: {change}{major_from_minor(each.earning.amount_minor, currency)}")
        _show_earnings([each.earning], currency, settings)


def _show_earnings(earnings: Sequence[ExplainedEarning], currency: str, settings: Settings) -> None:
    for each in earnings:
        rule = each.rule.zh if settings.locale == "zh" else each.rule.en
        typer.echo(f"\n{each.title}  {rule}")
        typer.echo(f"  {each.base} → {major_from_minor(each.amount_minor, currency)}")
        show_rows([asdict(line) for line in each.lines], as_json=False)
        show_rows([asdict(one) for one in each.below], as_json=False)
        if each.more_lines:
            say(settings, Text("还有更多订单行，未列出", "There are more order lines"), err=True)


def _earning(each: ExplainedEarning) -> dict[str, Any]:
    return {**asdict(each), "rule": each.rule.as_dict()}


def _account(account: PayeeAccount) -> dict[str, Any]:
    entries = [
        {
            **each.entry._asdict(),
            "start": each.start,
            "end": each.end,
            "payout": each.payout,
            "changes": [
                {
                    "before_minor": change.before_minor,
                    "change_minor": change.change_minor,
                    "earning": _earning(change.earning),
                }
                for change in each.changes
            ],
        }
        for each in account.entries
    ]
    return {**asdict(account), "entries": entries}
