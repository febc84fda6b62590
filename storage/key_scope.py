"""Which keys of people, and whose evidence about them, a person sees.

A key is seen when a record within the scope points at it, or when some record named it beside such a key. What is known
by many shops (a phone, a device, a unionid) leads on to another key only where a shop of the scope said so: that
somebody's phone is known here does not tell here where else they buy.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, cast, exists, func, literal, select, true, union, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.access import Scope
from storage.identities import IdentityRow
from storage.identity_links import IdentityLinkRow
from storage.interactions import InteractionRow
from storage.orders import OrderRow, RefundRow
from storage.placements import Placements
from storage.scoping import visible
from storage.unit_of_work import Repository

_OF_ONE_PLACE = frozenset({"buyer", "external_userid", "openid", "member"})
"""Kinds of keys that exist at one platform, or in one account, only."""
_MOST = 20_000
_RECORDS: tuple[type[Any], ...] = (OrderRow, RefundRow, InteractionRow)


class KeyScopes(Repository):
    """Reads only; what is asked about bounds what is read."""

    async def of_customer(self, customer: UUID, scope: Scope, limit: int) -> list[IdentityRow]:
        """The customer's keys that the scope lets see, the oldest first."""
        key = IdentityRow
        statement = select(key).where(col(key.customer_id) == customer)
        if scope.kind != "everything":
            every = (await self.session.scalars(select(col(key.id)).where(col(key.customer_id) == customer))).all()
            statement = statement.where(col(key.id) == func.any(_bigints(await self.seen(every, scope))))
        # By an expression: with the column itself the planner walks all keys in their order, hoping to find these soon.
        return list(await self.session.scalars(statement.order_by(col(key.id) + 0).limit(limit)))

    async def seen(self, identities: Collection[int], scope: Scope) -> set[int]:
        """Those of the keys that a scope lets see."""
        if scope.kind == "everything" or not identities:
            return set(identities)
        every = await self._of_the_same(identities)
        pointed = set(await self.session.scalars(_pointed_at(every, scope)))
        kinds = await self.session.execute(
            select(col(IdentityRow.id), col(IdentityRow.kind)).where(col(IdentityRow.id) == func.any(_bigints(pointed)))
        )
        of_one_place = {number for number, kind in kinds if kind in _OF_ONE_PLACE}
        links = (await self.session.execute(_between(pointed, every))).all()
        shops = await self.shops({account for _, _, account in links}, pointed, scope)
        found = set(pointed)
        for low, high, account in links:
            for one, other in ((low, high), (high, low)):
                if one in of_one_place or (one in pointed and account in shops):
                    found.add(other)
        return found & set(identities)

    async def _of_the_same(self, identities: Collection[int]) -> Sequence[int]:
        """All keys of the customers that these belong to."""
        key, same = IdentityRow, aliased(IdentityRow)
        theirs = select(col(same.customer_id)).where(col(same.id) == func.any(_bigints(identities)))
        statement = select(col(key.id)).where(col(key.customer_id).in_(theirs)).order_by(col(key.id) + 0)
        return (await self.session.scalars(statement.limit(_MOST))).all()

    async def whole(self, customers: Collection[UUID], scope: Scope) -> set[UUID]:
        """Those of the customers of whom no record is outside of the scope: what is computed over all of their records
        tells nothing that the scope hides."""
        if scope.kind == "everything" or not customers:
            return set(customers)
        key = IdentityRow
        beyond = [
            select(col(key.customer_id))
            .where(col(key.customer_id).in_(customers))
            .where(exists().where(col(row.identity_id) == col(key.id), visible(row, scope).is_not(true())))
            for row in _RECORDS
        ]
        return set(customers) - set(await self.session.scalars(union(*beyond)))

    async def customers_beside(self, identities: Collection[int], scope: Scope, limit: int) -> set[UUID]:
        """Whose the keys are that some record named together with one of these, as far as the scope lets see that."""
        link, key = IdentityLinkRow, IdentityRow
        named = _bigints(identities)
        beside = union(
            select(col(link.high).label("id"), col(link.account_id)).where(col(link.low) == func.any(named)),
            select(col(link.low), col(link.account_id)).where(col(link.high) == func.any(named)),
        ).limit(limit).subquery()  # fmt: skip
        statement = select(beside.c.id, beside.c.account_id, col(key.customer_id)).join(key, col(key.id) == beside.c.id)
        found = (await self.session.execute(statement)).all()
        if scope.kind != "everything":
            shops = await self.shops({account for _, account, _ in found}, {number for number, _, _ in found}, scope)
            found = [each for each in found if each[1] in shops]
        return {customer for _, _, customer in found}

    async def shops(self, accounts: Collection[str], identities: Collection[int], scope: Scope) -> set[str]:
        """Those of the accounts whose evidence about these keys a scope lets see: what is within it, and for who sees
        only their own customers the accounts at which these are."""
        if scope.kind != "own":
            places = await Placements(self.work).of_accounts(accounts)
            return {account for account, place in places.items() if scope.allows(place)}
        theirs = union(
            *(
                select(col(row.account_id)).where(col(row.identity_id) == func.any(_bigints(identities)))
                .where(visible(row, scope))
                for row in _RECORDS
            )
        )  # fmt: skip
        return set(accounts) & set(await self.session.scalars(theirs))


def _between(some: Collection[int], all_of_them: Collection[int]) -> Any:
    """Ends and account of the links that some of the keys have among all of them."""
    link = IdentityLinkRow
    columns = (col(link.low), col(link.high), col(link.account_id))
    ours, every = _bigints(some), _bigints(all_of_them)
    return union(
        select(*columns).where(col(link.low) == func.any(ours), col(link.high) == func.any(every)),
        select(*columns).where(col(link.high) == func.any(ours), col(link.low) == func.any(every)),
    )


def _pointed_at(identities: Sequence[int], scope: Scope) -> Select[Any]:
    """Those of the keys that a record within the scope points at; one record of each is looked for."""
    keys = func.unnest(_bigints(identities)).table_valued("value", name="listed").render_derived()
    each = [
        select(literal(1).label("one"))
        .where(col(row.identity_id) == keys.c.value, visible(row, scope))
        .limit(1)
        .correlate(keys)
        .subquery()
        for row in _RECORDS
    ]
    one = union_all(*(select(some.c.one) for some in each)).limit(1).lateral()
    return select(keys.c.value).select_from(keys).join(one, true())


def _bigints(numbers: Collection[int]) -> Any:
    return cast(list(numbers), ARRAY(BigInteger))
