"""Accounts on platforms, with encrypted credentials."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Text as SqlText
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, col

from domain.access import Scope
from domain.accounts import Account, NewAccount
from domain.problems import ConflictProblem, NotFoundProblem, Text
from storage.encryption import EncryptedJson
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, instant
from storage.unit_of_work import Repository, refused


class AccountRow(ScopedColumns, Table, table=True):
    """One account. `id` is `platform/slug`, the `account_id` of every table and its own."""

    __tablename__ = "accounts"

    id: str = Field(primary_key=True)
    platform: str
    slug: str
    name: str
    credentials: dict[str, str] = Field(sa_type=EncryptedJson("accounts.credentials"), nullable=False)
    credential_names: list[str] = Field(sa_type=ARRAY(SqlText))
    settings: dict[str, Any] = Field(sa_type=JSONB)
    active: bool = True
    created_at: datetime = instant()
    rotated_at: datetime = instant()


_BY_ID = Order("accounts", (AccountRow.id,), descending=False)


class Accounts(Repository):
    async def add(self, new: NewAccount) -> Account:
        """Raises ConflictProblem when the platform and slug are taken."""
        row = AccountRow(
            id=new.id,
            account_id=new.id,
            platform=new.platform,
            slug=new.slug,
            name=new.name,
            unit_path=new.unit_path,
            credentials=dict(new.credentials),
            credential_names=sorted(new.credentials),
            settings=dict(new.settings),
            created_at=self.now,
            rotated_at=self.now,
        )
        taken = Text(
            f"账号 {new.id} 已接入；更换凭据请用轮换", f"{new.id} is connected already: rotate its credentials"
        )
        with refused("pk_accounts", ConflictProblem(taken)):
            await self.insert(row)
        return Account.model_validate(row)

    async def require(self, account_id: str, scope: Scope | None = None) -> Account:
        """The account within a data scope (None: for the program itself); raises NotFoundProblem."""
        return Account.model_validate(await self._row(account_id, scope))

    async def list(self, scope: Scope, page: PageRequest, *, platform: str | None = None) -> Page[Account]:
        """Accounts within a data scope, by platform and slug."""
        statement = select(AccountRow).where(visible(AccountRow, scope))
        if platform is not None:
            statement = statement.where(col(AccountRow.platform) == platform)
        return await paginate(self.session, statement, _BY_ID, page, Account.model_validate)

    async def ids(self) -> Sequence[str]:
        """The ids of all accounts (`youzan/flagship`), disconnected ones too."""
        return (await self.session.scalars(select(col(AccountRow.id)).order_by(col(AccountRow.id)))).all()

    async def of_app(self, app_id: str) -> Sequence[str]:
        """The ids of accounts whose WeChat app this is: Official Accounts, WeChat Stores, merchants of WeChat Pay."""
        row = AccountRow
        statement = select(col(row.id)).where(col(row.settings)["app_id"].astext == app_id).order_by(col(row.id))
        return (await self.session.scalars(statement)).all()

    async def credentials(self, account_id: str, *, disconnected: bool = False) -> Mapping[str, str]:
        """For connectors only. disconnected: also those of an account that is. Raises NotFoundProblem for others."""
        row = await self._row(account_id, None)
        if not row.active and not disconnected:
            raise NotFoundProblem(Text(f"账号 {account_id} 已停用", f"The account {account_id} is disconnected"))
        return dict(row.credentials)

    async def rotate(self, account_id: str, credentials: Mapping[str, str], scope: Scope) -> Account:
        """Replace all credentials; raises NotFoundProblem."""
        row = await self._row(account_id, scope, for_update=True)
        row.credentials, row.credential_names = dict(credentials), sorted(credentials)
        row.rotated_at = self.now
        await self.session.flush()
        return Account.model_validate(row)

    async def change(self, account_id: str, name: str | None, settings: Mapping[str, Any], scope: Scope) -> Account:
        """Another name, other values for some settings; None takes a setting away. Raises NotFoundProblem."""
        row = await self._row(account_id, scope, for_update=True)
        row.name = row.name if name is None else name
        merged = {**row.settings, **settings}
        row.settings = {member: value for member, value in merged.items() if value is not None}
        await self.session.flush()
        return Account.model_validate(row)

    async def set_active(self, account_id: str, active: bool, scope: Scope) -> Account:
        row = await self._row(account_id, scope, for_update=True)
        row.active = active
        await self.session.flush()
        return Account.model_validate(row)

    async def _row(self, account_id: str, scope: Scope | None, *, for_update: bool = False) -> AccountRow:
        statement = select(AccountRow).where(col(AccountRow.id) == account_id)
        if scope is not None:
            statement = statement.where(visible(AccountRow, scope))
        if for_update:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        row = await self.session.scalar(statement)
        if row is None:
            raise NotFoundProblem(
                Text(
                    f"没有账号 {account_id}，或它不在您的数据范围内",
                    f"There is no account {account_id}, or not within your data scope",
                )
            )
        return row
