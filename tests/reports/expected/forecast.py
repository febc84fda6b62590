"""Report `forecast`: what a batch of each scheme would pay today, and what stays or is owed until when."""

from collections import defaultdict
from datetime import date, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from tests.reports.expected.parts import Cells
from tests.reports.expected.raw import Books, Frame, Row
from tests.reports.expected.schemes import BY_NAME, Scheme
from tests.reports.year_schemes import ANYBODY, DETAILS

_NAMED_FROM = 200_000


def forecast(books: Books, frame: Frame) -> Cells:
    """The report; as of now, whatever the frame."""
    found: Cells = defaultdict(lambda: {"payees": 0, "amount": 0})
    for name, scheme in BY_NAME.items():
        if frame.scheme not in (None, name):
            continue
        for payee, code in books.codes.items():
            if frame.has(payee):
                for (sort, due), amount in _of_payee(books, scheme, payee, code).items():
                    if amount:
                        row = found[name, sort, due, "CNY"]
                        row["payees"] += 1
                        row["amount"] += amount
    return found


def _of_payee(books: Books, scheme: Scheme, payee: int, code: str) -> dict[tuple[str, date | None], int]:
    found: dict[tuple[str, date | None], int] = defaultdict(int)
    released = {each.period for each in books["settlement_releases"]}
    payable, repaid = 0, 0
    debts: dict[tuple[str, date], int] = defaultdict(int)
    for transfer in books["transfers"]:
        period = books.periods[transfer.period]
        if period.scheme != scheme.name:
            continue
        for number, sign in ((transfer.credit, 1), (transfer.debit, -1)):
            account, amount = books.accounts[number], sign * transfer.amount_minor
            if account.payee != payee:
                continue
            until = period.end + timedelta(days=scheme.hold_days)
            is_held = account.kind == "held" and transfer.kind != "release" and period.id not in released
            if account.kind == "payable" or (account.kind == "held" and (not is_held or until <= books.today)):
                payable += amount
            elif is_held:
                found["held", until] += amount
            elif account.kind == "paying":
                payout = books.payouts[transfer.source.partition("/")[2]]
                found["paying", max(payout.pay_on, books.today)] += amount
            elif amount > 0:
                repaid += amount
            else:
                debts[_earned_by(books, transfer, period), period.end - timedelta(days=1)] -= amount
    instalments = _instalments(books, scheme, debts)
    due_now = max(sum(amount for day, amount in instalments if day == books.today) - repaid, 0)
    for day, amount in sorted(instalments):
        covered = min(repaid, amount)
        repaid -= covered
        found["receivable", day] -= amount - covered
    _plan(found, scheme, code, payable, due_now, books.today)
    return found


def _plan(found: dict[Any, int], scheme: Scheme, code: str, payable: int, due_now: int, today: date) -> None:
    """What a batch does with a balance: so much for what is owed, the rest to the payee, or why not."""
    if payable <= 0:
        found["overdrawn", None] += payable
        return
    kept = ceil(payable * scheme.keep)
    offset = min(due_now, payable - kept)
    found["offset", today] += offset
    left, details = payable - offset, DETAILS.get(code, ANYBODY)
    sort: str
    if left < max(scheme.minimum, 1):
        sort = "owes" if offset else "below-minimum"
    else:
        ways = [
            bool(details.openid) and (left < _NAMED_FROM or bool(details.real_name)),
            bool(details.merchant_receiver)
            and bool(details.real_name or not (details.merchant_receiver or "").isdigit()),
            bool(details.bank_account) and bool(details.real_name),
        ]
        known = details.openid or details.merchant_receiver or details.bank_account
        sort = "payable" if any(ways) else "no-real-name" if known else "no-account"
    found[sort, today if sort == "payable" else None] += left


def _instalments(books: Books, scheme: Scheme, debts: dict[tuple[str, date], int]) -> list[tuple[date, int]]:
    """Equal parts, the first due at once, the others when the next periods of the cycle begin that it was earned by."""
    found = []
    for (cycle, last_day), amount in debts.items():
        due = books.today
        begins = last_day
        for part in range(scheme.instalments):
            upto, before = amount * (part + 1) // scheme.instalments, amount * part // scheme.instalments
            found.append((max(due, books.today), upto - before))
            begins = due = _next(cycle, begins)
    return found


def _earned_by(books: Books, transfer: Row, period: Row) -> str:
    """By which cycle what a transfer takes back was earned."""
    sort, _, of = transfer.source.partition("/")
    cycle: str = books.calculations[UUID(of.partition("/")[2])].cycle if sort == "run" else period.cycle
    return cycle


def _next(cycle: str, day: date) -> date:
    """The day that the next period begins with."""
    day += timedelta(days=1)
    while not _begins(cycle, day):
        day += timedelta(days=1)
    return day


def _begins(cycle: str, day: date) -> bool:
    return {"day": True, "week": day.isoweekday() == 1, "half-month": day.day in (1, 16), "month": day.day == 1}[cycle]
