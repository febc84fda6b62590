"""Reports of payouts, of runs and who approved them, of disputes and of breaks."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any

from tests.reports.expected.parts import MASKED, PHONE, Cells
from tests.reports.expected.raw import PAID_OUT, Books, Frame, Row, left_by_rail, shanghai


def payouts(books: Books, frame: Frame) -> Cells:
    """Report `payouts`."""
    found: Cells = defaultdict(dict)
    for payout, _, paid in _in_frame(books, frame):
        found[(payout.number,)] = {
            "batch": books.batches[payout.batch].number,
            "payee": books.codes[payout.payee],
            "rail": payout.rail,
            "state": payout.state,
            "pay_on": payout.pay_on,
            "ended_at": payout.ended_at,
            "rail_number": payout.rail_number or "",
            "reason": (payout.reason or "").replace(PHONE, MASKED),
            "currency": payout.currency,
            "amount": payout.amount_minor,
            "paid": paid,
        }
    return found


def _in_frame(books: Books, frame: Frame) -> Iterator[tuple[Row, int, int]]:
    """Payouts of the frame's batches, and those of which anything is booked in it; with what is taken of the balance,
    and what was paid."""
    inside = frame.inside(books)
    booked: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for each in books["transfers"]:
        number = each.source.partition("/")[2]
        if each.period in inside and each.kind in PAID_OUT:
            booked[number]["paid"] += left_by_rail(books, each)
        elif each.period in inside and each.kind in ("payout-reserved", "payout-returned"):
            booked[number]["taken"] += each.amount_minor * (1 if each.kind == "payout-reserved" else -1)
    for payout in books["payouts"]:
        of = booked.get(payout.number, {})
        if frame.has(payout.payee) and (books.batches[payout.batch].period in inside or of):
            yield payout, of.get("taken", 0), of.get("paid", 0)


def payout_sums(books: Books, frame: Frame, *names: str) -> Cells:
    """Reports `payout-states` and `payout-calendar`."""
    found: Cells = defaultdict(lambda: {"count": 0, "amount": 0, "taken": 0})
    for payout, taken, _ in _in_frame(books, frame):
        row = found[tuple(getattr(payout, name) for name in names)]
        row["count"] += 1
        row["amount"] += payout.amount_minor
        row["taken"] += taken
    return found


def batches(books: Books, frame: Frame) -> Cells:
    """Report `batches`: of one payee only those with a payout of theirs."""
    found: Cells = defaultdict(dict)
    inside, paid_of = frame.inside(books), list(_in_frame(books, frame))
    for batch in books["payout_batches"]:
        own = [(payout, paid) for payout, _, paid in paid_of if payout.batch == batch.id]
        if own or (batch.period in inside and frame.payee is None):
            found[(batch.number,)] = {
                "scheme": batch.scheme,
                "day": batch.day,
                "state": batch.state,
                "asked_by": batch.asked_by,
                "approved_by": _said(books["payout_approvals"], "batch", batch.id, approved=True),
                "currency": batch.currency,
                "count": len(own),
                "amount": sum(payout.amount_minor for payout, _ in own),
                "paid": sum(paid for _, paid in own),
            }
    return found


def _said(approvals: Any, of: str, number: Any, *, approved: bool) -> str:
    said = [each for each in approvals if getattr(each, of) == number and each.approved is approved]
    return ", ".join(each.login for each in sorted(said, key=lambda each: (each.decided_at, each.login)))


def tax_base(books: Books, frame: Frame) -> Cells:
    """Report `tax-base`: by the day that a payout ended on, wherever it is booked."""
    found: Cells = defaultdict(lambda: {"count": 0, "paid": 0})
    paid: dict[str, int] = defaultdict(int)
    for each in books["transfers"]:
        if each.kind in PAID_OUT:
            paid[each.source.partition("/")[2]] += left_by_rail(books, each)
    for payout in books["payouts"]:
        scheme = books.batches[payout.batch].scheme
        if not paid[payout.number] or not frame.has(payout.payee) or frame.scheme not in (None, scheme):
            continue
        day: date = shanghai(payout.ended_at)
        if frame.start <= day < frame.end:
            row = found[books.codes[payout.payee], day.replace(day=1), payout.rail, payout.currency]
            row["count"] += 1
            row["paid"] += paid[payout.number]
    return found


def approvals(books: Books, frame: Frame) -> Cells:
    """Report `approvals`."""
    found: Cells = defaultdict(dict)
    for run in books["settlement_runs"]:
        if run.period in frame.inside(books):
            found[(run.number,)] = {
                "scheme": run.scheme,
                "period_start": books.periods[run.period].start,
                "state": run.state,
                "asked_by": run.asked_by,
                "asked_at": run.asked_at,
                "approved_by": _said(books["settlement_approvals"], "run", run.id, approved=True),
                "refused_by": _said(books["settlement_approvals"], "run", run.id, approved=False),
                "currency": books.periods[run.period].currency,
                "total": run.total_minor or 0,
                "booked": run.booked_minor or 0,
            }
    return found


def calculations(books: Books, frame: Frame) -> Cells:
    """Report `calculations`."""
    found: Cells = defaultdict(dict)
    runs = {each.id: each for each in books["settlement_runs"] if each.period in frame.inside(books)}
    for each in books["settlement_run_calculations"]:
        run = runs.get(each.run)
        if run is None or run.state != "booked":
            continue
        row = books.calculations[each.calculation]
        before = books.calculations[each.before].total_minor if each.before else 0
        found[run.number, str(row.id)] = {
            "scheme": run.scheme,
            "version": row.version,
            "period_start": books.periods[each.origin].start,
            "purpose": row.purpose,
            "digest": row.digest,
            "currency": books.periods[run.period].currency,
            "total": row.total_minor,
            "before": before,
            "amount": row.total_minor - before,
        }
    return found


def corrections(books: Books, frame: Frame) -> Cells:
    """Report `corrections`: of one payee those who get an order, or have or had part in it in that role."""
    found: Cells = defaultdict(dict)
    for each in books["sale_corrections"]:
        owners = {
            row.payee for row in books["attributions"] if (row.order_key, row.role) == (each.order_key, each.role)
        }
        concerned = owners | {payee for payee, _ in each.shares}
        if frame.start <= shanghai(each.asked_at) < frame.end and (frame.payee is None or frame.payee in concerned):
            found[(str(each.id),)] = {
                "asked_at": each.asked_at,
                "order": f"{each.account_id}/{each.order_id}",
                "role": each.role,
                "state": each.state,
                "asked_by": each.asked_by,
                "decided_by": each.decided_by or "",
                "reason": each.reason.replace(PHONE, MASKED),
                "note": each.note or "",
                "count": 1,
            }
    return found


def breaks(books: Books, frame: Frame) -> Cells:
    """Report `breaks`."""
    found: Cells = defaultdict(dict)
    for each in books["breaks"]:
        if frame.start <= each.day < frame.end:
            words = ("shop", "number", "assignee", "explained_by", "solved_by", "reason")
            found[each.day, str(each.id)] = {
                **{name: getattr(each, name) or "" for name in words},
                **{name: getattr(each, name) for name in ("account", "kind", "family", "state")},
                "ours": each.our_minor,
                "theirs": each.their_minor,
                "difference": each.their_minor - each.our_minor if each.stands else 0,
                "currency": "CNY",
            }
    return found
