"""Whether a run of the drill came out right: pure, from what is known of it."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from tests.payouts.facts import TIED_REPORTS, Facts, Move, Outside, Payout
from tests.payouts.people import Person

Key = TypeVar("Key", bound=Hashable)
Claim = tuple[str, int, list[str]]
"""What is claimed, of how many, and every departure from it."""
SAME = "digest and every sum are what they were in calm"
ENDED = "every payout has ended"
AGREE = "each ended as its payee ended it at WeChat Pay"
MOVED = "WeChat Pay, the journal and paid payouts agree"
ONCE = "no number and no payee is paid twice"
TIES = "earned = paid + left, for every payee"
STATED = "statements say of every payee what the journal and WeChat Pay do"
REPORTED = "reports come to what the journal does, and statements to their report"
BACK = "what failed is back in the balance, once"
NAMED = "who is left out is named with the reason"
BALANCED = "the journal balances in every currency"
_UNPAID = frozenset({"failed", "cancelled"})


def of_run(everybody: Sequence[Person], facts: Facts) -> list[Claim]:
    """The claims about one run."""
    people = {each.code: each for each in everybody}
    count = len(facts.payouts)
    return [
        (SAME, len(facts.calm.earned), _other_than_in_calm(facts)),
        (ENDED, count, [_told(each) for each in facts.payouts if each.state not in ("paid", *_UNPAID)]),
        (AGREE, count, list(_disagreeing(facts, people))),
        (MOVED, sum(each.state == "paid" for each in facts.payouts), list(_sums_apart(facts))),
        (ONCE, count, list(_twice(facts))),
        (TIES, len(facts.settled.earned), list(_not_tying(facts))),
        (STATED, len({each.payee for each in facts.lines}), list(_not_stated(facts, people))),
        (REPORTED, len(facts.ties), list(_not_reported(facts))),
        (BACK, sum(each.state in _UNPAID for each in facts.payouts), list(_not_back(facts))),
        (NAMED, len(facts.omitted), list(_not_named(facts, people))),
    ]


def of_journal(balances: Sequence[Mapping[str, object]], moved: Sequence[Outside]) -> Claim:
    """The whole trial balance: nothing in sum, nothing under way, and what left is what WeChat Pay moved."""
    sums: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for each in balances:
        sums[str(each["currency"])] += int(str(each["balance_minor"]))
        left[str(each["kind"])] += int(str(each["balance_minor"]))
    wrong = [f"{currency}: {amount} in all" for currency, amount in sums.items() if amount]
    if not sums:
        wrong.append("nothing is booked")
    if left["paying"]:
        wrong.append(f"{left['paying']} are still under way")
    outside = sum(each.amount_minor for each in moved)
    if left["wechat-pay"] != outside:
        wrong.append(f"{left['wechat-pay']} left by WeChat Pay, which moved {outside}")
    return BALANCED, max(len(sums), 1), wrong


def _other_than_in_calm(facts: Facts) -> list[str]:
    calm, settled = facts.calm, facts.settled
    wrong = [
        f"{payee}: {settled.earned.get(payee, 0)} instead of {calm.earned.get(payee, 0)}"
        for payee in sorted(calm.earned.keys() | settled.earned.keys())
        if settled.earned.get(payee, 0) != calm.earned.get(payee, 0)
    ]
    if settled.digest is None or settled.digest != calm.digest:
        wrong.append(f"digest {settled.digest} instead of {calm.digest}")
    if settled.total_minor != calm.total_minor:
        wrong.append(f"{settled.total_minor} in all instead of {calm.total_minor}")
    return wrong


def _disagreeing(facts: Facts, people: Mapping[str, Person]) -> Iterator[str]:
    """Payouts that are paid without money having moved, or the other way round, or went to somebody else."""
    moved = {each.number for each in facts.moved}
    taken = {each.number: each for each in facts.taken}
    for payout in facts.payouts:
        if payout.state == "paid" and payout.number not in moved:
            yield f"{_told(payout)}, and no money moved"
        elif payout.state != "paid" and payout.number in moved:
            yield f"{_told(payout)}, and money moved"
        transfer = taken.get(payout.number)
        if transfer is None:
            if payout.number in moved or not payout.reason:
                yield f"{_told(payout)}, and WeChat Pay never took it"
        elif (transfer.openid, transfer.amount_minor) != (people[payout.payee].openid, payout.amount_minor):
            yield f"{_told(payout)}, but {transfer.amount_minor} were for {transfer.openid}"


def _sums_apart(facts: Facts) -> Iterator[str]:
    """Numbers whose three sums differ: what WeChat Pay moved, what the journal says left, what was paid."""
    numbers = {each.number for each in facts.payouts}
    outside = _added((each.number, each.amount_minor) for each in facts.moved if each.number in numbers)
    journal = _added((_number(each), each.amount_minor) for each in facts.moves if each.credit == "wechat-pay")
    paid = _added((each.number, each.amount_minor) for each in facts.payouts if each.state == "paid")
    for number in sorted(outside.keys() | journal.keys() | paid.keys()):
        sums = outside[number], journal[number], paid[number]
        if len(set(sums)) > 1:
            yield f"{number}: moved {sums[0]}, left {sums[1]}, paid {sums[2]}"


def _twice(facts: Facts) -> Iterator[str]:
    numbers = {each.number for each in facts.payouts}
    for name, entries in (("taken", facts.taken), ("moved", facts.moved)):
        counted = Counter(each.number for each in entries if each.number in numbers)
        yield from (f"{number} was {name} {times} times" for number, times in counted.items() if times > 1)
    in_batch = Counter((each.batch, each.payee) for each in facts.payouts)
    yield from (f"{payee} is {times} times in batch {batch}" for (batch, payee), times in in_batch.items() if times > 1)
    of_payee = Counter(each.payee for each in facts.payouts if each.state == "paid")
    yield from (f"{payee} was paid {times} times" for payee, times in of_payee.items() if times > 1)
    known = Counter(each.number for each in facts.payouts)
    yield from (f"{times} payouts are numbered {number}" for number, times in known.items() if times > 1)


def _not_tying(facts: Facts) -> Iterator[str]:
    """Statements that do not come to nothing, and payees with something under way or held."""
    balances = _balances(facts.moves)
    paid = _added((each.payee, each.amount_minor) for each in facts.payouts if each.state == "paid")
    booked = _added((each.payee, _earning(each)) for each in facts.moves)
    for payee in sorted(facts.settled.earned.keys() | balances.keys() | booked.keys() | paid.keys()):
        own, earned = balances[payee], facts.settled.earned.get(payee, 0)
        if booked[payee] != earned:
            yield f"{payee} earned {earned}, and {booked[payee]} are booked"
        if earned - paid[payee] - own["payable"]:
            yield f"{payee} earned {earned}, was paid {paid[payee]} and has {own['payable']} left"
        yield from (f"{payee} has {own[kind]} {kind}" for kind in ("paying", "held", "receivable") if own[kind])


def _not_stated(facts: Facts, people: Mapping[str, Person]) -> Iterator[str]:
    """Payees whose statements, which the product itself makes, differ from what is booked of them, or from what WeChat
    Pay moved to them; and those whose statement of a month does not begin with what the one before ended with."""
    earned = _added((each.payee, each.amount_minor) for each in facts.lines if each.sort in ("earned", "adjusted"))
    closing = _added((each.payee, each.amount_minor) for each in facts.lines if each.sort != "opening")
    booked, balances = _added((each.payee, _earning(each)) for each in facts.moves), _balances(facts.moves)
    for payee in sorted(closing.keys() | booked.keys() | balances.keys()):
        if earned[payee] != booked[payee]:
            yield f"{payee} earned {earned[payee]} by the statement, and {booked[payee]} are booked"
        left = sum(balances[payee][kind] for kind in ("payable", "held", "receivable", "paying"))
        if closing[payee] != left:
            yield f"{payee} has {closing[payee]} left by the statement, and {left} by the journal"
    numbers = {each.number for each in facts.payouts}
    outside = _added(((each.openid, each.number), each.amount_minor) for each in facts.moved if each.number in numbers)
    stated = _added(
        ((people[each.payee].openid or "", each.number), -each.amount_minor)
        for each in facts.lines
        if each.sort in ("paid", "overpaid")
    )
    for openid, number in sorted(outside.keys() | stated.keys()):
        sums = stated[openid, number], outside[openid, number]
        if sums[0] != sums[1]:
            yield f"{number}: {sums[0]} were paid to {openid} by the statement, and WeChat Pay moved {sums[1]}"
    before = Counter[str]()
    for month in sorted({each.month for each in facts.lines}):
        of_month = [each for each in facts.lines if each.month == month]
        opening = _added((each.payee, each.amount_minor) for each in of_month if each.sort == "opening")
        for payee in sorted(before.keys() | opening.keys()):
            if opening[payee] != before[payee]:
                yield f"{payee} begins {month:%Y-%m} with {opening[payee]}, and had {before[payee]} before"
        before = _added((each.payee, each.amount_minor) for each in of_month)


def _not_reported(facts: Facts) -> Iterator[str]:
    """Reports that come to something else than the journal, or are not there; and statements whose lines do not come to
    what their report does."""
    for each in facts.ties:
        if each.total != each.journal:
            yield f"{each.report} of {each.month:%Y-%m} comes to {each.total}, and the journal to {each.journal}"
    months = sorted({each.month for each in facts.ties})
    there = {(each.report, each.month) for each in facts.ties}
    yield from (
        f"there is no {name} of {month:%Y-%m}"
        for month in months
        for name in TIED_REPORTS
        if (name, month) not in there
    )
    if not months:
        yield "nothing was compared"
    lines = _added((each.month, each.amount_minor) for each in facts.lines)
    totals = _added((each.month, each.total) for each in facts.ties if each.report == "statements")
    for month in sorted(lines.keys() | totals.keys()):
        if lines[month] != totals[month]:
            yield f"lines of statements of {month:%Y-%m} come to {lines[month]}, and their report to {totals[month]}"


def _not_back(facts: Facts) -> Iterator[str]:
    """Payouts that failed without their sum having come back once; and those that came back although they did not."""
    back = Counter(_number(each) for each in facts.moves if each.kind == "payout-returned")
    amounts = {_number(each): each.amount_minor for each in facts.moves if each.kind == "payout-returned"}
    for payout in facts.payouts:
        wanted = payout.state in _UNPAID and payout.reason != "balance-changed"
        if back[payout.number] != wanted:
            yield f"{_told(payout)}, and came back {back[payout.number]} times"
        elif wanted and amounts[payout.number] != payout.amount_minor:
            yield f"{_told(payout)}, and {amounts[payout.number]} came back"


def _not_named(facts: Facts, people: Mapping[str, Person]) -> Iterator[str]:
    """Everybody with a balance is either paid or named with the right reason, in every batch."""
    batches = {each.batch for each in facts.payouts} | {each.batch for each in facts.omitted}
    for batch in sorted(batches):
        balances = _before(facts, batch)
        wanted = {payee: (people[payee].reason(balance), balance) for payee, balance in balances.items() if balance}
        named = {each.payee: (each.reason, each.amount_minor) for each in facts.omitted if each.batch == batch}
        paid = {each.payee: (None, each.amount_minor) for each in facts.payouts if each.batch == batch}
        found = {**named, **paid}
        for payee in sorted(wanted.keys() | found.keys()):
            if found.get(payee) != wanted.get(payee) or (payee in named and payee in paid):
                yield f"{payee} in batch {batch}: {found.get(payee)} instead of {wanted.get(payee)}"


def _before(facts: Facts, batch: int) -> Mapping[str, int]:
    """What everybody had when a batch was planned: all they earned, less what earlier batches paid."""
    earlier = (each for each in facts.payouts if each.batch < batch and each.state == "paid")
    gone = _added((each.payee, each.amount_minor) for each in earlier)
    return {payee: earned - gone[payee] for payee, earned in facts.settled.earned.items()}


def _balances(moves: Sequence[Move]) -> defaultdict[str, Counter[str]]:
    """What is on the accounts of each payee, by kind."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in moves:
        if each.payee:
            found[each.payee][each.debit] -= each.amount_minor
            found[each.payee][each.credit] += each.amount_minor
    return found


def _earning(move: Move) -> int:
    return move.amount_minor * ((move.debit == "commission") - (move.credit == "commission"))


def _added(pairs: Iterator[tuple[Key, int]]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for name, amount in pairs:
        found[name] += amount
    return found


def _number(move: Move) -> str:
    return move.source.partition("/")[2]


def _told(payout: Payout) -> str:
    reason = f" ({payout.reason})" if payout.reason else ""
    return f"{payout.number} of {payout.payee}, batch {payout.batch}, is {payout.state}{reason}"
