"""Payees, who is above them, and what their sales are known by."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, ForeignKey, Identity, Index, Integer, any_, func, literal, select, tuple_
from sqlmodel import AutoString, Field, col

from domain.access import Scope
from domain.organisation import Placement
from domain.settlement.attribution import Holding, Key
from domain.settlement.exact import WEIGHT
from domain.settlement.payees import KeyKind, Payee, PayoutDetails
from storage.bulk import fetch
from storage.encryption import EncryptedJson, EncryptedText
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, instant
from storage.unit_of_work import Repository


def _of_payee(**more: Any) -> Any:
    return Field(sa_column_args=[ForeignKey("payees.id")], **more)


class PayeeRow(ScopedColumns, Table, table=True):
    """One payee. code: the merchant's own number. details: where the money goes. version: grows with changes. role,
    cycle, active: what holds of them now; what held when stands in `storage.payee_terms`."""

    __tablename__ = "payees"
    id: int = Field(default=None, primary_key=True, sa_column_args=[Identity(always=True)])
    code: str = Field(unique=True)
    name: str = Field(sa_type=EncryptedText("payees.name"))
    role: str
    cycle: str | None = None
    active: bool = True
    details: dict[str, Any] | None = Field(default=None, sa_type=EncryptedJson("payees.details"), nullable=True)
    version: int = 1
    created_at: datetime = instant()
    changed_at: datetime = instant()

    __table_args__ = (Index("ix_payees_unit_path_code", "unit_path", "code"),)


class PayeeUplineRow(Table, table=True):
    """Who is above a payee from a Shanghai day on, until the next such row; nobody where it is NULL."""

    __tablename__ = "payee_uplines"
    payee: int = _of_payee(primary_key=True)
    since: date = Field(primary_key=True)
    upline: int | None = _of_payee(default=None, index=True)
    set_at: datetime = instant()
    set_by: str


class PayeeKeyRow(Table, table=True):
    """A key (`domain.settlement.attribution.Key`) that belongs to a payee on Shanghai days `[since, until)`."""

    __tablename__ = "payee_keys"
    kind: KeyKind = Field(primary_key=True, sa_type=AutoString)
    value: str = Field(primary_key=True)
    payee: int = _of_payee(primary_key=True, index=True)
    since: date = Field(primary_key=True)
    until: date | None = None
    share: int
    set_at: datetime = instant()
    set_by: str


class Receiving(NamedTuple):
    """What matters of a payee who is to be paid."""

    active: bool
    details: PayoutDetails


class Upline(NamedTuple):
    """Who is above a payee from a day on."""

    since: date
    upline: int | None


_BY_CODE = Order("payees", (PayeeRow.code,), descending=False)
# Of days before a payee's first terms those hold: keys and orders are often older than their payees are here.
_HOLDINGS = """
    SELECT k.kind, k.value, k.payee, t.role, k.share,
        CASE WHEN t.earlier IS NULL THEN k.since ELSE greatest(k.since, t.since) END, least(k.until, t.until)
    FROM unnest(%(kinds)b::text[], %(values)b::text[]) AS wanted (kind, value)
    JOIN payee_keys k ON k.kind = wanted.kind AND k.value = wanted.value
    JOIN LATERAL (
        SELECT role, active, since, lag(since) OVER own AS earlier, lead(since) OVER own AS until
        FROM payee_terms WHERE payee = k.payee WINDOW own AS (ORDER BY since)
    ) t ON t.active
"""
_STANDING = """
    SELECT t.payee, t.role, CASE WHEN t.earlier IS NULL THEN date '0001-01-01' ELSE t.since END, t.until
    FROM (
        SELECT payee, role, active, since, lag(since) OVER own AS earlier, lead(since) OVER own AS until
        FROM payee_terms WHERE payee = ANY(%(payees)b::integer[]) WINDOW own AS (PARTITION BY payee ORDER BY since)
    ) t WHERE t.active
"""
_UPLINES_AT = """
    SELECT DISTINCT ON (payee) payee, upline FROM payee_uplines
    WHERE since <= %(day)b::date
    ORDER BY payee, since DESC
