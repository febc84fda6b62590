"""What is known of a run of the drill when it is over: by the journal, the payouts, and WeChat Pay's own books."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

from domain.money import minor_from_major
from tests.payouts.people import scheme_name
from tests.payouts.stage import Stage


class Move(NamedTuple):
    """A transfer of the journal. payee: whose account is debited or credited, if it is anybody's."""

    kind: str
    debit: str
    credit: str
    payee: str
    amount_minor: int
    currency: str
    source: str


class Payout(NamedTuple):
    """A payout as Tandem knows it. batch: 1 for the first of its run."""

    batch: int
    number: str
    payee: str
    amount_minor: int
    state: str
    reason: str | None


class Omitted(NamedTuple):
    """Who was left out of a batch, why, and what they keep."""

    batch: int
    payee: str
    reason: str
    amount_minor: int


class Outside(NamedTuple):
    """What WeChat Pay did under a number: it took a transfer, or money went to the payee."""

    number: str
    openid: str
    amount_minor: int


class Line(NamedTuple):
    """A line of a payee's statement of a month. number: of the payout that it is of, if it is of any."""

    month: date
    payee: str
    sort: str
    number: str
    amount_minor: int


class Tied(NamedTuple):
    """What a report of a month comes to, and the journal."""

    month: date
    report: str
    total: int
    journal: int


@dataclass(frozen=True)
class Computed:
    """What a calculation came to. earned: by payee."""

    digest: str | None
    total_minor: int
    earned: Mapping[str, int]


@dataclass(frozen=True)
class Facts:
    """One run. calm: what its scheme came to when nothing was broken. taken, moved: by WeChat Pay, of all runs."""

    run: int
    calm: Computed
    settled: Computed
    moves: Sequence[Move]
    payouts: Sequence[Payout]
    omitted: Sequence[Omitted]
    taken: Sequence[Outside]
    moved: Sequence[Outside]
    lines: Sequence[Line]
    ties: Sequence[Tied]


TIED_REPORTS = (
    "payees", "statements", "balances", "carry-over", "trial-balance", "exceptions", "payouts", "payout-states",
    "batches", "tax-base",
)  # fmt: skip
"""Those that tell of what is earned and paid."""
_EARNED = """
    SELECT y.code, sum(e.amount_minor)::bigint FROM settlement_earnings e JOIN payees y ON y.id = e.payee
    WHERE e.calculation = %(calculation)s GROUP BY y.code HAVING sum(e.amount_minor) <> 0
"""
_MOVES = """
    SELECT t.kind, d.kind, c.kind, coalesce(y.code, ''), t.amount_minor, t.currency, t.source
    FROM transfers t JOIN settlement_periods p ON p.id = t.period
    JOIN ledger_accounts d ON d.id = t.debit JOIN ledger_accounts c ON c.id = t.credit
    LEFT JOIN payees y ON y.id = coalesce(d.payee, c.payee)
    WHERE p.scheme = %(scheme)s ORDER BY t.id
"""
_PAYOUTS = """
    SELECT dense_rank() OVER (ORDER BY b.asked_at), p.number, y.code, p.amount_minor, p.state, p.reason
    FROM payouts p JOIN payout_batches b ON b.id = p.batch JOIN payees y ON y.id = p.payee
    WHERE b.scheme = %(scheme)s ORDER BY p.id
"""
_OMITTED = """
    SELECT b.place, y.code, o.reason, o.amount_minor
    FROM payout_omissions o JOIN payees y ON y.id = o.payee
    JOIN (SELECT id, row_number() OVER (ORDER BY asked_at) AS place FROM payout_batches WHERE scheme = %(scheme)s) b
        ON b.id = o.batch
    ORDER BY b.place, y.code
"""
_STRANGE = """
    SELECT told.number FROM unnest(%(numbers)s::text[]) AS told (number)
    WHERE NOT EXISTS (SELECT FROM payouts WHERE payouts.number = told.number)
"""


async def computed(stage: Stage, calculation: Mapping[str, object]) -> Computed:
    """A calculation as the API shows it, with what each payee earned."""
    rows = await stage.rows(_EARNED, {"calculation": UUID(str(calculation["id"]))})
    digest, total = calculation["digest"], calculation["total_minor"]
    return Computed(None if digest is None else str(digest), int(str(total or 0)), dict(rows))


async def facts_of(stage: Stage, run: int, calm: Computed, calculation: Mapping[str, object]) -> Facts:
    """All of a run."""
    of = {"scheme": scheme_name(run)}
    return Facts(
        run,
        calm,
        await computed(stage, calculation),
        [Move(*row) for row in await stage.rows(_MOVES, of)],
        [Payout(*row) for row in await stage.rows(_PAYOUTS, of)],
        [Omitted(*row) for row in await stage.rows(_OMITTED, of)],
        await _outside(stage, "transfer"),
        await _outside(stage, "transferred"),
        [line for month in stage.months() for line in await _lines(stage, run, month)],
        [
            Tied(month, name, each["total"], each["journal"])
            for month in stage.months()
            for name in TIED_REPORTS
            for each in await stage.tie_out(name, run, month)
        ],
    )


async def strangers(stage: Stage) -> list[str]:
    """Transfers that WeChat Pay took and nobody here knows of."""
    numbers = sorted({each.number for each in await _outside(stage, "transfer")})
    return [number for (number,) in await stage.rows(_STRANGE, {"numbers": numbers})]


async def _lines(stage: Stage, run: int, month: date) -> list[Line]:
    rows = await stage.report("statements", run, month)
    return [Line(month, row["payee"], row["sort"], row["detail"], minor_from_major(row["amount"])) for row in rows]


async def _outside(stage: Stage, kind: str) -> list[Outside]:
    entries = await stage.ledger(kind)
    return [
        Outside(each["out_bill_no"], each["openid"], each["amount_minor"] or 0) for each in entries if each["effect"]
    ]
