"""What tells flows that a customer is not to be spoken to: `tandem.customer.suppressed`, one event a suppression."""

from collections.abc import Sequence

from domain.events import Event, rfc3339
from domain.ids import derived_id
from storage.identities import Customers
from storage.suppressions import NewSuppression
from storage.unit_of_work import UnitOfWork

SOURCE = "/tandem/suppressions"


async def suppressed_events(work: UnitOfWork, suppressions: Sequence[NewSuppression]) -> list[Event]:
    """The events of suppressions that were written in this unit of work, under every id their customers ever had."""
    if not suppressions:
        return []
    aliases = await Customers(work).aliases({each.customer for each in suppressions})
    return [
        Event(
            id=derived_id("suppressed", str(each.id)),
            source=SOURCE,
            type="tandem.customer.suppressed",
            time=work.now,
            subject=f"customer:{each.customer}",
            datacontenttype="application/json",
            data=_data(each),
            tandemkeys=tuple(f"customer:{alias}" for alias in aliases.get(each.customer, ())),
        )
        for each in suppressions
    ]


def _data(suppression: NewSuppression) -> dict[str, str | None]:
    platform, _, account = (suppression.account_id or "").partition("/")
    return {
        "customer": str(suppression.customer),
        "reason": suppression.reason,
        "platform": platform or None,
        "account": account or None,
        "item_id": suppression.item_id,
        "until": rfc3339(suppression.until) if suppression.until else None,
    }
