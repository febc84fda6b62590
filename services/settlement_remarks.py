"""What is odd about a settlement that was computed, for who looks at it before it is booked."""

from collections.abc import Sequence

from domain.dsl.findings import did_you_mean
from domain.problems import Text
from domain.settlement.scheme import Scheme
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.frozen_rates import rates_in
from services.missing_scores import missing_scores_in
from services.noted_facts import noted_facts_in
from services.reused_inputs import remark_on_input
from services.settlement_members import uplines_elsewhere_in
from services.unattributed import unattributed_in
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.definitions import Definitions
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork

ADJUSTING_ONLY = Text(
    "没有适用于该账期的方案版本：只结算已关闭账期之后的改动，本期自己的业绩不在其中",
    "No version of the scheme is for this period: only what changed in closed ones is settled, and nothing of its own",
)
"""Of a settlement without a calculation of its own period."""


async def remarks_on(work: UnitOfWork, scheme: Scheme, row: CalculationRow) -> Sequence[Text]:
    """A sentence for each thing that may be a mistake: roles that nobody has, orders that are nobody's, uplines who are
    settled elsewhere, scores that were not noted, and who noted what of the rest, and which exchange rates."""
    roles = dict.fromkeys([*scheme.roles, *(role for each in scheme.components for role in each.roles)])
    had = await Payees(work).roles_among(roles)
    return [
        *await _input(work, scheme, row),
        *await _roles_of_nobody(work, [role for role in roles if role not in had]),
        *await unattributed_in(work, scheme, row, had),
        *await uplines_elsewhere_in(work, scheme, row),
        *await missing_scores_in(work, scheme, row),
        *await noted_facts_in(work, scheme, row),
        *await rates_in(work, scheme, row),
    ]


async def _input(work: UnitOfWork, scheme: Scheme, row: CalculationRow) -> Sequence[Text]:
    source = await Calculations(work).find(row.input_of) if row.input_of is not None else None
    if source is None:
        return []
    version = await Definitions(work).get((SCHEME, "", source.scheme, source.version))
    return [remark_on_input(row, scheme, source, scheme_of(version.properties))] if version is not None else []


async def _roles_of_nobody(work: UnitOfWork, missing: Sequence[str]) -> Sequence[Text]:
    """Each role of a scheme that no payee has: it may be mistyped, and pays nobody."""
    if not missing:
        return []
    known = await Payees(work).roles()
    return [_of_nobody(role, did_you_mean(role, known)) for role in missing]


def _of_nobody(role: str, near: Text) -> Text:
    return Text(
        f"没有角色为“{role}”的收款人，按这个角色计的收入不会付给任何人。{near.zh}",
        f"No payee has the role “{role}”: what is earned by it is nobody's.{near.en}",
    )
