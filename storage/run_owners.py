"""Whose runs are: those about an order or a refund are whose that is today, also after customers parted.

Runs are the one place besides `identities` that names customers. A merge changes nothing about them, since the ids
that they name stay ids of the one. When customers part, they follow.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from domain.enrolments import CUSTOMER
from storage.bulk import fetch
from storage.unit_of_work import Repository

# What a run's order or refund says: the key that it stands on, by the place of the subject that names it.
_RECORDS = """
    SELECT run.id, about.place, record.identity_id
    FROM run
    CROSS JOIN LATERAL unnest(run.subjects) WITH ORDINALITY AS about (subject, place)
    CROSS JOIN LATERAL (
        SELECT identity_id FROM orders WHERE starts_with(about.subject, 'order:')
            AND orders.account_id = run.account_id AND orders.order_id = substr(about.subject, 7)
        UNION ALL
        SELECT identity_id FROM refunds WHERE starts_with(about.subject, 'refund:')
            AND refunds.account_id = run.account_id AND refunds.refund_id = substr(about.subject, 8)
    ) AS record
    WHERE record.identity_id IS NOT NULL
"""
_OF_OTHERS = """
    WITH run AS (SELECT id, account_id, subjects FROM runs WHERE id = ANY(%(runs)b::text[])),
    record AS ({records})
    SELECT id FROM record GROUP BY id HAVING NOT bool_or(identity_id = ANY(%(mine)b::bigint[]))
    """.replace("{records}", _RECORDS)
_ANY = "SELECT EXISTS (SELECT FROM runs WHERE subjects && %(names)b::text[])"
# Best the record, then the contact that it is about, then whoever it named first.
_FOLLOW = """
    WITH run AS (
        SELECT id, account_id, subjects FROM runs WHERE subjects && %(names)b::text[] ORDER BY id FOR NO KEY UPDATE
    ),
    record AS ({records}),
    told AS (
        SELECT record.id, 0 AS rank, record.place, identities.customer_id AS today
        FROM record JOIN identities ON identities.id = record.identity_id
        UNION ALL
        SELECT run.id, 1, about.place, contact.customer
        FROM run CROSS JOIN LATERAL unnest(run.subjects) WITH ORDINALITY AS about (subject, place)
        JOIN unnest(%(contacts)b::text[], %(accounts)b::text[], %(customers)b::uuid[])
            AS contact (subject, account, customer) ON contact.subject = about.subject
        WHERE contact.account IS NULL OR contact.account = run.account_id
        UNION ALL
        SELECT run.id, 2, about.place, coalesce(customers.merged_into, customers.id)
        FROM run CROSS JOIN LATERAL unnest(run.subjects) WITH ORDINALITY AS about (subject, place)
        JOIN customers ON customers.id = ANY(%(ids)b::uuid[]) AND 'customer:' || customers.id = about.subject
    ),
    owner AS (SELECT DISTINCT ON (id) id, today FROM told ORDER BY id, rank, place),
    named AS (
        SELECT owner.id, owner.today, 'customer:' || owner.today AS name,
            array_agg('customer:' || customers.id ORDER BY customers.id <> owner.today, customers.id) AS names
        FROM owner JOIN customers ON customers.id = owner.today OR customers.merged_into = owner.today
        GROUP BY owner.id, owner.today
    )
    UPDATE runs SET
        customer = named.today::text,
        subject = CASE WHEN runs.subject = ANY(%(names)b::text[]) THEN named.name ELSE runs.subject END,
        enrolled = CASE WHEN runs.enrolled = ANY(%(names)b::text[]) THEN named.name ELSE runs.enrolled END,
        subjects = ARRAY(
            SELECT one FROM unnest(runs.subjects) WITH ORDINALITY AS kept (one, place)
            WHERE NOT one = ANY(%(names)b::text[] || named.names) ORDER BY place
        ) || named.names
    FROM named WHERE runs.id = named.id
    RETURNING runs.id
    """.replace("{records}", _RECORDS)
# A statement of its own: it sees tasks that were opened while the runs were waited for.
_FOLLOW_TASKS = """
    UPDATE human_tasks SET subject = runs.subject FROM runs
    WHERE runs.id = ANY(%(runs)b::text[]) AND human_tasks.run_id = runs.id
        AND human_tasks.subject = ANY(%(names)b::text[]) AND human_tasks.subject <> runs.subject
    """


class RunOwners(Repository):
    """Whose runs are by what they are about."""

    async def of_others(self, runs: Collection[str], mine: Collection[int]) -> set[str]:
        """Those of the runs whose orders and refunds are others' today: none of them stands on one of these keys."""
        if not runs:
            return set()
        rows = await fetch(self.work, _OF_OTHERS, {"runs": list(runs), "mine": list(mine)})
        return {run_id for (run_id,) in rows}

    async def any_named(self, ids: Collection[UUID]) -> bool:
        """Whether a run is about one of these customers."""
        ((found,),) = await fetch(self.work, _ANY, {"names": _names(ids)})
        return bool(found)

    async def follow(self, ids: Collection[UUID], contacts: Mapping[tuple[str, str | None], UUID]) -> set[str]:
        """Let runs that name one of these customers name the one whose they are today, and no other of them; the runs.
        contacts: customers by a subject that is one of their keys, and the account whose runs mean that key by it; None
        where it says all of the key.

        A run about neither a record nor a contact stays with whom it named first. Human tasks go with their run.
        """
        subjects, accounts = zip(*contacts, strict=True) if contacts else ((), ())
        given = {"ids": list(ids), "names": _names(ids), "contacts": list(subjects), "accounts": list(accounts)}
        rows = await fetch(self.work, _FOLLOW, {**given, "customers": list(contacts.values())})
        runs = [run_id for (run_id,) in rows]
        if runs:
            await fetch(self.work, _FOLLOW_TASKS, {"runs": runs, "names": given["names"]})
        return set(runs)


def _names(ids: Collection[UUID]) -> list[str]:
    return [f"{CUSTOMER}:{each}" for each in ids]
