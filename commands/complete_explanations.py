"""Explanations read to their ends, list by list, for who asks for all of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from domain.access import Actor
from services.earning_explanations import ExplainedEarning
from services.payee_accounts import ExplainedEntry, PayeeAccount, PayeeAccounts
from services.settlement_views import EarningName, SettlementViews
from storage.engine import Database
from storage.paging import LARGEST_PAGE, Page, PageRequest

Item = TypeVar("Item")


async def whole_account(database: Database, actor: Actor, account: PayeeAccount) -> PayeeAccount:
    """An account with every entry, and all that is behind each."""
    accounts, views, read = PayeeAccounts(database), SettlementViews(database), account
    entries = [*read.entries]
    while read.next_cursor is not None:
        page = PageRequest(LARGEST_PAGE, read.next_cursor)
        read = await accounts.explain(actor, account.scheme, account.start, account.payee, account.cycle, page)
        entries += read.entries
    whole = [await _whole_entry(views, actor, account.payee, each) for each in entries]
    return replace(account, entries=whole, next_cursor=None)


async def whole_earnings(
    views: SettlementViews, actor: Actor, payee: str, earnings: Sequence[ExplainedEarning]
) -> Sequence[ExplainedEarning]:
    """A payee's earnings with all that is behind each."""
    found = []
    for each in earnings:
        named = EarningName(each.calculation, payee, each.component, each.before)
        lines = await _rest(each.lines, each.lines_cursor, views.lines, actor, named)
        facts = await _rest(each.facts, each.facts_cursor, views.facts, actor, named)
        below = await _rest(each.below, each.below_cursor, views.below, actor, named)
        whole = replace(each, lines=lines, facts=facts, below=below)
        found.append(replace(whole, lines_cursor=None, facts_cursor=None, below_cursor=None))
    return found


async def _whole_entry(views: SettlementViews, actor: Actor, payee: str, entry: ExplainedEntry) -> ExplainedEntry:
    whole = await whole_earnings(views, actor, payee, [each.earning for each in entry.changes])
    changes = [replace(each, earning=earning) for each, earning in zip(entry.changes, whole, strict=True)]
    return replace(entry, changes=changes)


async def _rest(
    first: Sequence[Item],
    cursor: str | None,
    fetch: Callable[[Actor, EarningName, PageRequest], Awaitable[Page[Item]]],
    actor: Actor,
    named: EarningName,
) -> Sequence[Item]:
    items = list(first)
    while cursor is not None:
        page = await fetch(actor, named, PageRequest(LARGEST_PAGE, cursor))
        items.extend(page.items)
        cursor = page.next_cursor
    return items
