"""Messages that flows write by a platform's own call, past the house rules of `send`: nobody who was erased gets one,
and each stands in the history of whoever got it."""

from domain.canonical.keys import IdentityKey
from services.reach import Cause
from storage.engine import Database
from storage.erasures import ErasedKeys
from storage.identities import Identities
from storage.reach import Touches, TouchRow
from storage.unit_of_work import UnitOfWork


class DirectMessages:
    """What holds for a message whatever it is for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_erased(self, recipient: IdentityKey) -> bool:
        """Whether the one who is written to asked to be erased."""
        async with UnitOfWork(self._database) as work:
            return await _is_erased(work, recipient)

    async def record(self, recipient: IdentityKey, cause: Cause, message_id: str | None, refused: bool) -> None:
        """Note the touch, once per key; of who was erased nothing is noted."""
        async with UnitOfWork(self._database) as work:
            if await _is_erased(work, recipient):
                return
            known = (await Identities(work).find([recipient])).get(recipient)
            touch = TouchRow(
                key=cause.key,
                channel=cause.account_id.partition("/")[0],
                recipient=recipient.value,
                purpose="direct",
                run_id=cause.run_id,
                reference=cause.reference,
                skipped_reason="refused" if refused else None,
                message_id=message_id,
                identity_id=known.id if known else None,
                at=work.now,
            )
            await Touches(work).record(touch)


async def _is_erased(work: UnitOfWork, recipient: IdentityKey) -> bool:
    return bool(await ErasedKeys(work).find([(recipient.kind, recipient.scope, recipient.value)]))
