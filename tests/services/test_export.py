"""An export: everything that erasure reaches, in clear, of one person and nobody else, and of any size."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlmodel import col
from temporalio.client import Client

from domain.canonical.keys import IdentityKey
from domain.customers.traces import Traces
from domain.problems import UnavailableProblem, ValidationProblem
from services.customers import CustomerService
from services.erasure import ErasureService, ErasureWorker
from services.export import AUDIT, HISTORY, ExportService
from services.identities import IdentityService, Sighting
from services.orchestrator import Orchestrator
from services.tag_book import StoredTags
from storage.consents import ConsentRow
from storage.customer_tag_tables import CustomerGradeRow, CustomerTagRow, TagCheckRow
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.events import EventRow, Events
from storage.human_tasks import HumanTaskCommandRow
from storage.identity_reviews import IdentitySuggestionRow
from storage.inbox import InboxRow
from storage.interactions import InteractionRow
from storage.invitations import InvitationRow
from storage.lookups import LookupRow
from storage.personal import FOLLOWING, MENTIONING, POINTING
from storage.recordsets import table_of
from storage.subscriptions import DeadLetterRow, SubscriptionRow
from storage.suppressions import Suppressions
from storage.tables import load_tables
from storage.trigger_matches import TriggerMatchRow
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.house import House, a_flow, eventually
from tests.services.test_erasure import ADMIN, OTHER_PHONE, SECRETS, an_order, plant
from tests.services.test_profiles import NOW, PHONE, Person, a_person

PERSONAL = {
    str(table_of(row).name) for row in (*POINTING, *MENTIONING, *(each for some in FOLLOWING.values() for each in some))
}
ABOUT_NOBODY = {
    "accounts",
    "article_categories",
    "attributions",
    "bank_file_lines",
    "bank_files",
    "bill_leftovers",
    "bill_lines",
    "bill_matches",
    "bill_terms",
    "proposed_bill_terms",
    "bills",
    "breaks",
    "category_rhythms",
    "comparisons",
    "definition_texts",
    "definition_versions",
    "exchange_rates",
    "goods",
    "grading_breaks",
    "identity_digest_keys",
    "ledger_accounts",
    "listed",
    "login_attempts",
    "payee_facts",
    "payee_keys",
    "payee_terms",
    "payee_uplines",
    "payees",
    "payout_approvals",
    "payout_batches",
    "payout_omissions",
    "payout_receivers",
    "payout_shares",
    "payouts",
    "platform_tokens",
    "purges",
    "reconciliations",
    "releases",
    "request_paces",
    "sale_corrections",
    "sale_queue",
    "sale_sweeps",
    "sale_words",
    "sales",
    "secrets",
    "settlement_approvals",
    "settlement_booked_parts",
    "settlement_calculations",
    "settlement_earnings",
    "settlement_members",
    "settlement_parts",
    "settlement_passed",
    "settlement_periods",
    "settlement_releases",
    "settlement_run_calculations",
    "settlement_runs",
    "share_plans",
    "shareable_payments",
    "sold_orders",
    "stock",
    "streams",
    "subscriptions",
    "tag_backfills",
    "tokens",
    "trade_bills",
    "transfers",
    "carried_balances",
    "early_refunds",
    "triggers",
    "units",
    "users",
}
"""Tables in which no customer is."""
KEPT = {"audit_entries", "audit_pending", "audit_seals", "erased_keys", "erasures"}
"""Tables that say who decided what about whom, and stay."""
FLOW = """
- greet:
    set: { greeting: hello }
