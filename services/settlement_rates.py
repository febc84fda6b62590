"""What other currencies are worth at the end of a period, for what is earned by exchange differences."""

from datetime import timedelta

from domain.problems import Text, ValidationProblem
from domain.settlement.scheme import Scheme
from storage.calculation_tables import CalculationRow
from storage.exchange_rates import ExchangeRates
from storage.sale_filters import Extent
from storage.sale_sums import SaleSums
from storage.sales import Sales
from storage.unit_of_work import UnitOfWork


async def rates_of_last_day(work: UnitOfWork, scheme: Scheme, row: CalculationRow) -> dict[str, str] | None:
    """The rates of a calculation's last day as decimals, of every currency that there are sales of; None where the
    scheme asks for none.

    :raises ValidationProblem: there is no rate of one of them.
    """
    if all(each.base != "fx-difference" for each in scheme.components):
        return None
    day = row.end - timedelta(days=1)
    currencies = await Sales(work).currencies()
    rates = await ExchangeRates(work).on({(each, day) for each in currencies})
    if missing := currencies - {currency for currency, _ in rates}:
        missing = await SaleSums(work).sold_in(scheme, Extent(row.start, row.end, row.sales_upto or 0), missing)
    if missing:
        first = min(missing)
        raise ValidationProblem(
            Text(
                f"{first} 在 {day} 没有汇率，请先用 tandem settle rate 登记",
                f"{first} has no rate on {day}: note one by `tandem settle rate`",
            ),
            currencies=sorted(missing),
        )
    return {currency: format(rate, "f") for (currency, _), rate in rates.items()}
