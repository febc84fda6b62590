"""What the payees of a calculation sold, did and were scored, up to what was frozen for it."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from fractions import Fraction

from domain.settlement.calculation import Known
from domain.settlement.scheme import Scheme
from storage.calculation_tables import CalculationRow
from storage.calculations import rates_of
from storage.payee_facts import PayeeFacts
from storage.sale_filters import Extent
from storage.sale_sums import SaleSums
from storage.unit_of_work import UnitOfWork


async def known_in(
    work: UnitOfWork,
    scheme: Scheme,
    row: CalculationRow,
    part: int,
    members: Collection[int],
    *,
    only_scores: bool = False,
) -> Mapping[int, Known]:
    """What the members of a part sold, did and were scored."""
    facts = PayeeFacts(work)
    upto = row.facts_upto or 0
    scores = await facts.of_part(part, row.start, row.end, upto) if _asks_for_scores(scheme) else {}
    bases: dict[int, dict[str, int]] = defaultdict(dict)
    by_line: dict[int, Mapping[str, int]] = {}
    unrounded: dict[int, Mapping[str, Fraction]] = {}
    if not only_scores:
        extent = Extent(row.start, row.end, row.sales_upto or 0, part)
        for sold in await SaleSums(work).by_payee(scheme, extent, rates_of(row)):
            if sold.payee in members:
                bases[sold.payee].update(sold.bases)
                by_line[sold.payee], unrounded[sold.payee] = sold.by_line, sold.unrounded
        for component in scheme.components:
            if deeds := component.deeds:
                start, end = component.days or (row.start, row.end)
                start, end = max(start, row.start), min(end, row.end)
                for payee, counts in (await facts.of_part(part, start, end, upto, deeds)).items():
                    if payee in members and not deeds.keys().isdisjoint(counts):
                        bases[payee][component.name] = sum(counts.get(name, 0) * deeds[name] for name in deeds)
    return {
        payee: Known(bases.get(payee, {}), by_line.get(payee, {}), scores.get(payee, {}), unrounded.get(payee, {}))
        for payee in bases.keys() | scores.keys()
    }


def _asks_for_scores(scheme: Scheme) -> bool:
    return bool(scheme.scores)
