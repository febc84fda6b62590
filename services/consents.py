"""Consents: written down by people, told by accounts, and what follows from one that is withdrawn.

PIPL wants consent to marketing to be given knowingly and taken back as easily (articles 14 to 16). So every statement
is kept with its source and time, and `send` asks for the newest (`services.reach`). Whoever withdraws it for marketing
is left alone at once: journeys that wait hear `tandem.customer.suppressed`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.access import Actor, Permission, Scope
from domain.canonical.consents import LONGEST_SOURCE, Channel, ConsentState, Purpose
from domain.canonical.records import FUTURE_TOLERANCE
from domain.customers.consents import CHANNELS, Statement, consent_to, in_force
from domain.customers.records import Record
from domain.events import Event, rfc3339
from domain.ids import derived_id
from domain.problems import Text, ValidationProblem
from services.suppressions import suppressed_events
from storage.audit import AuditLog
from storage.consents import ConsentRow, Consents
from storage.customer_scope import require_customer
from storage.engine import Database
from storage.events import Events
from storage.identities import Identities
from storage.key_scope import KeyScopes
from storage.suppressions import NewSuppression
from storage.unit_of_work import UnitOfWork

WITHDRAWN = "consent_withdrawn"
"""The reason of the suppression event of a withdrawal."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A statement as people see it. in_force: whether no newer one has taken its place."""

    state: ConsentState
    purpose: Purpose
    channel: Channel | None
    source: str
    at: datetime
    recorded_at: datetime
    account_id: str | None
    made_by: str | None
    in_force: bool


class ConsentService:
    """Raises AuthorizationProblem without the permission, NotFoundProblem for customers out of the actor's scope."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_customer(self, actor: Actor, customer_id: UUID) -> list[Consent]:
        """Everything that a customer agreed to or took back, the newest first."""
        actor.require(Permission.CUSTOMERS_READ)
        async with UnitOfWork(self._database) as work:
            customer = await require_customer(work, customer_id, actor.scope)
            return await consents_of(work, customer, actor.scope)

    async def record(
        self,
        actor: Actor,
        customer_id: UUID,
        state: ConsentState,
        source: str,
        *,
        purpose: Purpose = "marketing",
        channel: Channel | None = None,
        at: datetime | None = None,
    ) -> list[Consent]:
        """Write down what a customer said; what stands then. A withdrawal ends what waits at once.

        channel: every one when left out. at: when they said so, now when left out.

        :raises ValidationProblem: no source, a time that is still to come, a customer without keys.
        """
        actor.require(Permission.CUSTOMERS_SUPPRESS)
        how = source.strip()
        if not how or len(how) > LONGEST_SOURCE:
            raise ValidationProblem(
                Text(
                    f"请写明来源（如何表示的），最多 {LONGEST_SOURCE} 字",
                    f"Say how they said so (the source), in at most {LONGEST_SOURCE} characters",
                )
            )
        async with UnitOfWork(self._database) as work:
            moment = at or work.now
            if moment > work.now + FUTURE_TOLERANCE:
                raise ValidationProblem(Text("时间不能晚于现在", "The time must not lie in the future"), at=str(at))
            customer = await require_customer(work, customer_id, actor.scope)
            keys = [key.id for key in await Identities(work).of_customers([customer])]
            if not keys:
                raise ValidationProblem(Text("这位客户没有任何标识", "This customer has no key at all"))
            said = {"purpose": purpose, "channel": channel, "state": state, "source": how, "at": moment}
            number = derived_id(str(customer), purpose, channel or "", state, rfc3339(moment))
            rows = [
                {**said, "identity_id": key, "account_id": None, "number": number, "made_by": actor.login}
                for key in keys
            ]
            new = await Consents(work).add(rows)
            await Events(work).add(await _silencing(work, new))
            detail = {"state": state, "purpose": purpose, "channel": channel, "source": how, "at": rfc3339(moment)}
            await AuditLog(work).record(actor, "customer.consent", f"customer:{customer}", detail)
            return await consents_of(work, customer, actor.scope)


async def consents_of(work: UnitOfWork, customer: UUID, scope: Scope) -> list[Consent]:
    """What a customer agreed to or took back, as people see it, the newest first; which account told it, and how it
    knew, of accounts whose evidence a scope shows."""
    statements = (await Consents(work).of([customer]))[customer]
    found = [_shown(*each) for each in zip(statements, in_force(statements), strict=True)]
    if scope.kind == "everything":
        return found
    keys = [row.id for row in await Identities(work).of_customers([customer])]
    shops = await KeyScopes(work).shops({each.account_id for each in found if each.account_id}, keys, scope)
    return [
        each if each.account_id is None or each.account_id in shops else replace(each, account_id=None, source="")
        for each in found
    ]


async def note_consents(
    work: UnitOfWork, records: Sequence[Record], owners: Sequence[int | None]
) -> list[tuple[Event, datetime]]:
    """Write the statements among the records of a batch; for each withdrawal that is new the event that silences, and
    when it was said. owners: the identity of each record."""
    rows = [
        {
            **record.values,
            "account_id": record.account_id,
            "number": record.key[1],
            "identity_id": owner,
            "made_by": None,
        }
        for record, owner in zip(records, owners, strict=True)
        if record.shelf == "consents" and owner is not None
    ]
    new = await Consents(work).add(rows)
    return [(event, row.at) for row in new for event in await _silencing(work, [row])]


async def _silencing(work: UnitOfWork, new: Sequence[ConsentRow]) -> list[Event]:
    """`tandem.customer.suppressed` for customers whose withdrawal was written just now and holds."""
    withdrawn = [row for row in new if row.state == "withdrawn" and row.purpose == "marketing"]
    if not withdrawn:
        return []
    owners = await Identities(work).customers_of({row.identity_id for row in withdrawn})
    statements = await Consents(work).of(set(owners.values()))
    told: dict[UUID, NewSuppression] = {}
    for row in withdrawn:
        customer = owners[row.identity_id]
        channels = CHANNELS if row.channel is None else (row.channel,)
        if any(consent_to(statements[customer], "marketing", each) == "withdrawn" for each in channels):
            told[customer] = NewSuppression(f"consent-{row.number}", customer, None, None, WITHDRAWN, None, row.at)
    return await suppressed_events(work, list(told.values()))


def _shown(each: Statement, holds: bool) -> Consent:
    return Consent(
        each.state,
        each.purpose,
        each.channel,
        each.source,
        each.at,
        each.recorded_at,
        each.account_id,
        each.made_by,
        holds,
    )
