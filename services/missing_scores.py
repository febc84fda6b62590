"""Scores that a scheme asks for and nobody had noted: each counts as nothing, which has to be meant."""

from collections.abc import Sequence

from domain.problems import Text
from domain.settlement.scheme import Scheme
from storage.calculation_tables import CalculationRow
from storage.missing_scores import MissingScore, MissingScores
from storage.unit_of_work import UnitOfWork

_SHOWN = 5


async def missing_scores_in(work: UnitOfWork, scheme: Scheme, row: CalculationRow) -> Sequence[Text]:
    """A sentence for each score that some are without. Who sold nothing needs no coefficient."""
    coefficients = [(each.factor.score, each.name) for each in scheme.components if each.factor is not None]
    roles = [
        (each.score, role)
        for each in scheme.components
        if each.score is not None
        for role in each.roles or scheme.roles or ("",)
    ]
    if not coefficients and not roles:
        return []
    return [_said(each) for each in await MissingScores(work).of(row, coefficients, roles, _SHOWN)]


def _said(missing: MissingScore) -> Text:
    name, count, codes = missing.score, missing.payees, missing.some
    more = count > len(codes)
    return Text(
        f"有 {count} 位收款人本期没有登记考核分 {name}，按 0 分计：{'、'.join(codes)}{' 等' if more else ''}；"
        "如是漏登，请登记后再结算一次",
        f"{count} payees were given no score {name} in the period, which counts as 0: {', '.join(codes)}"
        f"{' and others' if more else ''}. If it was forgotten, note it and settle again",
    )
