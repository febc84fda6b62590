"""The ledger: transfers of amounts above nothing from one account to another.

It balances because nothing can be written that does not. Transfers are never changed: a wrong one is followed by its
opposite. The key of a transfer is made from what it is for; booking the same again books nothing, and booking something
else under a key is refused.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Identity, Index, UniqueConstraint, text
from sqlmodel import Field

from domain.problems import ConflictProblem, Text
from storage.bulk import fetch
from storage.tables import Table, instant
from storage.unit_of_work import Repository

AccountKind = Literal[
    "commission", "payable", "held", "receivable", "paying", "wechat-pay", "profit-sharing", "bank", "fees", "exchange"
]
"""commission: what it costs the merchant; payable: what a payee may have; held: what they may have later; receivable:
what they owe; paying: what is under way to them; wechat-pay, profit-sharing, bank: what left by a rail; fees: what is
taken off; exchange: what passes between currencies."""

EARNED_KINDS = ("commission", "adjustment", "clawback")
"""Kinds of transfers that a settlement books: what was earned, or taken back, in a period."""

_DEBIT, _CREDIT = "fk_transfers_debit_ledger_accounts", "fk_transfers_credit_ledger_accounts"


class LedgerAccountRow(Table, table=True):
    """An account, of a payee where its kind is."""

    __tablename__ = "ledger_accounts"
    id: int = Field(primary_key=True, sa_column_args=[Identity(always=True)])
    kind: str
    payee: int | None = None
    currency: str = Field(max_length=3)

    __table_args__ = (
        UniqueConstraint("kind", "payee", "currency", postgresql_nulls_not_distinct=True),
        UniqueConstraint("id", "currency"),
    )


class TransferRow(Table, table=True):
    """One transfer. source: what it was booked for, `run/<id>/<component>` or the like."""

    __tablename__ = "transfers"
    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    key: UUID = Field(unique=True)
    amount_minor: int = Field(sa_type=BigInteger)
    booked_at: datetime = instant()
    debit: int
    credit: int
    period: int
    currency: str = Field(max_length=3)
    kind: str
    source: str

    __table_args__ = (
        ForeignKeyConstraint(["debit", "currency"], ["ledger_accounts.id", "ledger_accounts.currency"], name=_DEBIT),
        ForeignKeyConstraint(["credit", "currency"], ["ledger_accounts.id", "ledger_accounts.currency"], name=_CREDIT),
        ForeignKeyConstraint(["period"], ["settlement_periods.id"], name="fk_transfers_period_settlement_periods"),
        Index("ix_transfers_period_debit", "period", "debit"),
        Index("ix_transfers_period_credit", "period", "credit"),
        Index("ix_transfers_clawbacks", "debit", postgresql_where=text("kind = 'clawback'")),
    )


class CarriedBalanceRow(Table, table=True):
    """What the closed periods of a scheme moved on an account; the database writes it when it closes a period."""

    __tablename__ = "carried_balances"
    scheme: str = Field(primary_key=True)
    account: int = Field(primary_key=True, sa_column_args=[ForeignKey("ledger_accounts.id")])
    debit_minor: int = Field(sa_type=BigInteger)
    credit_minor: int = Field(sa_type=BigInteger)


class LedgerAccount(NamedTuple):
    """Which account is meant. payee: of those kinds that are a payee's."""

    kind: AccountKind
    payee: int | None = None


class Transfer(NamedTuple):
    """To be booked: `amount_minor` from the credited account to the debited one."""

    key: UUID
    period: int
    debit: LedgerAccount
    credit: LedgerAccount
    amount_minor: int
    currency: str
    kind: str
    source: str


class Balance(NamedTuple):
    """Sums of an account, in minor units."""

    kind: str
    payee: int | None
    currency: str
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """What it holds: credits less debits."""
        return self.credit_minor - self.debit_minor


class KindSum(NamedTuple):
    """What all accounts of a kind come to in a currency, in minor units."""

    kind: str
    currency: str
    accounts: int
    debit_minor: int
    credit_minor: int


class Ledger(Repository):
    """Booking and adding up."""

    async def book(self, transfers: Sequence[Transfer]) -> int:
        """Book what is not booked yet; how many that were.

        Raises ConflictProblem when something else is booked under a key, or a period is closed; nothing is booked then.
        """
        if not transfers:
            return 0
        accounts = await self._accounts(
            {(each, transfer.currency) for transfer in transfers for each in (transfer.debit, transfer.credit)}
        )
        values = {
            "key": [each.key for each in transfers],
            "amount": [each.amount_minor for each in transfers],
            "debit": [accounts[each.debit, each.currency] for each in transfers],
            "credit": [accounts[each.credit, each.currency] for each in transfers],
            "period": [each.period for each in transfers],
            "currency": [each.currency for each in transfers],
            "kind": [each.kind for each in transfers],
            "source": [each.source for each in transfers],
            "now": self.now,
        }
        booked = len(await fetch(self.work, _BOOK, values))
        if booked < len(transfers):
            del values["source"], values["kind"], values["now"]
            if other := await fetch(self.work, _OTHERWISE, values):
                raise ConflictProblem(
                    Text(
                        f"这笔账已按别的内容记过，不能改记：{other[0][0]}",
                        f"Something else is booked under this key, and stays: {other[0][0]}",
                    )
                )
        return booked

    async def periods_of(self, keys: Collection[UUID]) -> Mapping[UUID, int]:
        """The periods that transfers are booked in, by their keys; without those that are not booked."""
        return dict(await fetch(self.work, _PERIODS_OF, {"keys": list(keys)}))

    async def balances(
        self, *, periods: Collection[int] | None = None, payees: Collection[int] | None = None
    ) -> Sequence[Balance]:
        """Every account with transfers, by kind, payee and currency; of some periods or payees only, where they are
        given. All debits together are all credits together, in every currency."""
        values: Mapping[str, object] = {
            "periods": None if periods is None else list(periods),
            "payees": None if payees is None else list(payees),
        }
        return [Balance(*row) for row in await fetch(self.work, _BALANCES, values)]

    async def sums(self) -> Sequence[KindSum]:
        """What all accounts with transfers come to, by kind and currency."""
        return [KindSum(*row) for row in await fetch(self.work, _SUMS, {})]

    async def _accounts(self, wanted: Collection[tuple[LedgerAccount, str]]) -> dict[tuple[LedgerAccount, str], int]:
        """The numbers of accounts, made where they are missing."""
        rows = sorted(wanted, key=lambda each: (each[0].kind, each[0].payee or 0, each[1]))
        values = {
            "kinds": [account.kind for account, _ in rows],
            "payees": [account.payee for account, _ in rows],
            "currencies": [currency for _, currency in rows],
        }
        await fetch(self.work, _NEW_ACCOUNTS, values)
        found = await fetch(self.work, _FIND_ACCOUNTS, values)
        return {(LedgerAccount(kind, payee), currency): number for kind, payee, currency, number in found}


