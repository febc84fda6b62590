"""Reports of balances: what accounts held and moved, debts by age, who is not paid and why."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.reports.expected.earnings import earned_in
from tests.reports.expected.parts import MASKED, PHONE, Cells
from tests.reports.expected.raw import PAID_OUT, Books, Frame, Row, changes_of, shanghai

MINE = ("payable", "held", "receivable", "paying")
EARNINGS = ("commission", "adjustment", "clawback")
_OWN, _MORE = (4, "paid", ("付款", "退票")), (5, "overpaid", ("多付", "多付退回"))
_PAID = {"payout-paid": _OWN, "payout-bounced": _OWN, "payout-overpaid": _MORE}


@dataclass(frozen=True)
class Move:
    """A side of a transfer. amount: more is credited. moved: within the frame, not before."""

    transfer: Row
    account: Row
    amount: int
    moved: bool

    @property
    def currency(self) -> str:
        return str(self.transfer.currency)


def moves(books: Books, frame: Frame) -> Iterator[Move]:
    """Both sides of every transfer up to the end of a frame."""
    inside, earlier = frame.inside(books), frame.earlier(books)
    for each in books["transfers"]:
        if each.period in inside or each.period in earlier:
            for number, sign in ((each.credit, 1), (each.debit, -1)):
                account = books.accounts[number]
                if frame.has(account.payee):
                    yield Move(each, account, sign * each.amount_minor, each.period in inside)


def balances(books: Books, frame: Frame) -> Cells:
    """Report `balances`."""
    names = ("opening", "earned", "paid", "other", "closing", "payable", "held", "paying", "receivable")
    found: Cells = defaultdict(lambda: dict.fromkeys(names, 0))
    for each in moves(books, frame):
        if each.account.kind not in MINE:
            continue
        row = found[books.codes[each.account.payee], each.currency]
        row["closing"] += each.amount
        row[each.account.kind] += -each.amount if each.account.kind == "receivable" else each.amount
        if not each.moved:
            row["opening"] += each.amount
        elif each.transfer.kind in EARNINGS:
            row["earned"] += each.amount
        elif each.transfer.kind in PAID_OUT:
            row["paid"] -= each.amount
        else:
            row["other"] += each.amount
    return found


def holds(books: Books, frame: Frame) -> Cells:
    """Report `holds`."""
    return _account(books, frame, "held", lambda each: each.transfer.kind != "release")


def carry_over(books: Books, frame: Frame) -> Cells:
    """Report `carry-over`."""
    return _account(books, frame, "payable", lambda each: each.amount > 0)


def _account(books: Books, frame: Frame, kind: str, comes: Any) -> Cells:
    found: Cells = defaultdict(lambda: {"opening": 0, "came": 0, "left": 0, "closing": 0})
    moved = set()
    for each in moves(books, frame):
        if each.account.kind != kind:
            continue
        key = (books.codes[each.account.payee], each.currency)
        row = found[key]
        row["closing"] += each.amount
        if not each.moved:
            row["opening"] += each.amount
            continue
        moved.add(key)
        if comes(each):
            row["came"] += each.amount
        else:
            row["left"] -= each.amount
    return _without_nothing(found, moved)


def _without_nothing(found: Cells, moved: set[Any]) -> Cells:
    for key in [key for key, row in found.items() if not row["closing"] and key not in moved]:
        del found[key]
    return found


def receivables(books: Books, frame: Frame) -> Cells:
    """Report `receivables`: what was repaid counts for the oldest debts of the scheme; the others are as old as the
    end of the period that they were taken back in."""
    names = ("opening", "taken_back", "repaid", "closing", "days_30", "days_60", "days_90", "older")
    found: Cells = defaultdict(lambda: {"since": None, **dict.fromkeys(names, 0)})
    debts: dict[Any, list[tuple[Any, int]]] = defaultdict(list)
    repaid: dict[Any, int] = defaultdict(int)
    moved = set()
    for each in moves(books, frame):
        if each.account.kind != "receivable":
            continue
        period = books.periods[each.transfer.period]
        key = (books.codes[each.account.payee], period.scheme, each.currency)
        row = found[key]
        row["closing"] -= each.amount
        if each.amount < 0:
            debts[key].append((period.end, -each.amount))
        else:
            repaid[key] += each.amount
        if not each.moved:
            row["opening"] -= each.amount
        else:
            moved.add(key)
            row["taken_back" if each.amount < 0 else "repaid"] += abs(each.amount)
    for key, row in found.items():
        left = repaid[key]
        for end, amount in sorted(debts[key]):
            covered = min(left, amount)
            left -= covered
            if still := amount - covered:
                days = (min(frame.end - timedelta(days=1), books.today) - (end - timedelta(days=1))).days
                name = "days_30" if days <= 30 else "days_60" if days <= 60 else "days_90" if days <= 90 else "older"
                row[name] += still
                row["since"] = row["since"] or end - timedelta(days=1)
    return _without_nothing(found, moved)


def exceptions(books: Books, frame: Frame) -> Cells:
    """Report `exceptions`: what the last batch of the scheme made of each payee with a balance."""
    sums: dict[tuple[int, str, str], int] = defaultdict(int)
    taken: dict[str, int] = defaultdict(int)
    for each in moves(books, frame):
        if each.account.kind == "payable":
            sums[each.account.payee, books.periods[each.transfer.period].scheme, each.currency] += each.amount
            if each.transfer.kind in ("payout-reserved", "payout-returned", "payout-paid", "payout-bounced"):
                taken[each.transfer.source] -= each.amount
    found: Cells = defaultdict(dict)
    for (payee, scheme, currency), closing in sums.items():
        if closing:
            state, reason, batch = _why(books, frame, (payee, scheme, currency), taken)
            if closing < 0:
                state, reason = "overdrawn", ""
            row = {"state": state, "reason": reason, "batch": batch, "closing": closing}
            found[books.codes[payee], scheme, currency] = row
    return found


def _why(books: Books, frame: Frame, whose: tuple[int, str, str], taken: Mapping[str, int]) -> tuple[str, str, int]:
    """taken: of the balance for each payout, less what is back in it."""
    payee, scheme, currency = whose
    periods = frame.inside(books) | frame.earlier(books)
    batches = [
        each
        for each in books["payout_batches"]
        if (each.scheme, each.currency) == (scheme, currency)
        and each.period in periods
        and each.state not in ("planning", "failed")
    ]
    if not batches:
        return "not-planned", "", 0
    last = max(batches, key=lambda each: int(each.number))
    for omission in books["payout_omissions"]:
        if (omission.batch, omission.payee) == (last.id, payee):
            return "omitted", omission.reason, last.number
    for payout in books["payouts"]:
        if (payout.batch, payout.payee) == (last.id, payee):
            source = f"payout/{payout.number}"
            if source not in taken and payout.state != "cancelled":
                return "planned", "", last.number
            if taken.get(source, 0) < payout.amount_minor:
                return payout.state, (payout.reason or "").replace(PHONE, MASKED), last.number
            return "not-planned", "", last.number
    return "not-planned", "", 0


def trial_balance(books: Books, frame: Frame) -> Cells:
    """Report `trial-balance`."""
    found: Cells = defaultdict(lambda: dict.fromkeys(("accounts", "opening", "debit", "credit", "closing"), 0))
    accounts: dict[Any, set[int]] = defaultdict(set)
    for each in moves(books, frame):
        key = (each.account.kind, each.currency)
        row = found[key]
        accounts[key].add(each.account.id)
        row["accounts"] = len(accounts[key])
        row["closing"] += each.amount
        if not each.moved:
            row["opening"] += each.amount
        else:
            row["credit" if each.amount > 0 else "debit"] += abs(each.amount)
    return found


def late(books: Books, frame: Frame, sign: int) -> Cells:
    """Reports `adjustments` and `clawbacks`: what each settlement changed of closed periods, for each payee."""
    found: Cells = defaultdict(lambda: {"amount": 0})
    calculations = {each.calculation: each for each in books["settlement_run_calculations"]}
    for run in books["settlement_runs"]:
        if run.state != "booked" or run.period not in frame.inside(books):
            continue
        for each in calculations.values():
            if each.run != run.id or each.origin == run.period:
                continue
            sums: dict[int, int] = defaultdict(int)
            for times, calculation in ((1, each.calculation), (-1, each.before)):
                for row in books.earnings.get(calculation, ()):
                    sums[row.payee] += times * row.amount_minor
            origin = books.periods[each.origin]
            for payee, amount in sums.items():
                if amount * sign > 0 and frame.has(payee):
                    key = (books.codes[payee], str(run.number), origin.start, origin.currency)
                    found[key] = {"scheme": run.scheme, "amount": abs(amount)}
    return found


def statements(books: Books, frame: Frame) -> Cells:
    """Report `statements`."""
    found: Cells = defaultdict(lambda: {"base": 0, "amount": 0, "measured": ""})
    for each in moves(books, frame):
        code = books.codes.get(each.account.payee, "")
        if each.account.kind in MINE and not each.moved:
            row = found[code, 1, each.currency, "", "", frame.start, ""]
            row |= {"sort": "opening", "title": "期初余额", "amount": row["amount"] + each.amount}
        if each.account.kind in MINE and each.moved and each.transfer.kind in PAID_OUT:
            payout = books.payouts[each.transfer.source.partition("/")[2]]
            scheme = books.batches[payout.batch].scheme
            ended = _shanghai_day(payout)
            line, sort, titles = _PAID[each.transfer.kind]
            row = found[code, line, each.currency, scheme, payout.rail, ended, payout.number]
            amount = row["amount"] + each.amount
            row |= {"sort": sort, "title": titles[amount > 0], "amount": amount}
    for key in [key for key, row in found.items() if not row["amount"]]:
        del found[key]
    holding = {(each.origin.id, each.late): str(each.now.id) for each in changes_of(books, frame.inside(books))}
    for earned in earned_in(books, frame):
        late = earned.change.late
        detail = holding[earned.change.origin.id, late]
        key = (books.codes[earned.payee], 3 if late else 2, earned.currency, earned.scheme, earned.component.name)
        row = found[(*key, earned.change.origin.start, detail)]
        row |= {"sort": "adjusted" if late else "earned", "title": earned.component.title}
        row["measured"] = earned.component.measured
        row["base"] += earned.base
        row["amount"] += earned.amount
    return found


def _shanghai_day(payout: Row) -> Any:
    return shanghai(payout.ended_at) if payout.ended_at else payout.pay_on
