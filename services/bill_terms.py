"""What an account bills: whose orders, at which rate. One person proposes it, another one confirms it: with other terms
other differences are looked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from domain.access import Actor, Permission, require_second_person
from domain.accounts import Account
from domain.organisation import Placement
from domain.problems import ConflictProblem, Text, ValidationProblem
from domain.settlement.bills import day_of
from domain.settlement.reconciliation import WINDOW_DAYS, Family
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.bill_terms import BillTermsBook, BillTermsRow, ProposedBillTermsRow
from storage.engine import Database
from storage.locks import lock
from storage.unit_of_work import UnitOfWork

COLLECTORS = frozenset({"wechat_pay"})
"""Platforms that collect for shops elsewhere: their accounts have no orders of their own."""


@dataclass(frozen=True, slots=True)
class BillTerms:
    """What an account bills: whose orders, at which rate, and how much later than the books it may be. fees_back:
    whether the fee of what is refunded comes back; None: as the platform does. bank: whether its bills are the
    statements of the bank that payouts are paid from."""

    account: str
    shops: Sequence[str]
    fee_bps: int | None = None
    window_days: int = WINDOW_DAYS
    fees_back: bool | None = None
    bank: bool = False

    @property
    def collects(self) -> bool:
        return self.account.partition("/")[0] in COLLECTORS

    @property
    def gives_fees_back(self) -> bool:
        return self.collects if self.fees_back is None else self.fees_back


@dataclass(frozen=True, slots=True)
class ProposedTerms:
    """What waits for a second person, and whose idea it is."""

    id: UUID
    terms: BillTerms
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TermsView:
    """What is in force, and what is proposed instead."""

    terms: BillTerms
    proposed: ProposedTerms | None


class BillTermsService:
    """By account, within the actor's scope."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, actor: Actor, account_id: str) -> TermsView:
        """What an account bills, and what somebody wants it to."""
        actor.require(Permission.SETTLEMENTS_READ)
        async with UnitOfWork(self._database) as work:
            await Accounts(work).require(account_id, actor.scope)
            return await _view(work, account_id)

    async def propose(self, actor: Actor, terms: BillTerms) -> TermsView:
        """Propose what an account bills; nothing changes until somebody else confirms it.

        :raises NotFoundProblem: no such account or shop. :raises ConflictProblem: another account bills a shop.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        async with UnitOfWork(self._database) as work:
            await lock(work, "bill-terms")
            account = await self._checked(work, actor, terms)
            row = ProposedBillTermsRow(
                account=terms.account,
                id=uuid4(),
                shops=sorted(set(terms.shops)),
                fee_bps=terms.fee_bps,
                fees_back=terms.gives_fees_back,
                window_days=terms.window_days,
                bank=terms.bank,
                proposed_by=actor.login,
                proposed_at=work.now,
            )
            await BillTermsBook(work).propose(row)
            await _record(work, actor, "bill.terms.propose", account, {"proposal": str(row.id), **_detail(row)})
            return await _view(work, terms.account)

    async def decide(self, actor: Actor, account_id: str, proposal: UUID, *, confirm: bool) -> TermsView:
        """Put a proposal in force, or drop it.

        :raises AuthorizationProblem: it is the actor's own. :raises ConflictProblem: it does not wait any more, or
            another account bills one of its shops by now.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        async with UnitOfWork(self._database) as work:
            await lock(work, "bill-terms")
            account = await Accounts(work).require(account_id, actor.scope)
            book = BillTermsBook(work)
            row = await book.proposed(account_id, for_update=True)
            if row is None or row.id != proposal:
                raise ConflictProblem(
                    Text(
                        f"{account_id} 的这份约定提议已不在，请重新查看",
                        f"This proposal for {account_id} does not wait any more: look again",
                    )
                )
            require_second_person(actor, [row.proposed_by], Text("账单约定", "What an account bills"))
            detail = {"proposal": str(row.id), "proposed_by": row.proposed_by, **_detail(row)}
            if confirm:
                terms = _terms_of(row)
                await self._checked(work, actor, terms)
                before = await book.find(account_id)
                detail["before"] = None if before is None else _detail(before)
                await book.put(
                    BillTermsRow(
                        account=account_id,
                        shops=row.shops,
                        fee_bps=row.fee_bps,
                        fees_back=row.fees_back,
                        window_days=row.window_days,
                        bank=row.bank,
                        since=before.since if before is not None else day_of(work.now),
                        changed_by=row.proposed_by,
                        changed_at=work.now,
                        confirmed_by=actor.login,
                    )
                )
            await book.forget_proposal(account_id)
            await _record(work, actor, "bill.terms" if confirm else "bill.terms.refuse", account, detail)
            return await _view(work, account_id)

    async def _checked(self, work: UnitOfWork, actor: Actor, terms: BillTerms) -> Account:
        account = await Accounts(work).require(terms.account, actor.scope)
        for shop in terms.shops:
            await Accounts(work).require(shop, actor.scope)
        other = await BillTermsBook(work).biller_of(terms.shops, terms.account)
        if other is not None:
            raise ConflictProblem(
                Text(
                    f"店铺 {other[0]} 已归 {other[1]} 收款，一个店铺只能归一个商户号对账",
                    f"{other[0]} is billed by {other[1]} already; a shop is reconciled with one account",
                )
            )
        if terms.bank:
            await _require_only_bank(work, terms)
        return account


async def _require_only_bank(work: UnitOfWork, terms: BillTerms) -> None:
    if terms.collects:
        raise ValidationProblem(
            Text(
                f"{terms.account} 的账单是它自己的，不是银行流水",
                f"The bills of {terms.account} are its own, and no bank's statements",
            )
        )
    other = await BillTermsBook(work).bank()
    if other not in (None, terms.account):
        raise ConflictProblem(
            Text(f"银行流水已归 {other}，只能有一个", f"The bank's statements are the bills of {other} already")
        )


async def terms_of(work: UnitOfWork, account_id: str) -> BillTerms:
    """What an account bills; a shop bills itself where nothing was said."""
    row = await BillTermsBook(work).find(account_id)
    if row is not None:
        return _terms_of(row)
    nothing = BillTerms(account_id, ())
    return nothing if nothing.collects else BillTerms(account_id, (account_id,))


def compared_families(terms: BillTerms) -> Sequence[Family]:
    """What is compared. Payouts stand in the bills of who pays them; orders in those of their shops, or of who collects
    for them."""
    families: list[Family] = ["payment", "refund"] if terms.shops else []
    if terms.collects:
        families += ["transfer", "share"]
    elif terms.bank:
        families.append("transfer")
    return families


async def _view(work: UnitOfWork, account_id: str) -> TermsView:
    row = await BillTermsBook(work).proposed(account_id)
    waits = None if row is None else ProposedTerms(row.id, _terms_of(row), row.proposed_by, row.proposed_at)
    return TermsView(await terms_of(work, account_id), waits)


def _terms_of(row: BillTermsRow | ProposedBillTermsRow) -> BillTerms:
    return BillTerms(row.account, row.shops, row.fee_bps, row.window_days, row.fees_back, row.bank)


def _detail(row: BillTermsRow | ProposedBillTermsRow) -> dict[str, object]:
    names = ("shops", "fee_bps", "fees_back", "window_days", "bank")
    return {name: getattr(row, name) for name in names}


async def _record(work: UnitOfWork, actor: Actor, action: str, account: Account, detail: Mapping[str, object]) -> None:
    place = Placement(account.unit_path, account.id)
    await AuditLog(work).record(actor, action, f"account:{account.id}", detail, place)
