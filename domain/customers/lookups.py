"""What a platform has to be asked about people whom its pushes only name: whose contact is it, who is the buyer."""

from typing import Literal

Asking = Literal["again", "once"]

_ANSWERS = frozenset({"tandem.contact.read", "tandem.contact.gone"})


def asking(event_type: str) -> Asking | None:
    """How an event makes its platform worth asking about the person it names.

    `again`: something about the person changed, and the event does not say what. `once`: it names them, and the
    platform may know more than it told. None: it is itself what the platform answered.
    """
    if event_type in _ANSWERS:
        return None
    return "again" if event_type.startswith("tandem.contact.") else "once"
