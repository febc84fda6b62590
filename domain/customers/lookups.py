"""What a platform has to be asked about people whom its pushes only name: whose contact is it, who is the buyer."""

from datetime import timedelta

from domain.events import Event

_ANSWERS = frozenset({"tandem.contact.read", "tandem.contact.gone"})
_LISTED = "tandem.contact.listed"
_FOLLOWED = "tandem.follower.subscribed"
_AT_ONCE = timedelta()
_WHEN_ITS_SECOND_IS_OVER = timedelta(seconds=1)


def asks_after(event: Event, *, is_new: bool) -> timedelta | None:
    """How long after an event came its platform is to be asked about the person it names; None when it is not.

    It is when something about a contact changed that the event does not tell, and once for whoever is new. Changes that
    follow each other within a second are told in the same words, so that only one of them is heard of: what is read
    counts once that second is over. Of who is found among all contacts there is nothing more to learn, but for tags
    that members set; of a follower who is listed nothing more is known, and of one whom a push tells of the unionid is.
    is_new: nobody named them before.
    """
    if event.type in _ANSWERS:
        return None
    if event.type == _LISTED:
        has_tags = bool(isinstance(event.data, dict) and event.data.get("tags"))
        return _AT_ONCE if has_tags or not is_new else None
    if event.type == _FOLLOWED:
        in_part = isinstance(event.data, dict) and event.data.get("told_in_part") is True
        return _AT_ONCE if in_part else None
    if event.type.startswith("tandem.contact."):
        return _WHEN_ITS_SECOND_IS_OVER
    return _AT_ONCE if is_new else None