"""
_SET_UPLINES = """
    INSERT INTO payee_uplines (payee, since, upline, set_at, set_by)
    SELECT payee, since, upline, %(now)b::timestamptz, %(by)b::text
    FROM unnest(%(payees)b::integer[], %(days)b::date[], %(uplines)b::integer[]) AS told (payee, since, upline)
    ON CONFLICT (payee, since)
        DO UPDATE SET upline = excluded.upline, set_at = excluded.set_at, set_by = excluded.set_by
"""
_ROLES_AMONG = """
    SELECT role FROM unnest(%(roles)b::text[]) AS told (role)
    WHERE EXISTS (SELECT FROM payees WHERE payees.role = told.role)
"""
_LATER = """
    SELECT since, payee, upline FROM payee_uplines WHERE since > %(day)b::date ORDER BY since, payee
"""


def payee_of(row: PayeeRow) -> Payee:
    """The payee as services know them."""
    return Payee(
        id=row.id,
        code=row.code,
        name=row.name,
        role=row.role,
        unit_path=row.unit_path,
        cycle=row.cycle,
        active=row.active,
        details=PayoutDetails.model_validate(row.details or {}),
        version=row.version,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


class Payees(Repository):
    """Rows of payees. What a person sees goes through `search` and `find`, which take the scope."""

    async def rows(self, codes: Collection[str], *, for_update: bool = False) -> dict[str, PayeeRow]:
        """Those of the payees that exist, by code."""
        statement = select(PayeeRow).where(col(PayeeRow.code).in_(codes)).order_by(col(PayeeRow.id))
        if for_update:
            statement = statement.with_for_update()
        return {row.code: row for row in await self.session.scalars(statement)}

    async def placed(self, codes: Collection[str]) -> Mapping[str, tuple[int, Placement]]:
        """The numbers of payees, and where they belong, by code: nothing is decrypted for it."""
        row = PayeeRow
        columns = (col(row.code), col(row.id), col(row.unit_path), col(row.account_id), col(row.customer_owner))
        wanted = col(row.code) == any_(literal(list(codes), ARRAY(AutoString)))
        found = await self.session.execute(select(*columns).where(wanted))
        return {code: (payee, Placement(unit, account, owner)) for code, payee, unit, account, owner in found}

    async def find(self, code: str, scope: Scope, *, for_update: bool = False) -> PayeeRow | None:
        """The payee, if there is one within the scope."""
        statement = select(PayeeRow).where(col(PayeeRow.code) == code, visible(PayeeRow, scope))
        if for_update:
            statement = statement.with_for_update()
        return (await self.session.scalars(statement)).first()

    async def search(self, scope: Scope, page: PageRequest, *, role: str | None = None) -> Page[Payee]:
        """Payees within the scope, by code."""
        statement = select(PayeeRow).where(visible(PayeeRow, scope))
        if role is not None:
            statement = statement.where(col(PayeeRow.role) == role)
        return await paginate(self.session, statement, _BY_CODE, page, payee_of)

    async def by_ids(self, ids: Collection[int]) -> Mapping[int, Payee]:
        """Payees by the number of their rows."""
        found = await self.session.scalars(select(PayeeRow).where(col(PayeeRow.id).in_(ids)))
        return {row.id: payee_of(row) for row in found}

    async def receiving(self, ids: Collection[int]) -> Mapping[int, Receiving]:
        """Whether payees are active, and where their money goes, by the number of their rows."""
        row = PayeeRow
        wanted = col(row.id) == any_(literal(list(ids), ARRAY(Integer)))
        found = await self.session.execute(select(col(row.id), col(row.active), col(row.details)).where(wanted))
        return {payee: Receiving(active, PayoutDetails.model_validate(told or {})) for payee, active, told in found}

    async def codes(self, ids: Collection[int]) -> dict[int, str]:
        """The codes of payees by their numbers."""
        statement = select(col(PayeeRow.id), col(PayeeRow.code)).where(col(PayeeRow.id).in_(ids))
        rows = await self.session.execute(statement)
        return {row[0]: row[1] for row in rows}

    async def uplines(self, payee: int) -> list[Upline]:
        """Who was and is above a payee, the latest first."""
        return (await self.uplines_of([payee])).get(payee, [])

    async def uplines_of(self, payees: Collection[int]) -> dict[int, list[Upline]]:
        """Who was and is above payees, the latest first; without those above whom nobody ever was."""
        row = PayeeUplineRow
        statement = select(row).where(col(row.payee).in_(payees)).order_by(col(row.since).desc())
        found: dict[int, list[Upline]] = {}
        for each in await self.session.scalars(statement):
            found.setdefault(each.payee, []).append(Upline(each.since, each.upline))
        return found

    async def uplines_at(self, day: date) -> dict[int, int]:
        """Who is above whom on a day; without those above whom nobody is."""
        rows = await fetch(self.work, _UPLINES_AT, {"day": day})
        return {payee: upline for payee, upline in rows if upline is not None}

    async def later_uplines(self, day: date) -> Sequence[tuple[date, int, int | None]]:
        """Every change of an upline after a day, the earliest first: its day, the payee, and who is above them then."""
        return [(since, payee, upline) for since, payee, upline in await fetch(self.work, _LATER, {"day": day})]

    async def set_uplines(self, changes: Sequence[tuple[int, date, int | None]], by: str) -> None:
        """Note who is above whom from which day on; the same day said again counts anew."""
        if changes:
            payees, days, uplines = (list(each) for each in zip(*changes, strict=True))
            values = {"payees": payees, "days": days, "uplines": uplines, "by": by, "now": self.now}
            await fetch(self.work, _SET_UPLINES, values)

    async def keys(self, payee: int) -> list[PayeeKeyRow]:
        """What a payee's sales were and are known by."""
        row = PayeeKeyRow
        statement = select(row).where(col(row.payee) == payee).order_by(col(row.kind), col(row.value), col(row.since))
        return list(await self.session.scalars(statement))

    async def holders(self, keys: Collection[Key]) -> list[PayeeKeyRow]:
        """Everything that is said of these keys, whether the payees are active or not; locked."""
        row = PayeeKeyRow
        statement = select(row).where(tuple_(col(row.kind), col(row.value)).in_([tuple(key) for key in keys]))
        return list(await self.session.scalars(statement.with_for_update()))

    async def holdings(self, keys: Collection[Key]) -> Mapping[Key, Sequence[Holding]]:
        """Whose these keys are, on the days on which their payees are active, in the roles of those days."""
        found: dict[Key, list[Holding]] = {}
        if keys:
            values = {"kinds": [key.kind for key in keys], "values": [key.value for key in keys]}
            for kind, value, *holding in await fetch(self.work, _HOLDINGS, values):
                found.setdefault(Key(kind, value), []).append(Holding(*holding))
        return found

    async def standing(self, payees: Mapping[Key, int]) -> Mapping[Key, Sequence[Holding]]:
        """The payees behind some clues, as if each held the whole of it, on the days on which they are active."""
        found: dict[int, list[Holding]] = {}
        if payees:
            rows = await fetch(self.work, _STANDING, {"payees": sorted(set(payees.values()))})
            for payee, role, since, until in rows:
                found.setdefault(payee, []).append(Holding(payee, role, WEIGHT, since, until))
        return {key: found.get(payee, ()) for key, payee in payees.items()}

    async def roles_among(self, roles: Collection[str]) -> set[str]:
        """Those of these roles that somebody has."""
        rows = await fetch(self.work, _ROLES_AMONG, {"roles": list(roles)})
        return {role for (role,) in rows}

    async def roles(self) -> set[str]:
        """All roles that somebody has."""
        return set(await self.session.scalars(select(col(PayeeRow.role)).distinct()))

    async def count(self) -> int:
        """How many payees there are."""
        return int(await self.session.scalar(select(func.count()).select_from(PayeeRow)) or 0)
