"""Everything that is stored about one person, in clear, as one document for them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from domain.access import Actor, Permission
from domain.events import rfc3339
from domain.organisation import Placement
from domain.problems import Text, ValidationProblem
from domain.tags.views import TagMark
from services.consents import Consent, consents_of
from services.profiles import TagBook, entry_of
from services.suppressions import Silenced, silenced
from storage.audit import AuditLog
from storage.customer_scope import require_customer
from storage.engine import Database
from storage.human_tasks import HumanTaskRow
from storage.identities import Customers, Identities
from storage.identity_links import IdentityLinks
from storage.profile import Place, Profiles, Subject
from storage.runs import RunRow, run_of
from storage.suppressions import Suppressions
from storage.unit_of_work import UnitOfWork

LONGEST_REASON = 500
MOST_RECORDS = 50_000
_PAGE = 500


class ExportService:
    """Raises AuthorizationProblem without `customers.export`; it is for who sees everything."""

    def __init__(self, database: Database, tags: TagBook) -> None:
        self._database = database
        self._tags = tags

    async def export(self, actor: Actor, customer_id: UUID, reason: str) -> dict[str, Any]:
        """Identities with the evidence between them, tags and what people decided about them, what they are left alone
        about, what they agreed to, and every record with all that is known of it, newest first.

        :raises NotFoundProblem: there is no such customer. :raises ValidationProblem: no reason, or more records than
            one document holds.
        """
        actor.require(Permission.CUSTOMERS_EXPORT)
        actor.require_everything()
        if not 1 <= len(reason.strip()) <= LONGEST_REASON:
            raise ValidationProblem(
                Text(
                    f"请说明理由（1–{LONGEST_REASON} 字），会写入审计",
                    f"Say why (1 to {LONGEST_REASON} characters); it is audited",
                )
            )
        async with UnitOfWork(self._database) as work:
            customer = await require_customer(work, customer_id, actor.scope)
            keys = await Identities(work).of_customers([customer])
            aliases = (await Customers(work).aliases([customer])).get(customer, ())
            links = await IdentityLinks(work).of([row.id for row in keys])
            tags = await self._tags.held(work, customer)
            decisions = await self._tags.decisions(work, customer)
            grades = await self._tags.grades(work, customer)
            suppressions = silenced(await Suppressions(work).of(customer, actor.scope))
            subject = Subject(
                [row.id for row in keys],
                [str(each) for each in (customer, *aliases)],
                sorted({row.value for row in keys}),
                actor.scope,
            )
            records = await _records(work, subject)
            await AuditLog(work).record(
                actor, "customer.export", f"customer:{customer}", {"reason": reason.strip()}, Placement()
            )
            return {
                "customer": str(customer),
                "aliases": [str(each) for each in aliases],
                "exported_at": rfc3339(work.now),
                "identities": [row.model_dump(mode="json", exclude={"digest", "customer_id", "home"}) for row in keys],
                "evidence": [row.model_dump(mode="json") for row in links],
                "tags": [
                    {
                        "tag": each.tag,
                        "since": rfc3339(each.since),
                        "why": list(each.why),
                        "rule": each.rule,
                        "version": each.version,
                    }
                    for each in tags
                ],
                "tag_decisions": [_decided(each) for each in decisions],
                "grades": [
                    {"grading": each.grading, "grade": each.grade, "score": each.score, "since": rfc3339(each.since)}
                    for each in grades
                ],
                "suppressions": [_told(each) for each in suppressions],
                "consents": [_said(each) for each in await consents_of(work, customer)],
                "records": records,
            }


def _decided(each: TagMark) -> dict[str, Any]:
    ended_at = rfc3339(each.ended_at) if each.ended_at else None
    data = asdict(each) | {"marked_at": rfc3339(each.marked_at), "ended_at": ended_at}
    return {name: value for name, value in data.items() if name != "id" and value is not None}


def _told(each: Silenced) -> dict[str, Any]:
    data = asdict(each) | {"until": rfc3339(each.until) if each.until else None, "made_at": rfc3339(each.made_at)}
    return {name: value for name, value in data.items() if name != "id" and value is not None}


def _said(each: Consent) -> dict[str, Any]:
    data = asdict(each) | {"at": rfc3339(each.at), "recorded_at": rfc3339(each.recorded_at)}
    return {name: value for name, value in data.items() if value is not None}


async def _records(work: UnitOfWork, subject: Subject) -> list[dict[str, Any]]:
    profiles = Profiles(work)
    records: list[dict[str, Any]] = []
    before: Place | None = None
    while True:
        places: Sequence[Place] = await profiles.timeline(subject, before, _PAGE)
        rows = await profiles.rows(places)
        lines = await profiles.lines([row.id for place, row in rows.items() if place.kind == "order"])
        records.extend(_record(rows[place], lines, place) for place in places if place in rows)
        if len(records) > MOST_RECORDS:
            raise ValidationProblem(
                Text(
                    f"该客户的记录超过 {MOST_RECORDS} 条，无法放入一个文档",
                    f"This customer has more than {MOST_RECORDS:,} records, which is too much for one document",
                )
            )
        if len(places) < _PAGE:
            return records
        before = places[-1]


def _record(row: Any, lines: Any, place: Place) -> dict[str, Any]:
    """A record with everything of it; of a run and a task also what is in them."""
    if isinstance(row, HumanTaskRow):
        data = row.model_dump(mode="json", exclude={"form", "id", "account_id"})
        return {"kind": "task", "at": rfc3339(place.at), "key": row.id, "account_id": row.account_id, "data": data}
    entry = entry_of(row, lines)
    data = dict(entry.data)
    if isinstance(row, RunRow):
        data = run_of(row).model_dump(mode="json", exclude={"id", "account_id", "live", "masked"})
    return {
        "kind": entry.kind,
        "at": rfc3339(entry.at),
        "key": entry.key,
        "account_id": entry.account_id,
        "data": data,
    }
