"""Breaks as reconciling finds them: opened, opened again, or solved by themselves.

Only what was compared this time can be solved by itself: a family that nobody compares any more, or a day whose bill is
not there, leaves its breaks as they are.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from domain.events import Event
from domain.ids import derived_id
from domain.settlement.reconciliation import FEES, Break, Family, Outcome, Theirs
from storage.bills import Bills
from storage.breaks import BreakRow, Breaks
from storage.leftovers import Days, Looked
from storage.unit_of_work import UnitOfWork


class Kept(NamedTuple):
    """opened: breaks that are new, or stand otherwise than before. changed: whether anything is otherwise."""

    opened: Sequence[BreakRow]
    changed: bool


async def keep_breaks(work: UnitOfWork, of: Days, looked: Looked, outcome: Outcome, old: Sequence[Theirs]) -> Kept:
    """Open what is new, open again what stands otherwise, solve what is none any more. old: lines of other days."""
    found = {_break_id(of.account, each): each for each in outcome.breaks}
    breaks = Breaks(work)
    known = await breaks.known(list(found))
    standing = await breaks.standing(*of)
    gone = [each for each in standing if each.id not in found and looked.has(each.family, each.day)]
    fee_of = {each.id: name for each in gone if (name := _fee_of(each)) is not None}
    elsewhere = await Bills(work).matched_elsewhere(of.account, of.day, set(fee_of.values()))
    gone = [each for each in gone if fee_of.get(each.id) not in elsewhere]
    settled = {(one.family, one.shop, one.number) for match in outcome.matches for one in match.ours}
    settled |= {(FEES[family], shop, number) for family, shop, number in settled if family in FEES}
    gone += [
        each
        for each in await breaks.standing_of(of.account, settled, old)
        if each.id not in found and each.family in looked.families
    ]
    for row in gone:
        solve_by_itself(row, work)
    new: list[BreakRow] = []
    again: list[BreakRow] = []
    back = False
    for break_id, each in found.items():
        kept = known.get(break_id)
        if kept is None:
            new.append(_row(break_id, of.account, each, work))
            continue
        if _stands_otherwise(kept, each):
            _open_again(kept, each, work)
            again.append(kept)
        back |= not kept.stands
        kept.stands, kept.day, kept.lines = True, each.day, _lines(each)
    await breaks.add(new)
    return Kept([*new, *again], bool(gone or new or again or back))


def solve_by_itself(row: BreakRow, work: UnitOfWork) -> None:
    """Bill and books do not differ there any more; what a person let go stays theirs."""
    row.stands, row.changed_at = False, work.now
    if row.state != "solved":
        row.state, row.solved_by, row.solved_at = "solved", None, work.now


def told_of(account: str, digest: str, opened: Sequence[BreakRow], work: UnitOfWork) -> Sequence[Event]:
    """`tandem.breaks.opened`, one for each day that breaks are of: a ticket for each of ten thousand would help nobody.
    digest: of what they were found by."""
    by_day: dict[date, list[BreakRow]] = defaultdict(list)
    for each in opened:
        by_day[each.day].append(each)
    return [_opened(account, day, digest, by_day[day], work) for day in sorted(by_day)]


def _opened(account: str, day: date, digest: str, opened: Sequence[BreakRow], work: UnitOfWork) -> Event:
    platform, _, slug = account.partition("/")
    return Event(
        # What is opened again as it stood once before is told again.
        id=derived_id("breaks-opened", account, str(day), digest, work.now.isoformat()),
        source=f"/{account}",
        type="tandem.breaks.opened",
        time=work.now,
        subject=opened[0].subject,
        datacontenttype="application/json",
        data={
            "platform": platform,
            "account": slug,
            "day": str(day),
            "breaks": len(opened),
            "difference_minor": sum(abs(each.difference_minor) for each in opened),
            "kinds": dict(sorted(Counter(each.kind for each in opened).items())),
        },
    )


def _fee_of(row: BreakRow) -> tuple[Family, str, str] | None:
    """The order or refund that a break is the fee of."""
    family = next((each for each, fee in FEES.items() if fee == row.family), None)
    return (family, row.shop, row.number) if family and row.shop and row.number else None


def _break_id(account: str, each: Break) -> UUID:
    """The same for the same order, refund or payout, or the same line, however often it is found."""
    if each.ours:
        return UUID(derived_id("break", account, each.family, each.ours[0].shop, each.ours[0].number))
    line = each.theirs[0]
    return UUID(derived_id("break", account, each.family, "line", str(line.bill), str(line.line), line.kind))


def _row(break_id: UUID, account: str, each: Break, work: UnitOfWork) -> BreakRow:
    first = each.theirs[0] if each.theirs else None
    return BreakRow(
        id=break_id,
        account=account,
        day=each.day,
        kind=each.kind,
        family=each.family,
        shop=each.ours[0].shop if each.ours else None,
        number=each.ours[0].number if each.ours else first and (first.number or first.channel_number),
        lines=_lines(each),
        our_minor=each.our_minor,
        their_minor=each.their_minor,
        suggestion=each.suggestion,
        opened_at=work.now,
        changed_at=work.now,
    )


def _stands_otherwise(row: BreakRow, each: Break) -> bool:
    by_itself = row.state == "solved" and row.solved_by is None
    return by_itself or (row.kind, row.our_minor, row.their_minor) != (each.kind, each.our_minor, each.their_minor)


def _open_again(row: BreakRow, each: Break, work: UnitOfWork) -> None:
    """What was said of it was said of something else; the audit log still has it."""
    row.kind, row.our_minor, row.their_minor = each.kind, each.our_minor, each.their_minor
    row.day, row.lines, row.suggestion = each.day, _lines(each), each.suggestion
    row.state, row.reason, row.note, row.changed_at = "open", None, None, work.now
    row.explained_by = row.explained_at = row.solved_by = row.solved_at = None


def _lines(each: Break) -> list[list[int | str]]:
    return [[line.bill, line.line, line.kind] for line in each.theirs]