"""


@pytest.fixture
async def house(database: Database, temporal: Client) -> AsyncIterator[House]:
    built = House(database, temporal)
    yield built
    await built.close()


async def told(house: House, customer: UUID) -> list[dict[str, Any]]:
    export = await ExportService(house.database, house.orchestrator).export(ADMIN, customer, "本人申请")
    return [json.loads(line) async for line in export.lines]


async def rows_by_table(database: Database) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    async with UnitOfWork(database) as work:
        for table in load_tables().sorted_tables:
            rows = await work.session.execute(text(f'SELECT t::text FROM "{table.name}" AS t'))
            found[table.name] = Counter(str(row) for (row,) in rows)
    return found


async def everywhere(house: House) -> Person:
    """A person with a row in every table in which there may be one, and a run in Temporal."""
    database = house.database
    person = await a_person(database)
    other = IdentityKey("buyer", "pinduoduo", "pdd-buyer-1")
    async with UnitOfWork(database) as work:
        work.session.add_all(list(plant(person.customer)))
        await Events(work).add([an_order("E1")])
        await Suppressions(work).silence(person.keys.values(), None, "来电要求", "li", None)
        identity = min(person.keys.values())
        await CustomerTags(work).mark(identity, "VIP", "add", "manual", "li", "老客户")
        await CustomerTags(work).unmark(person.customer, "VIP", "add", None, "wang")
        assigned = await IdentityService().assign(work, [Sighting((other,), "pinduoduo/a", "order:P", NOW)])
        low, high = sorted((identity, assigned.identities[other]))
        work.session.add_all(
            [
                CustomerTagRow(
                    customer_id=person.customer, rule="vip", tag="高价值", version="1.0.0", held=True, turn=1,
                    since=NOW, why=[],
                ),
                TagCheckRow(customer_id=person.customer, rule="vip", due_at=NOW),
                CustomerGradeRow(
                    customer_id=person.customer, grading="vip", version="1.0.0", grade="白银", turn=1, since=NOW, why=[]
                ),
                LookupRow(
                    identity_id=identity, platform="wecom", account_id="wecom/main", as_of=NOW, settles_at=NOW,
                    tags={"zhang": {"VIP": "a"}},
                ),
                ConsentRow(
                    identity_id=identity, number="1", purpose="marketing", state="given", source="门店登记表", at=NOW,
                    recorded_at=NOW,
                ),
                InvitationRow(
                    identity_id=identity, by_identity_id=assigned.identities[other], at=NOW, source="拼团邀请",
                    recorded_at=NOW, made_by="li",
                ),
                IdentitySuggestionRow(low=low, high=high, why="shared_device", made_at=NOW),
                HumanTaskCommandRow(task_id="t1", key="c", action="claim", actor="li", digest="d", version=1, at=NOW),
                subscriber := SubscriptionRow(
                    name="s", url="https://example.org", types=["*"], accounts=[], masked=True, batched=False,
                    secret="whsec-never-shown", created_at=NOW, created_by="x", cursor_xact=0, cursor=0,
                    next_attempt_at=NOW,
                ),
            ]
        )  # fmt: skip
        await work.session.flush()
        (seq,) = await work.session.scalars(select(col(EventRow.seq)))
        work.session.add(
            TriggerMatchRow(namespace="n", name="n", version="1", keys="k", position=0, seq=seq, run_id=None)
        )
        work.session.add(DeadLetterRow(subscription_id=subscriber.id, seq=seq, reason="404", attempts=3, failed_at=NOW))
    merged = await CustomerService(database).merge(
        ADMIN, person.customer, [assigned.customers[other]], "同一人的两个账号"
    )
    assert merged.customers == [person.customer]
    await house.publish(a_flow("greets", FLOW))
    async with house.worker():
        run = await house.runs.start(ADMIN, "shop", "greets", {"phone": PHONE}, subject=f"customer:{person.customer}")
        await house.until(run.id, "completed")
    return person


async def test_whatever_erasure_reaches_is_in_the_export(house: House, database: Database, clock: SteppedClock) -> None:
    person = await everywhere(house)
    lines = await told(house, person.customer)
    assert lines[0]["export"]["customer"] == str(person.customer)
    rows = lines[-1]["end"]["rows"]
    assert rows == dict(Counter(each["table"] for each in lines if "table" in each))
    before = await rows_by_table(database)
    unheard_of = before.keys() - PERSONAL - ABOUT_NOBODY - KEPT
    assert not unheard_of, "a new table: add it to storage.personal, or say that nobody is in it"
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    worker = ErasureWorker(database, house.orchestrator, (StoredTags(),))

    async def done() -> bool:
        if not await worker.work():
            clock.advance(seconds=6)
        return (await ErasureService(database).show(ADMIN, person.customer)).state == "done"

    await eventually(done, seconds=60)
    after = await rows_by_table(database)
    reached = {table for table in before if before[table] - after[table]} - {"audit_pending"}
    assert reached <= rows.keys(), reached - rows.keys()
    assert rows.keys() == PERSONAL | {HISTORY, AUDIT}
    assert reached >= PERSONAL - {"customers", "order_lines"}, PERSONAL - reached


async def test_it_is_in_clear_and_holds_no_secret_and_nobody_else(house: House, database: Database) -> None:
    person = await everywhere(house)
    page = {"shop": 7, "orders": [{"tid": "1", "pin": SECRETS[2]}, {"tid": "2", "pin": "a-stranger"}]}
    async with UnitOfWork(database) as work:
        work.session.add(
            InboxRow(
                platform="jd", account="flagship", dedupe_key="page", kind="x", received_at=NOW, changed_at=NOW,
                state="done", payload=json.dumps(page).encode(),
            )
        )  # fmt: skip
    lines = await told(house, person.customer)
    whole = json.dumps(lines, ensure_ascii=False)
    for secret in SECRETS:
        assert secret in whole, secret
    for told_of in ("同一人的两个账号", "门店登记表", "老客户", "来电要求", "identity_moves", "wang"):
        assert told_of in whole, told_of
    for nobodys in ("whsec-never-shown", "a-stranger", OTHER_PHONE, "李四"):
        assert nobodys not in whole, nobodys
    history = [each["data"] for each in lines if each.get("table") == HISTORY]
    assert any(PHONE in json.dumps(each["values"]) for each in history), "decoded, whatever it is encoded with"
    assert {"workflow_execution_started", "workflow_execution_completed"} <= {each["type"] for each in history}
    async with UnitOfWork(database) as work:
        found = await work.session.execute(text("SELECT action, target FROM audit_entries ORDER BY at, id"))
    assert ("customer.export", f"customer:{person.customer}") in [tuple(row) for row in found]


async def test_a_large_one_goes_page_by_page(house: House, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await a_person(database)
    async with UnitOfWork(database) as work:
        work.session.add_all(
            InteractionRow(
                account_id="wecom/main", kind="visit", key=f"v{number}", identity_id=person.keys["contact"], version=1,
                occurred_at=NOW, recorded_at=NOW,
            )
            for number in range(1_300)
        )  # fmt: skip
    lines = await told(house, person.customer)
    keys = [each["data"]["key"] for each in lines if each.get("table") == "interactions"]
    assert len(keys) == len(set(keys)) == 1_304
    monkeypatch.setattr("services.export._STILL_THERE_S", -1)
    assert any("reading" in each for each in await told(house, person.customer)), "it says that it goes on"


async def test_a_former_id_finds_who_it_is_now(house: House, database: Database) -> None:
    first, second = (IdentityKey("buyer", "jd", f"jd-buyer-{number}") for number in (1, 2))
    async with UnitOfWork(database) as work:
        sightings = [Sighting((each,), "jd/flagship", f"order:{each.value}", NOW) for each in (first, second)]
        owners = (await IdentityService().assign(work, sightings)).customers
    await CustomerService(database).merge(ADMIN, owners[first], [owners[second]], "本人")
    lines = await told(house, owners[second])
    assert lines[0]["export"]["customer"] == str(owners[first])
    assert {each["data"]["value"] for each in lines if each.get("table") == "identities"} == {first.value, second.value}


async def test_it_says_when_it_is_not_complete(house: House, database: Database) -> None:
    person = await a_person(database)
    export = await ExportService(database, house.orchestrator).export(ADMIN, person.customer, "本人申请")
    await ErasureService(database).erase(ADMIN, person.customer, "本人要求")
    last = [json.loads(line) async for line in export.lines][-1]
    assert last["problem"]["status"] == 409


async def test_it_does_not_begin_without_a_reason_or_without_histories(house: House, database: Database) -> None:
    person = await a_person(database)
    with pytest.raises(ValidationProblem):
        await ExportService(database, house.orchestrator).export(ADMIN, person.customer, " ")
    away = Orchestrator(await Client.connect("127.0.0.1:1", lazy=True), deadline_s=0.5)
    with pytest.raises(UnavailableProblem):
        await ExportService(database, away).export(ADMIN, person.customer, "本人申请")
    async with UnitOfWork(database) as work:
        assert await work.session.scalar(text("SELECT count(*) FROM audit_entries")) == 0


def test_of_what_is_about_many_only_the_objects_that_name_the_person_are_shown() -> None:
    traces = Traces([IdentityKey("phone", "", PHONE)], [], [])
    mine, other = {"phone": PHONE, "items": [{"sku": "a"}]}, {"phone": OTHER_PHONE}
    assert traces.only({"shop": 1, "sent": [other, mine], "rest": [other]}) == {"shop": 1, "sent": [mine]}
    assert traces.only([PHONE, OTHER_PHONE]) == [PHONE]
    assert traces.only({"shop": 1, "sent": [other]}) is None
    assert traces.only(f"call {PHONE}") == f"call {PHONE}"
    assert traces.only(None) is None
