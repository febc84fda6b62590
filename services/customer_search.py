"""Finding customers: by a key of theirs, an order, a nickname, a tag. Personal values are looked up by their digests,
so only a whole phone number and a whole name find anybody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.access import Actor, Permission
from domain.canonical.keys import IdentityKey, possible_keys
from domain.canonical.phones import e164
from domain.problems import Text, ValidationProblem
from services.profiles import ProfileKey, TagBook, shown_key
from storage.accounts import Accounts
from storage.customer_scope import first_seen
from storage.engine import Database
from storage.identities import Identities
from storage.key_scope import KeyScopes
from storage.paging import Page, PageRequest, wrong_cursor
from storage.profile import Profiles
from storage.unit_of_work import UnitOfWork

_MOST_KEYS = 10
_MOST_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for, exactly one of these. key: a platform's id of the person, or `kind/scope/value`."""

    phone: str | None = None
    order: str | None = None
    nickname: str | None = None
    tag: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class FoundCustomer:
    """A customer, and some keys of theirs, masked."""

    customer: UUID
    identities: Sequence[ProfileKey]


class CustomerSearch:
    """Finds what is within the actor's data scope."""

    def __init__(self, database: Database, tags: TagBook) -> None:
        self._database = database
        self._tags = tags

    async def find(self, actor: Actor, wanted: Wanted, page: PageRequest) -> Page[FoundCustomer]:
        """The customers, by id, page after page; of more than a thousand of one name some thousand.

        :raises ValidationProblem: not exactly one thing is asked for, or it is no phone number.
        """
        actor.require(Permission.CUSTOMERS_READ)
        given = {name: value for name in _QUESTIONS if (value := getattr(wanted, name)) is not None and value.strip()}
        if len(given) != 1:
            raise ValidationProblem(
                Text(
                    "请给出 phone、order、nickname、tag、key 中的一个查询条件",
                    "Ask for exactly one of phone, order, nickname, tag, key",
                )
            )
        ((name, value),) = given.items()
        async with UnitOfWork(self._database) as work:
            if name == "tag":
                return await self._holders(work, actor, value.strip(), page)
            after = _after(page.cursor)
            customers = await self._candidates(work, actor, name, value.strip())
            left = sorted(each for each in customers if after is None or each > after)
            found = await first_seen(work, left, actor.scope, page.size)
            shown = [await _shown(work, actor, customer) for customer in found]
            is_last = len(found) < page.size or found[-1] == left[-1]
            return Page(shown, None if is_last else str(found[-1]))

    async def _candidates(self, work: UnitOfWork, actor: Actor, name: str, value: str) -> Iterable[UUID]:
        if name == "order":
            return await Profiles(work).customers_of_order(value, actor.scope, _MOST_LOOKED_AT)
        if name == "nickname":
            return await Profiles(work).customers_named(value, actor.scope, _MOST_LOOKED_AT)
        keys = [_phone(value)] if name == "phone" else possible_keys(value, await Accounts(work).ids())
        stored = (await Identities(work).find(keys)).values()
        shared = [each.id for each in stored if each.kind in _SHARED]
        beside = await KeyScopes(work).customers_beside(shared, actor.scope, _MOST_LOOKED_AT) if shared else set()
        seen = await KeyScopes(work).seen([each.id for each in stored], actor.scope)
        return {each.customer_id for each in stored if each.id in seen} | beside

    async def _holders(self, work: UnitOfWork, actor: Actor, tag: str, page: PageRequest) -> Page[FoundCustomer]:
        after = _after(page.cursor)
        holders = await self._tags.holders(work, tag, after, _MOST_LOOKED_AT)
        found = await first_seen(work, holders, actor.scope, page.size)
        is_full = len(found) == page.size
        shown = [await _shown(work, actor, customer) for customer in found]
        if not holders or (len(holders) < _MOST_LOOKED_AT and (not is_full or found[-1] == holders[-1])):
            return Page(shown, None)
        return Page(shown, str(found[-1] if is_full else holders[-1]))


_SHARED = ("phone", "device")
"""What several people may have: it may belong to none of those who were seen with it."""
_QUESTIONS = ("phone", "order", "nickname", "tag", "key")


def _phone(text: str) -> IdentityKey:
    number = e164(text)
    if number is None:
        raise ValidationProblem(
            Text(
                "这不是完整的电话号码；请输入完整号码，境外号码请带国家码（+852…）",
                "This is no whole phone number; give all digits, and the country code of a foreign one (+852…)",
            )
        )
    return IdentityKey("phone", "", number)


async def _shown(work: UnitOfWork, actor: Actor, customer: UUID) -> FoundCustomer:
    keys = await KeyScopes(work).of_customer(customer, actor.scope, _MOST_KEYS)
    return FoundCustomer(customer, [shown_key(row, clear=False) for row in keys])


def _after(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    try:
        return UUID(cursor)
    except ValueError:
        raise wrong_cursor() from None
