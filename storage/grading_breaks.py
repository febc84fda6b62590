"""What RFM gradings rank customers by: the values at their quantiles, measured over everybody who bought."""

from datetime import timedelta

from sqlalchemy import BigInteger, Double, Interval, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col

from domain.money import HOME_CURRENCY
from domain.tags import LiveGrading
from domain.tags.facts import PAID_STATUSES
from domain.tags.rfm import Breaks
from storage.customer_tag_tables import GradingBreaksRow
from storage.fact_columns import shelf_of
from storage.identities import IdentityRow
from storage.measuring import LONGEST, Measuring
from storage.recordsets import table_of
from storage.unit_of_work import Repository

_IDENTITIES = table_of(IdentityRow)


class GradingBreaks(Repository):
    """One row a version of a grading."""

    async def all(self) -> dict[tuple[str, str], Breaks]:
        """What was measured, by name and version of the grading."""
        rows = await self.session.scalars(select(GradingBreaksRow))
        return {
            (row.grading, row.version): Breaks(tuple(row.days), tuple(row.orders), tuple(row.kept_minor))
            for row in rows
        }

    async def is_due(self, grading: LiveGrading, older_than: timedelta) -> bool:
        """Whether a grading's version was never measured, or not for so long; at first sooner, see `Measuring`."""
        row = await self.session.get(GradingBreaksRow, (grading.name, grading.version))
        return await Measuring(self.work).is_due(row.measured_at if row else None, older_than)

    async def measured(self, grading: LiveGrading) -> Breaks | None:
        """Over everybody who bought within the window, None when nobody did; nothing is written."""
        rfm, shelf = grading.rfm, shelf_of("orders")
        if rfm is None or shelf.rows is None:
            return None
        age = func.ceil(func.extract("epoch", literal(self.now) - func.max(shelf.at)) / 86_400)
        # As `domain.tags.rfm` asks: every order counts, and money of the merchant's own currency.
        kept = func.sum(shelf.fields["kept"]).filter(shelf.fields["currency"] == HOME_CURRENCY)
        buyers = (
            select(
                cast(func.greatest(age, 1), BigInteger).label("days"),
                func.count().label("orders"),
                cast(func.coalesce(kept, 0), BigInteger).label("kept_minor"),
            )
            .select_from(shelf.rows.join(_IDENTITIES, _IDENTITIES.c.id == shelf.identity))
            .where(
                shelf.fields["status"].in_(PAID_STATUSES), shelf.at > literal(self.now) - literal(rfm.within, Interval)
            )
            .group_by(_IDENTITIES.c.customer_id)
            .subquery()
        )
        rising = [each / 100 for each in rfm.quantiles]
        # The fewer days, the better: the best fifth lies below the first quantile.
        falling = [1 - each for each in rising]
        statement = select(
            *(
                func.percentile_disc(cast(literal(shares, ARRAY(Double)), ARRAY(Double))).within_group(column)
                for shares, column in (
                    (falling, buyers.c.days),
                    (rising, buyers.c.orders),
                    (rising, buyers.c.kept_minor),
                )
            )
        )
        days, orders, kept_minor = (await self.session.execute(statement)).one()
        return None if days is None else Breaks(tuple(days), tuple(orders), tuple(kept_minor))

    async def measure(self, grading: LiveGrading) -> bool:
        """Measure over everybody who bought within the window, and keep it; False when nobody did."""
        await self.session.execute(LONGEST)
        found = await self.measured(grading)
        if found is None:
            return False
        new = insert(GradingBreaksRow).values(
            grading=grading.name,
            version=grading.version,
            days=list(found.days),
            orders=list(found.orders),
            kept_minor=list(found.kept_minor),
            measured_at=self.now,
        )
        names = ("days", "orders", "kept_minor", "measured_at")
        changes = {name: new.excluded[name] for name in names}
        await self.session.execute(
            new.on_conflict_do_update(
                index_elements=[col(GradingBreaksRow.grading), col(GradingBreaksRow.version)], set_=changes
            )
        )
        return True
