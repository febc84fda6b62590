"""Suppressions: what customers are not to be spoken to about, told to flows, made and lifted by people.

Those of refunds come and go with the refund (`storage.suppressions`). What a person decides stands on every key that
the customer has at that moment, so that it follows whoever takes the key. All of it is about marketing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.access import Actor, Permission
from domain.events import Event, rfc3339
from domain.ids import derived_id
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from services.customers import LONGEST_REASON
from storage.audit import AuditLog
from storage.customer_scope import require_customer
from storage.engine import Database
from storage.events import Events
from storage.identities import Customers, Identities
from storage.suppressions import MANUAL, Article, NewSuppression, SuppressionRow, Suppressions
from storage.unit_of_work import UnitOfWork

SOURCE = "/tandem/suppressions"
LONGEST = timedelta(days=3_660)


@dataclass(frozen=True, slots=True)
class Silenced:
    """One suppression as people see it. platform, account, item_id: the article, None for everything.

    reason: `refund` or `manual`. until: None until somebody lifts it. note, made_by: why and who, of a manual one.
    """

    id: int
    reason: str
    platform: str | None
    account: str | None
    item_id: str | None
    until: datetime | None
    made_at: datetime
    note: str | None
    made_by: str | None


class SuppressionService:
    """Raises AuthorizationProblem without the permission, NotFoundProblem for customers out of the actor's scope."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_customer(self, actor: Actor, customer_id: UUID) -> list[Silenced]:
        """What counts now for a customer, the newest first."""
        actor.require(Permission.CUSTOMERS_READ)
        async with UnitOfWork(self._database) as work:
            customer = await require_customer(work, customer_id, actor.scope)
            return silenced(await Suppressions(work).of(customer, actor.scope))

    async def silence(
        self,
        actor: Actor,
        customer_id: UUID,
        reason: str,
        *,
        article: Article | None = None,
        until: datetime | None = None,
    ) -> list[Silenced]:
        """Leave a customer alone, about an article or altogether; runs that listen for it hear of it at once.

        :raises ValidationProblem: no reason, an end that is over or over ten years away, a customer without keys.
        """
        actor.require(Permission.CUSTOMERS_SUPPRESS)
        note = _reason(reason)
        async with UnitOfWork(self._database) as work:
            if until is not None and not work.now < until <= work.now + LONGEST:
                raise ValidationProblem(
                    Text("结束时间应在将来十年之内", "The end must lie within the ten years to come"), until=str(until)
                )
            customer = await require_customer(work, customer_id, actor.scope)
            keys = [key.id for key in await Identities(work).of_customers([customer])]
            if not keys:
                raise ValidationProblem(Text("这位客户没有任何标识", "This customer has no key at all"))
            new = await Suppressions(work).silence(keys, article, note, actor.login, until)
            if new:
                account_id, item_id = article or (None, None)
                told = NewSuppression(min(new), customer, account_id, item_id, MANUAL, until, work.now)
                await Events(work).add(await suppressed_events(work, [told]))
            detail = {"reason": note, "article": "/".join(article) if article else None, "until": _instant(until)}
            await AuditLog(work).record(actor, "customer.suppress", f"customer:{customer}", detail)
            return silenced(await Suppressions(work).of(customer, actor.scope))

    async def lift(self, actor: Actor, customer_id: UUID, suppression_id: int, reason: str) -> list[Silenced]:
        """Let a customer be spoken to again; what counts then.

        :raises NotFoundProblem: nothing of that number counts for this customer.
        :raises ConflictProblem: it is a refund's, and ends with it.
        """
        actor.require(Permission.CUSTOMERS_SUPPRESS)
        note = _reason(reason)
        async with UnitOfWork(self._database) as work:
            customer = await require_customer(work, customer_id, actor.scope)
            rows = await Suppressions(work).of(customer, actor.scope)
            found = next((row for row in rows if row.id == suppression_id), None)
            if found is None:
                raise NotFoundProblem(
                    Text(
                        f"该客户没有编号为 {suppression_id} 的停止触达",
                        f"No suppression {suppression_id} counts for this customer",
                    )
                )
            if found.reason != MANUAL:
                raise ConflictProblem(
                    Text(
                        f"它来自退款，随退款关闭或于 {_instant(found.until)} 自动解除",
                        f"It comes from a refund; it ends when the refund is closed, or at {_instant(found.until)}",
                    )
                )
            same = [row.id for row in rows if row.reason == MANUAL and _article(row) == _article(found)]
            await Suppressions(work).lift(same)
            detail = {"reason": note, "article": "/".join(filter(None, _article(found))) or None}
            await AuditLog(work).record(actor, "customer.unsuppress", f"customer:{customer}", detail)
            return silenced(await Suppressions(work).of(customer, actor.scope))


async def suppressed_events(work: UnitOfWork, suppressions: Sequence[NewSuppression]) -> list[Event]:
    """`tandem.customer.suppressed`, one for each that was written just now, under every id of its customer."""
    if not suppressions:
        return []
    aliases = await Customers(work).aliases({each.customer for each in suppressions})
    return [
        Event(
            # One that was over and begins anew is told again.
            id=derived_id("suppressed", str(each.id), _instant(each.until) or ""),
            source=SOURCE,
            type="tandem.customer.suppressed",
            time=work.now,
            subject=f"customer:{each.customer}",
            datacontenttype="application/json",
            data=_data(each),
            tandemkeys=tuple(f"customer:{alias}" for alias in aliases.get(each.customer, ())),
        )
        for each in suppressions
    ]


def _data(suppression: NewSuppression) -> dict[str, str | None]:
    platform, _, account = (suppression.account_id or "").partition("/")
    return {
        "customer": str(suppression.customer),
        "reason": suppression.reason,
        "platform": platform or None,
        "account": account or None,
        "item_id": suppression.item_id,
        "until": _instant(suppression.until),
    }


def silenced(rows: Sequence[SuppressionRow]) -> list[Silenced]:
    """Suppressions as people see them, one of each: a decision of a person stands on every key."""
    once: dict[tuple[str, int | None, tuple[str | None, str | None]], SuppressionRow] = {}
    for row in rows:
        once.setdefault((row.reason, row.refund_key, _article(row)), row)
    found = []
    for row in once.values():
        platform, _, account = (row.account_id or "").partition("/")
        found.append(
            Silenced(
                row.id,
                row.reason,
                platform or None,
                account or None,
                row.item_id,
                row.until,
                row.made_at,
                row.note,
                row.made_by,
            )
        )
    return found


def _article(row: SuppressionRow) -> tuple[str | None, str | None]:
    return row.account_id, row.item_id


def _instant(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant is not None else None


def _reason(reason: str) -> str:
    text = reason.strip()
    if not text or len(text) > LONGEST_REASON:
        raise ValidationProblem(
            Text(f"请写明原因，最多 {LONGEST_REASON} 字", f"Give a reason of at most {LONGEST_REASON} characters")
        )
    return text
