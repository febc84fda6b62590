"""Stages of life that a member of staff heard of: a pregnancy, a birthday, a new pet.

They go the way of a record that a shop tells, so that rules, triggers, an export and an erasure find them.
"""

import re
from datetime import date
from uuid import UUID

from domain.access import Actor, Permission
from domain.canonical.announcing import announce
from domain.canonical.interactions import LifeEventData
from domain.canonical.keys import KINDS, IdentityKey, strongest_first
from domain.ids import derived_id
from domain.problems import Text, ValidationProblem
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.tagging import Tagging
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.customer_scope import require_customer
from storage.engine import Database
from storage.key_scope import KeyScopes
from storage.unit_of_work import UnitOfWork

NAME = r"[a-z][a-z0-9_]{0,39}"
_MOST_KEYS = 50
_SHARED = frozenset({"phone", "device"})


class LifeEventService:
    """Raises AuthorizationProblem without `customers.tag`, NotFoundProblem for what is out of the actor's scope."""

    def __init__(self, database: Database, tagging: Tagging | None = None) -> None:
        self._database = database
        self._intake = Intake(IdentityService(), tagging or Tagging(database))

    async def note(self, actor: Actor, customer_id: UUID, account_id: str, name: str, due_on: date | None) -> UUID:
        """Write down a stage of life; who the customer is now. Of one name the newest counts: noting it again corrects
        the day.

        account_id: the shop where it was heard of. due_on: the day it is about (an expected birth, a birthday).
        :raises ValidationProblem: the name is none, or the customer has no key within the scope.
        """
        actor.require(Permission.CUSTOMERS_TAG)
        if not re.fullmatch(NAME, name):
            raise ValidationProblem(
                Text(
                    "人生阶段的名称由小写字母、数字和下划线组成，最多 40 个，如 pregnancy、birthday、new_pet",
                    "A stage of life is named by up to 40 lower-case letters, digits and underscores, such as "
                    "pregnancy, birthday, new_pet",
                ),
                field="name",
            )
        async with UnitOfWork(self._database) as work:
            customer = await require_customer(work, customer_id, actor.scope)
            account = await Accounts(work).require(account_id, actor.scope)
            rows = await KeyScopes(work).of_customer(customer, actor.scope, _MOST_KEYS)
            people = strongest_first(IdentityKey(KINDS[row.kind], row.scope, row.value) for row in rows)
            # A household may share a phone, and not a pregnancy.
            person = next((each for each in people if each.kind not in _SHARED), people[0] if people else None)
            if person is None:
                raise ValidationProblem(
                    Text("这位客户在您的数据范围内没有任何标识", "This customer has no key within your data scope")
                )
            told = LifeEventData(
                platform=account.platform,
                account=account.slug,
                version=int(work.now.timestamp() * 1000),
                occurred_at=work.now,
                event_id=derived_id("noted", *person, name),
                name=name,
                due_on=due_on,
            )
            arrival = Arrival.of(announce(told, work.now), work.now)
            if arrival.record is not None:
                # The person is known by a key that this shop may have no field for.
                arrival.record.people = (person,)
            await self._intake.take_in(work, [arrival])
            # Not what was heard: the audit log is for ever, and an erasure has to reach a pregnancy.
            await AuditLog(work).record(actor, "customer.life_event", f"customer:{customer}", {"account": account_id})
        return customer
