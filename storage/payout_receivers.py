"""To whom payouts go, as it was when they were planned: the account that was approved, and no other one."""

from collections.abc import Collection, Iterable, Mapping
from itertools import islice

from sqlalchemy import BigInteger, ForeignKey, select
from sqlmodel import Field, col

from domain.ids import canonical_json
from domain.settlement.payees import PayoutDetails
from storage.bulk import fetch
from storage.encryption import EncryptedJson
from storage.tables import Table
from storage.unit_of_work import Repository

_AT_ONCE = 5_000
_DETAILS = "payout_receivers.details"
_ADD = """
    INSERT INTO payout_receivers (payout, details)
    SELECT payout, details FROM unnest(%(payouts)b::bigint[], %(details)b::bytea[]) AS t(payout, details)
"""


class PayoutReceiverRow(Table, table=True):
    """Whose account a payout goes to: what its rail is told of the payee (`domain.settlement.payouts.receiver_for`).
    Those that were planned before this was written down have none."""

    __tablename__ = "payout_receivers"
    payout: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_args=[ForeignKey("payouts.id", ondelete="CASCADE")]
    )
    details: dict[str, str] = Field(sa_type=EncryptedJson(_DETAILS), nullable=False)


class PayoutReceivers(Repository):
    """Receivers of payouts; none ever changes. They go with a plan that is made anew."""

    async def add(self, receivers: Iterable[tuple[int, PayoutDetails]]) -> None:
        """Write down to whom payouts go, by the ids of their rows."""
        waiting, keyring = iter(receivers), self.work.database.keyring
        while some := list(islice(waiting, _AT_ONCE)):
            told = [canonical_json(details.model_dump(exclude_none=True)) for _, details in some]
            values = {
                "payouts": [payout for payout, _ in some],
                "details": [keyring.encrypt(each, _DETAILS) for each in told],
            }
            await fetch(self.work, _ADD, values)

    async def of(self, payouts: Collection[int]) -> Mapping[int, PayoutDetails]:
        """To whom these payouts go, of those of which it is written down."""
        row = PayoutReceiverRow
        statement = select(col(row.payout), col(row.details)).where(col(row.payout).in_(payouts))
        found = await self.session.execute(statement)
        return {payout: PayoutDetails.model_validate(details) for payout, details in found}
