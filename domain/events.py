"""CloudEvents: what happened, to whom, when.

Source: CloudEvents 1.0.2.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.problems import Text


class Event(BaseModel):
    """A CloudEvent; further context attributes are kept as they came.

    `source` + `id` names it for ever. `subject` is `kind:id`, e.g. `refund:2026112300001`, and decides which runs it
    reaches; `tandemkeys` (an extension attribute) lists further subjects of the same event.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str = Field(min_length=1, max_length=256)
    source: str = Field(min_length=1, max_length=1024)
    type: str = Field(min_length=1, max_length=256)
    specversion: str = "1.0"
    time: AwareDatetime | None = None
    subject: str | None = Field(default=None, max_length=256)
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None
    tandemkeys: tuple[Annotated[str, Field(max_length=512)], ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject this event is about, its own first, without repetition."""
        own = (self.subject,) if self.subject else ()
        return tuple(dict.fromkeys((*own, *self.tandemkeys)))

    def envelope(self) -> dict[str, Any]:
        """The event as JSON-ready context attributes and data."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=False)

    def envelope_json(self) -> bytes:
        """The envelope as JSON, without building it first."""
        return self.model_dump_json(exclude_none=True).encode()


class EventType(BaseModel):
    """An event that Tandem knows: its name, what it means, and an example of its data for authors and dry-runs."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: Text
    example: dict[str, Any]


def rfc3339(instant: datetime) -> str:
    """An instant as `2026-11-11T00:00:00.000Z`, milliseconds kept, always UTC."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
