"""Events that tell people of what was left undone: the same one for all of a week, so that it is told once."""

from collections.abc import Mapping
from datetime import datetime

from domain.events import Event
from domain.ids import derived_id
from domain.settlement.bills import day_of


def weekly_notice(kind: str, of: str, source: str, subject: str, data: Mapping[str, object], now: datetime) -> Event:
    """The event `tandem.` and its kind for the present week in Shanghai.

    kind: with a hyphen where the type has a dot. of: what it is about; there is one for each of these.
    """
    year, week, _ = day_of(now).isocalendar()
    return Event(
        id=derived_id(kind, of, f"{year}-{week}"),
        source=source,
        type=f"tandem.{kind.replace('-', '.')}",
        time=now,
        subject=subject,
        datacontenttype="application/json",
        data=dict(data),
    )
