"""The judge of `make payouts` follows every fen from what was earned to WeChat Pay's own ledger, and names the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import yaml

from domain.settlement.scheme_reading import read_scheme
from tests.payouts.facts import TIED_REPORTS, Computed, Facts, Line, Move, Omitted, Outside, Payout, Tied
from tests.payouts.people import Person, end_of, people, sales_rows, scheme
from tests.payouts.trouble import faults
from tests.payouts.verdict import (
    AGREE,
    BACK,
    BALANCED,
    ENDED,
    MOVED,
    NAMED,
    ONCE,
    REPORTED,
    SAME,
    STATED,
    TIES,
    of_journal,
    of_run,
)

PEOPLE = people(100)
"""Of whom 42 has no account, 48 leaves, and 58 no real name."""
ALICE, BOB, CAROL, NO_ACCOUNT, LEAVES, NO_NAME = (PEOPLE[number - 1] for number in (9, 10, 11, 42, 48, 58))
EARNED = {
    ALICE.code: 1_000,
    BOB.code: 2_000,
    CAROL.code: 3_000,
    NO_ACCOUNT.code: 400,
    LEAVES.code: 500,
    NO_NAME.code: 200_000,
}
CALM = Computed("d1", sum(EARNED.values()), EARNED)


def earning(person: Person) -> Move:
    return Move("commission", "commission", "payable", person.code, EARNED[person.code], "CNY", "run/r/c")


def tried(batch: int, number: str, person: Person, state: str) -> tuple[Payout, Sequence[Move], Outside]:
    """A payout that ended, what the journal says of it, and that WeChat Pay took it."""
    amount = EARNED[person.code]
    kind, credit = ("payout-paid", "wechat-pay") if state == "paid" else ("payout-returned", "payable")
    moves = [
        Move("payout-reserved", "payable", "paying", person.code, amount, "CNY", f"payout/{number}"),
        Move(kind, "paying", credit, person.code, amount, "CNY", f"payout/{number}"),
    ]
    return Payout(batch, number, person.code, amount, state, None), moves, Outside(number, person.openid or "", amount)


TRIES = (
    tried(1, "A1", ALICE, "paid"),
    tried(1, "B1", BOB, "failed"),
    tried(1, "C1", CAROL, "cancelled"),
    tried(2, "B2", BOB, "paid"),
    tried(2, "C2", CAROL, "failed"),
)
LEFT_OUT = tuple(
    Omitted(batch, person.code, reason, EARNED[person.code])
    for batch in (1, 2)
    for person, reason in ((NO_ACCOUNT, "no-account"), (LEAVES, "inactive"), (NO_NAME, "no-real-name"))
)
ELSEWHERE = Outside("Z9", "o-somebody", 77)
"""Of another run."""
MONTH, PAID_IN = date(2026, 11, 1), date(2026, 12, 1)
LINES = (
    *(Line(MONTH, payee, "earned", "", amount) for payee, amount in EARNED.items()),
    *(Line(PAID_IN, payee, "opening", "", amount) for payee, amount in EARNED.items()),
    Line(PAID_IN, ALICE.code, "paid", "A1", -1_000),
    Line(PAID_IN, BOB.code, "paid", "B2", -2_000),
)
STATED_IN_ALL = {month: sum(each.amount_minor for each in LINES if each.month == month) for month in (MONTH, PAID_IN)}
TIED = [
    Tied(month, name, total if name == "statements" else 7, total if name == "statements" else 7)
    for month, total in STATED_IN_ALL.items()
    for name in TIED_REPORTS
]
RIGHT = Facts(
    1,
    CALM,
    CALM,
    [*(earning(person) for person in PEOPLE if person.code in EARNED), *(move for each in TRIES for move in each[1])],
    [each[0] for each in TRIES],
    LEFT_OUT,
    [*(each[2] for each in TRIES), ELSEWHERE],
    [TRIES[0][2], TRIES[3][2], ELSEWHERE],
    LINES,
    TIED,
)


def broken(facts: Facts) -> set[str]:
    return {claim for claim, _, bad in of_run(PEOPLE, facts) if bad}


def payout(which: str, /, **changes: Any) -> Facts:
    """What is right but for one payout."""
    return replace(
        RIGHT, payouts=[each._replace(**changes) if each.number == which else each for each in RIGHT.payouts]
    )


def without(kind: str, number: str) -> Sequence[Move]:
    return [each for each in RIGHT.moves if (each.kind, each.source) != (kind, f"payout/{number}")]


def moved(kind: str, number: str, /, **changes: Any) -> Facts:
    """What is right but for one transfer of the journal."""
    chosen = (kind, f"payout/{number}")
    moves = [each._replace(**changes) if (each.kind, each.source) == chosen else each for each in RIGHT.moves]
    return replace(RIGHT, moves=moves)


def left_out(**changes: Any) -> Facts:
    """What is right but for the first who was left out."""
    return replace(RIGHT, omitted=[LEFT_OUT[0]._replace(**changes), *LEFT_OUT[1:]])


def test_what_ties_is_not_complained_of() -> None:
    assert broken(RIGHT) == set()
    assert {claim: of for claim, of, _ in of_run(PEOPLE, RIGHT)} == {
        SAME: 6,
        ENDED: 5,
        AGREE: 5,
        MOVED: 2,
        ONCE: 5,
        TIES: 6,
        STATED: 6,
        REPORTED: 20,
        BACK: 3,
        NAMED: 6,
    }


def test_a_payout_that_wechat_pay_never_took_is_explained_by_its_reason() -> None:
    taken = [each for each in RIGHT.taken if each.number != "C2"]
    assert broken(replace(payout("C2", reason="参数不正确"), taken=taken)) == set()
    assert broken(replace(RIGHT, taken=taken)) == {AGREE}
    assert broken(replace(RIGHT, taken=[each for each in RIGHT.taken if each.number != "A1"])) == {AGREE}


@pytest.mark.parametrize(
    ("facts", "claims"),
    [
        (replace(RIGHT, settled=replace(CALM, digest="d2")), {SAME}),
        (replace(RIGHT, settled=replace(CALM, digest=None), calm=replace(CALM, digest=None)), {SAME}),
        (replace(RIGHT, settled=replace(CALM, total_minor=1)), {SAME}),
        (replace(RIGHT, calm=replace(CALM, earned={**EARNED, ALICE.code: 999})), {SAME}),
        (payout("C2", state="awaiting_user"), {ENDED, BACK}),
        (payout("A1", state="failed"), {AGREE, MOVED, TIES, BACK, NAMED}),
        (payout("C2", state="paid"), {AGREE, MOVED, TIES, BACK}),
        (payout("A1", amount_minor=999), {AGREE, MOVED, TIES, NAMED}),
        (payout("B2", payee=CAROL.code), {AGREE, ONCE, TIES, NAMED}),
        (payout("C2", number="B2"), {AGREE, ONCE, BACK}),
        (replace(RIGHT, moved=[*RIGHT.moved, TRIES[0][2]]), {MOVED, ONCE, STATED}),
        (replace(RIGHT, taken=[*RIGHT.taken, TRIES[1][2]]), {ONCE}),
        (replace(RIGHT, moved=[*RIGHT.moved, TRIES[2][2]]), {AGREE, MOVED, STATED}),
        (replace(RIGHT, moved=RIGHT.moved[1:]), {AGREE, MOVED, STATED}),
        (replace(RIGHT, taken=[TRIES[0][2]._replace(openid="o-thief"), *RIGHT.taken[1:]]), {AGREE}),
        (replace(RIGHT, moves=without("payout-paid", "A1")), {MOVED, TIES, STATED}),
        (moved("payout-paid", "A1", credit="bank"), {MOVED}),
        (moved("payout-paid", "A1", amount_minor=999), {MOVED, TIES, STATED}),
        (replace(RIGHT, moves=without("payout-returned", "C2")), {TIES, BACK}),
        (moved("payout-returned", "C2", amount_minor=2_999), {TIES, BACK}),
        (replace(RIGHT, moves=[*RIGHT.moves, TRIES[1][1][1]]), {TIES, BACK}),
        (replace(RIGHT, moves=RIGHT.moves[1:]), {TIES, STATED}),
        (replace(RIGHT, moves=[*RIGHT.moves, earning(ALICE)]), {TIES, STATED}),
        (replace(RIGHT, moves=[*RIGHT.moves, earning(ALICE)._replace(credit="held")]), {TIES, STATED}),
        (replace(RIGHT, omitted=LEFT_OUT[1:]), {NAMED}),
        (left_out(reason="inactive"), {NAMED}),
        (left_out(amount_minor=399), {NAMED}),
        (replace(RIGHT, omitted=[*LEFT_OUT, Omitted(1, ALICE.code, "owes", 1_000)]), {NAMED}),
    ],
    ids=[
        "another digest",
        "no digest",
        "another total",
        "somebody earned something else",
        "a payout is still under way",
        "one that was paid is said to have failed",
        "one that failed is said to be paid",
        "another sum",
        "it went to somebody else",
        "two payouts of one number",
        "money moved twice under a number",
        "a number was taken twice",
        "money moved for one that was called off",
        "no money moved for one that is paid",
        "another got it",
        "the journal does not know that it was paid",
        "the journal has it on another rail",
        "the journal has another sum",
        "what failed did not come back",
        "less came back",
        "it came back twice",
        "an earning is not booked",
        "an earning is booked twice",
        "something is held",
        "somebody is not paid and not named",
        "another reason",
        "another balance",
        "somebody is paid and named as left out",
    ],
)
def test_whatever_does_not_tie_is_a_complaint(facts: Facts, claims: set[str]) -> None:
    assert broken(facts) == claims


def stated(which: int, /, **changes: Any) -> Facts:
    """What is right but for one line of a statement, whose report says the same."""
    lines = [each._replace(**changes) if place == which else each for place, each in enumerate(LINES)]
    totals = {month: sum(each.amount_minor for each in lines if each.month == month) for month in STATED_IN_ALL}
    ties = [
        each._replace(total=totals[each.month], journal=totals[each.month]) if each.report == "statements" else each
        for each in TIED
    ]
    return replace(RIGHT, lines=lines, ties=ties)


def reported(which: int, /, **changes: Any) -> Facts:
    """What is right but for one sum of a report."""
    return replace(
        RIGHT, ties=[each._replace(**changes) if place == which else each for place, each in enumerate(TIED)]
    )


@pytest.mark.parametrize(
    ("facts", "complaints"),
    [
        (stated(0, amount_minor=999), {STATED}),
        (stated(0, sort="paid", number="A1"), {STATED}),
        (stated(6, amount_minor=999), {STATED}),
        (stated(12, amount_minor=-999), {STATED}),
        (stated(12, amount_minor=-1_001), {STATED}),
        (stated(12, number="C1"), {STATED}),
        (stated(12, payee=CAROL.code), {STATED}),
        (stated(12, sort="overpaid"), set()),
        (replace(stated(12, amount_minor=0), lines=[*LINES[:12], LINES[13]]), {STATED}),
        (replace(RIGHT, lines=[*LINES, LINES[12]]), {STATED, REPORTED}),
        (replace(RIGHT, lines=LINES[:-1]), {STATED, REPORTED}),
        (replace(RIGHT, lines=(), ties=()), {STATED, REPORTED}),
        (reported(0, total=8), {REPORTED}),
        (reported(19, journal=8), {REPORTED}),
        (reported(1, total=1, journal=1), {REPORTED}),
        (replace(RIGHT, ties=TIED[:-1]), {REPORTED}),
    ],
    ids=[
        "it earned less",
        "an earning is a payment",
        "the next month begins with less",
        "less was paid",
        "more was paid",
        "another payout was",
        "to another payee",
        "what was overpaid is paid as well",
        "nothing was paid",
        "it was paid twice",
        "a payment is missing",
        "there are no statements",
        "a report comes to more",
        "the journal comes to more",
        "a report comes to something else than its lines",
        "a report is missing",
    ],
)
def test_statements_and_reports_are_held_against_journal_and_wechat_pay(facts: Facts, complaints: set[str]) -> None:
    assert broken(facts) == complaints


BALANCES: Sequence[Mapping[str, object]] = [
    {"kind": "commission", "currency": "CNY", "balance_minor": -3_500},
    {"kind": "payable", "currency": "CNY", "balance_minor": 423},
    {"kind": "wechat-pay", "currency": "CNY", "balance_minor": 3_077},
]


def test_the_whole_journal_is_held_against_what_moved() -> None:
    assert of_journal(BALANCES, RIGHT.moved) == (BALANCED, 1, [])
    assert of_journal([], []) == (BALANCED, 1, ["nothing is booked"])
    assert of_journal(BALANCES[:2], [])[2] == ["CNY: -3077 in all"]
    assert of_journal(BALANCES, RIGHT.moved[1:])[2] == ["3077 left by WeChat Pay, which moved 2077"]
    paying = [*BALANCES, {"kind": "paying", "currency": "CNY", "balance_minor": 5}]
    assert of_journal(paying, RIGHT.moved)[2] == ["CNY: 5 in all", "5 are still under way"]
    dollars = [*BALANCES, {"kind": "payable", "currency": "USD", "balance_minor": 5}]
    assert of_journal(dollars, RIGHT.moved)[2] == ["USD: 5 in all"]


def test_a_hundred_payees_are_of_every_kind() -> None:
    reasons = {each.reason(250_000) for each in PEOPLE} | {each.reason(1) for each in PEOPLE}
    assert reasons == {None, "below-minimum", "inactive", "no-account", "no-real-name"}
    sold = [sum(each.sales()) for each in PEOPLE]
    assert sold == [sum(each.sales()) for each in people(100)], "the same for every house"
    assert sold[0] == 0
    assert max(sold) > 2_000_000
    assert min(sold[1:]) < 2_000
    rows = list(sales_rows(PEOPLE, {each.code: each.number for each in PEOPLE}, date(2026, 2, 1)))
    assert {first for *_, payee, _, _, first in rows if payee == 2} == {False}, "or it would not stay below the minimum"
    assert {end_of(1, 1, 1, f"o{number}").event for number in range(200)} == {"SUCCESS", "FAIL", "CANCELLED"}
    assert end_of(1, 1, 1, "o-1") == end_of(1, 1, 1, "o-1")


def test_each_run_has_a_scheme_that_is_taken() -> None:
    texts = [scheme(run, date(2026, 1, 1)) for run in (1, 2)]
    assert texts[0] != texts[1]
    for text in texts:
        assert read_scheme(yaml.safe_load(text)).remarks == []
    assert {each["fault"] for each in faults(100)} >= {"timeout_before", "timeout_after", "5xx", "429", "busy", "quota"}
    assert len(faults(10_000)) == len(faults(100)) + 1