_NEW_ACCOUNTS = """
    INSERT INTO ledger_accounts (kind, payee, currency)
    SELECT kind, payee, currency
    FROM unnest(%(kinds)b::text[], %(payees)b::integer[], %(currencies)b::text[]) AS t(kind, payee, currency)
    WHERE NOT EXISTS (
        SELECT 1 FROM ledger_accounts a
        WHERE a.kind = t.kind AND coalesce(a.payee, 0) = coalesce(t.payee, 0) AND a.currency = t.currency
    )
    ON CONFLICT DO NOTHING
"""
_FIND_ACCOUNTS = """
    SELECT a.kind, a.payee, a.currency, a.id
    FROM unnest(%(kinds)b::text[], %(payees)b::integer[], %(currencies)b::text[]) AS t(kind, payee, currency)
    JOIN ledger_accounts a
        ON a.kind = t.kind AND coalesce(a.payee, 0) = coalesce(t.payee, 0) AND a.currency = t.currency
"""
_BOOK = """
    INSERT INTO transfers (key, amount_minor, booked_at, debit, credit, period, currency, kind, source)
    SELECT key, amount, %(now)b::timestamptz, debit, credit, period, currency, kind, source
    FROM unnest(
        %(key)b::uuid[], %(amount)b::bigint[], %(debit)b::integer[], %(credit)b::integer[], %(period)b::integer[],
        %(currency)b::text[], %(kind)b::text[], %(source)b::text[]
    ) AS t(key, amount, debit, credit, period, currency, kind, source)
    ON CONFLICT (key) DO NOTHING RETURNING 1
"""
_OTHERWISE = """
    SELECT transfers.key
    FROM unnest(
        %(key)b::uuid[], %(amount)b::bigint[], %(debit)b::integer[], %(credit)b::integer[], %(period)b::integer[],
        %(currency)b::text[]
    ) AS t(key, amount, debit, credit, period, currency)
    JOIN transfers ON transfers.key = t.key
    WHERE (transfers.amount_minor, transfers.debit, transfers.credit, transfers.period, transfers.currency)
        IS DISTINCT FROM (t.amount, t.debit, t.credit, t.period, t.currency)
    LIMIT 1
"""
_PERIODS_OF = "SELECT key, period FROM transfers WHERE key = ANY(%(keys)b::uuid[])"
_BALANCES = """
    SELECT a.kind, a.payee, a.currency, sum(side.debit)::bigint, sum(side.credit)::bigint
    FROM (
        SELECT debit AS account, amount_minor AS debit, 0 AS credit FROM transfers
        WHERE %(periods)b::integer[] IS NULL OR period = ANY(%(periods)b::integer[])
        UNION ALL
        SELECT credit, 0, amount_minor FROM transfers
        WHERE %(periods)b::integer[] IS NULL OR period = ANY(%(periods)b::integer[])
    ) side
    JOIN ledger_accounts a ON a.id = side.account
    WHERE %(payees)b::integer[] IS NULL OR a.payee = ANY(%(payees)b::integer[])
    GROUP BY a.kind, a.payee, a.currency
    ORDER BY a.kind, a.payee NULLS FIRST, a.currency
"""
_SUMS = """
    WITH open AS (SELECT id FROM settlement_periods WHERE closed_at IS NULL)
    SELECT a.kind, a.currency, count(*), sum(moved.debit)::bigint, sum(moved.credit)::bigint
    FROM (
        SELECT account, sum(debit) AS debit, sum(credit) AS credit FROM (
            SELECT account, debit_minor AS debit, credit_minor AS credit FROM carried_balances
            UNION ALL
            SELECT t.debit, t.amount_minor, 0 FROM transfers t JOIN open ON open.id = t.period
            UNION ALL
            SELECT t.credit, 0, t.amount_minor FROM transfers t JOIN open ON open.id = t.period
        ) side GROUP BY account
    ) moved
    JOIN ledger_accounts a ON a.id = moved.account
    GROUP BY a.kind, a.currency
    ORDER BY a.kind COLLATE "C", a.currency COLLATE "C"
"""
