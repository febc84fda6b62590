"""What people see and decide about customers: why, merge, split, undo, review."""

import random
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, delete, func, select

from domain.access import Actor, Role, Scope, system_actor
from domain.canonical.keys import IdentityKey
from domain.customers.identity import Verdict
from domain.customers.strength import Tier
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from services.customers import CustomerService
from services.identities import IdentityService, Sighting
from services.identity_evidence import Explanation
from storage.audit import AuditEntryRow
from storage.engine import Database
from storage.erasing import Erasing
from storage.events import EventRow
from storage.identities import CustomerRow, IdentityRow
from storage.identity_links import IdentityDecisionKeyRow, IdentityDecisionRow, IdentityLinkRow
from storage.orders import OrderRow
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_identities import NOW, SCOPES, any_records, doubts, expected, owner, people, told

SUPERVISOR = an_actor("wang", Role.SUPERVISOR)
AGENT = an_actor("li", Role.AGENT)


@pytest.fixture
def customers(database: Database) -> CustomerService:
    return CustomerService(database)


async def number(database: Database, name: str) -> int:
    async with UnitOfWork(database) as work:
        rows = await work.session.scalars(select(IdentityRow))
        return next(row.id for row in rows if row.value == name)


async def events(database: Database) -> list[str]:
    async with UnitOfWork(database) as work:
        return list(await work.session.scalars(select(EventRow.type).order_by(col(EventRow.seq))))


def keys_of(explanation: Explanation) -> set[str]:
    return {f"{key.kind} {key.value}" for key in explanation.keys}


async def test_why_were_these_two_merged(database: Database, customers: CustomerService) -> None:
    jd = owner(await told(database, "J1 P1"), "J1")
    pinduoduo = owner(await told(database, "G1"), "G1")
    await told(database, "G1 P1")
    why = await customers.explain(AGENT, pinduoduo)
    assert (why.customer, list(why.aliases)) == (jd, [pinduoduo])
    assert keys_of(why) == {"buyer ****1", "phone ****1"}
    assert {(link.record, link.strength) for link in why.links} == {("order:J1 P1", "phone"), ("order:G1 P1", "phone")}
    assert [(move.cause, move.detail) for move in why.moves] == [("evidence", {"records": ["jd/flagship order:G1 P1"]})]
    with pytest.raises(NotFoundProblem):
        await customers.explain(AGENT, uuid4())


async def test_a_merge_is_taken_back_as_if_it_had_never_been(database: Database, customers: CustomerService) -> None:
    first, second = owner(await told(database, "U1 J1"), "U1"), owner(await told(database, "U2 G1"), "U2")
    merged = await customers.merge(SUPERVISOR, second, [first], "同一人的两个微信")
    assert merged.customers == [first]
    assert await people(database) == {"G1 J1 U1 U2"}
    assert owner(await told(database, "G1"), "G1") == first
    undone = await customers.undo(SUPERVISOR, merged.decision)
    assert set(undone.customers) == {first, second}
    assert await people(database) == {"J1 U1", "G1 U2"}
    assert owner(await told(database, "G1"), "G1") == second
    assert await events(database) == ["tandem.customer.merged", "tandem.customer.split"]
    why = await customers.explain(AGENT, second)
    assert list(why.aliases) == []
    assert [(each.verdict, each.actor, each.reason, each.undone_by) for each in why.decisions] == [
        ("join", "wang", "同一人的两个微信", "wang")
    ]
    assert {move.cause for move in why.moves} == {"decision", "undo"}
    with pytest.raises(ConflictProblem, match="already"):
        await customers.undo(SUPERVISOR, merged.decision)


async def test_a_split_holds_against_evidence_until_it_is_taken_back(
    database: Database, customers: CustomerService
) -> None:
    assigned = await told(database, "J1 P1", "G1 P1")
    customer = owner(assigned, "J1")
    split = await customers.split(SUPERVISOR, customer, [await number(database, "G1")], "妻子的账号")
    assert await people(database) == {"J1 P1"}
    assert len(set(split.customers)) == 2
    await told(database, "G1 P1", "G1 P2")
    assert await people(database) == {"J1 P1", "G1 P2"}
    await customers.undo(SUPERVISOR, split.decision)
    assert await people(database) == {"G1 J1 P1 P2"}
    assert owner(await told(database, "J1"), "J1") == customer


async def test_a_suggestion_is_answered_once(database: Database, customers: CustomerService) -> None:
    await told(database, "T1 P1", "T2 P1", "J1 D1", "G1 D1")
    page = await customers.review(AGENT, PageRequest())
    assert sorted(each.why for each in page.items) == ["shared_device", "shared_phone", "shared_phone"]
    device = next(each for each in page.items if each.why == "shared_device")
    parted = await customers.settle(SUPERVISOR, device.id, "part", "同事")
    first, second = (each for each in page.items if each.why == "shared_phone")
    await customers.settle(SUPERVISOR, first.id, "join", "本人确认")
    assert len(await people(database)) == 1
    await customers.settle(SUPERVISOR, second.id, "part", "家人的账号")
    assert await doubts(database) == set()
    with pytest.raises(ConflictProblem, match="wang"):
        await customers.settle(SUPERVISOR, device.id, "join", "又一次")
    await customers.undo(SUPERVISOR, parted.decision)
    assert await doubts(database) == {"G1 J1 shared_device"}


async def test_all_that_people_decide_can_be_taken_back(database: Database, customers: CustomerService) -> None:
    generator = random.Random(5)
    for _ in range(6):
        async with UnitOfWork(database) as work:
            await work.session.execute(delete(IdentityRow))
        records = any_records(generator)
        await told(database, *records)
        async with UnitOfWork(database) as work:
            before = {row.value: row for row in await work.session.scalars(select(IdentityRow))}
        decided: dict[UUID, tuple[Verdict, str, str]] = {}
        for _ in range(8):
            verdict: Verdict = generator.choice(("join", "part"))
            one, other = generator.sample(sorted(before), 2)
            try:
                found = await customers.decide(SUPERVISOR, verdict, [before[one].id, before[other].id], "x")
            except ConflictProblem:
                continue
            decided[found.decision] = (verdict, one, other)
            assert await people(database) == expected(records, decided.values()), (records, decided)
        for decision in generator.sample(list(decided), len(decided)):
            await customers.undo(SUPERVISOR, decision)
            del decided[decision]
            assert await people(database) == expected(records, decided.values()), (records, decided)
        async with UnitOfWork(database) as work:
            after = {row.value: row.customer_id for row in await work.session.scalars(select(IdentityRow))}
        assert after == {name: row.customer_id for name, row in before.items()}


async def test_decisions_that_contradict_each_other_are_refused(database: Database, customers: CustomerService) -> None:
    await told(database, "U1", "U2", "U3")
    one, two, three = [await number(database, name) for name in ("U1", "U2", "U3")]
    joined = await customers.decide(SUPERVISOR, "join", [one, two], "本人")
    with pytest.raises(ConflictProblem, match=str(joined.decision)):
        await customers.decide(SUPERVISOR, "part", [two, one], "不是")
    parted = await customers.decide(SUPERVISOR, "part", [two, three], "不是")
    with pytest.raises(ConflictProblem, match=str(parted.decision)):
        await customers.decide(SUPERVISOR, "join", [one, three], "是")
    await customers.undo(SUPERVISOR, parted.decision)
    await customers.decide(SUPERVISOR, "join", [one, three], "是")
    assert await people(database) == {"U1 U2 U3"}


async def test_wrong_requests_are_refused(database: Database, customers: CustomerService) -> None:
    customer = owner(await told(database, "J1 P1"), "J1")
    buyer, phone = await number(database, "J1"), await number(database, "P1")
    for chosen in ([], [buyer, phone], [buyer, 10**12]):
        with pytest.raises(ValidationProblem):
            await customers.split(SUPERVISOR, customer, chosen, "因为")
    with pytest.raises(ValidationProblem):
        await customers.split(SUPERVISOR, customer, [buyer], "  ")
    with pytest.raises(ValidationProblem):
        await customers.decide(SUPERVISOR, "join", [buyer, 10**12], "因为")
    with pytest.raises(ConflictProblem):
        await customers.merge(SUPERVISOR, customer, [customer], "因为")
    for wrong in (customers.merge(AGENT, customer, [customer], "因为"), customers.undo(AGENT, customer)):
        with pytest.raises(AuthorizationProblem):
            await wrong


async def test_every_decision_is_in_the_audit_log(database: Database, customers: CustomerService) -> None:
    first, second = owner(await told(database, "U1"), "U1"), owner(await told(database, "U2"), "U2")
    merged = await customers.merge(SUPERVISOR, first, [second], "本人")
    await customers.undo(system_actor("cli/root"), merged.decision)
    async with UnitOfWork(database) as work:
        rows = list(await work.session.scalars(select(AuditEntryRow)))
    assert {(row.actor, row.action, row.target) for row in rows} == {
        ("wang", "customer.join", f"customer:{first}"),
        ("system:cli/root", "customer.undo", f"customer:{first}"),
    }


async def test_a_decision_about_erased_keys_can_be_undone(database: Database, customers: CustomerService) -> None:
    await told(database, "U1", "U2")
    decided = await customers.decide(SUPERVISOR, "join", [await number(database, name) for name in ("U1", "U2")], "x")
    async with UnitOfWork(database) as work:
        await work.session.execute(delete(IdentityRow))
    assert (await customers.undo(SUPERVISOR, decided.decision)).customers == []


async def somebody_with(database: Database, count: int, name: str) -> UUID:
    """A customer with so many openids, each of them seen with up to ten others."""
    async with UnitOfWork(database) as work:
        customer = CustomerRow(created_at=NOW, changed_at=NOW)
        work.session.add(customer)
        await work.session.flush()
        keys = [
            IdentityRow(
                kind="openid",
                scope=f"official_account/{name}{place}",
                digest=f"{name}{place}".encode(),
                value=f"{name}{place}",
                customer_id=customer.id,
                first_seen_at=NOW,
                home=customer.id,
            )
            for place in range(count)
        ]
        work.session.add_all(keys)
        await work.session.flush()
        for place in range(1, count):
            low, high = sorted((keys[place].id, keys[place // 10].id))
            seen_by = IdentityLinkRow(
                low=low, tier=Tier.WECHAT, high=high, account_id="official_account/a", record="follow", seen_at=NOW
            )
            work.session.add(seen_by)
        return customer.id


async def sizes(database: Database) -> dict[UUID, int]:
    """How many keys each customer has."""
    async with UnitOfWork(database) as work:
        statement = select(IdentityRow.customer_id, func.count()).group_by(col(IdentityRow.customer_id))
        return {row[0]: row[1] for row in await work.session.execute(statement)}


async def test_people_with_very_many_keys_are_merged_split_and_parted_again(
    database: Database, customers: CustomerService
) -> None:
    first, second = await somebody_with(database, 400, "a"), await somebody_with(database, 300, "b")
    merged = await customers.merge(SUPERVISOR, first, [second], "集团客户")
    assert await sizes(database) == {first: 700}
    why = await customers.explain(AGENT, first)
    assert [len(keys) for keys in why.decisions[0].sides] == [700]
    await customers.undo(SUPERVISOR, merged.decision)
    assert await sizes(database) == {first: 400, second: 300}
    # What hangs on the tenth key and on those behind it.
    branch, behind = {10}, [10]
    for place in behind:
        behind += [each for each in range(max(place * 10, 1), min(place * 10 + 10, 400)) if each not in branch]
        branch |= set(behind)
    chosen = [await number(database, f"a{place}") for place in sorted(branch)]
    split = await customers.split(SUPERVISOR, first, chosen, "两家公司")
    assert sorted((await sizes(database)).values()) == sorted([len(branch), 400 - len(branch), 300])
    with pytest.raises(ConflictProblem, match=str(split.decision)):
        await customers.decide(SUPERVISOR, "join", [chosen[-1], await number(database, "a0")], "同一家")
    await customers.undo(SUPERVISOR, split.decision)
    assert await sizes(database) == {first: 400, second: 300}


async def test_more_keys_than_anybody_has_are_refused_with_what_to_do(
    database: Database, customers: CustomerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.customers.MOST_KEYS", 50)
    first, second = await somebody_with(database, 30, "a"), await somebody_with(database, 30, "b")
    with pytest.raises(ValidationProblem) as refusal:
        await customers.merge(SUPERVISOR, first, [second], "同一人")
    assert "60" in refusal.value.text.zh
    assert "60" in refusal.value.text.en


async def test_the_reason_of_a_decision_goes_with_whom_it_was_about(
    database: Database, customers: CustomerService
) -> None:
    await told(database, "U1", "U2", "U3")
    one, two, three = [await number(database, name) for name in ("U1", "U2", "U3")]
    await customers.decide(SUPERVISOR, "part", [one, two], "妻子")
    kept = await customers.decide(SUPERVISOR, "part", [two, three], "同事")
    async with UnitOfWork(database) as work:
        await Erasing(work).delete_keys([one], [])
    async with UnitOfWork(database) as work:
        rows = list(await work.session.scalars(select(IdentityDecisionRow)))
        about = set(await work.session.scalars(select(IdentityDecisionKeyRow.decision_id)))
    assert sorted(row.reason for row in rows) == ["", "同事"]
    assert about == {kept.decision}


async def _order(database: Database, identity: int | None, account_id: str) -> None:
    async with UnitOfWork(database) as work:
        row = OrderRow(
            order_id="E1",
            identity_id=identity,
            version=1,
            detail_version=1,
            status="paid",
            told_at=NOW,
            recorded_at=NOW,
        )
        row.account_id = account_id
        work.session.add(row)


async def test_customers_of_other_shops_are_not_there(database: Database, customers: CustomerService) -> None:
    assigned = await told(database, "T1 P1", "T2 P1")
    await _order(database, await number(database, "T1"), "taobao/a")
    reader: Actor = an_actor("zhao", Role.SUPERVISOR, scope=Scope.of_accounts("taobao/a"))
    first, second = owner(assigned, "T1"), owner(assigned, "T2")
    assert len((await customers.explain(reader, first)).keys) == 1
    with pytest.raises(NotFoundProblem):
        await customers.explain(reader, second)
    with pytest.raises(NotFoundProblem):
        await customers.merge(reader, first, [second], "因为")
    assert (await customers.review(reader, PageRequest())).items == []
    await _order(database, await number(database, "P1"), "taobao/b")
    wider: Actor = an_actor("zhao", Role.SUPERVISOR, scope=Scope.of_accounts("taobao/a", "taobao/b"))
    assert len((await customers.review(wider, PageRequest())).items) == 1


async def _at(database: Database, account_id: str, *names: str) -> None:
    """One record, told by a shop, that names these keys; its order points at the first."""
    async with UnitOfWork(database) as work:
        keys = tuple(IdentityKey(*SCOPES[name[0]], name) for name in names)
        said = f"order:{account_id}-{'-'.join(names)}"
        assigned = await IdentityService().assign(work, [Sighting(keys, account_id, said, NOW)])
        row = OrderRow(
            order_id="-".join(names), identity_id=assigned.identities[keys[0]], version=1, detail_version=1,
            status="paid", told_at=NOW, recorded_at=NOW,
        )  # fmt: skip
        row.account_id = account_id
        if account_id == "pinduoduo/b":
            row.customer_owner = "zhao"
        work.session.add(row)


async def test_why_tells_nothing_of_other_shops(database: Database, customers: CustomerService) -> None:
    await _at(database, "jd/a", "J1")
    await _at(database, "pinduoduo/b", "G1", "P1")
    await _at(database, "jd/a", "J1", "P1")
    await _at(database, "wecom/c", "E1", "P1")
    await _at(database, "taobao/d", "T1", "P1")
    await _at(database, "taobao/d", "T2", "P1")
    customer = next(iter((await _owners(database, "J1")).values()))
    keys = [await number(database, name) for name in ("J1", "E1")]
    await customers.decide(SUPERVISOR, "join", keys, "店员说是同一人")
    whole = await customers.explain(AGENT, customer)
    assert "wecom/c" in repr(whole)
    for scope in (Scope.of_accounts("jd/a"), Scope.of_own_customers("zhao")):
        mine = "jd/a" if scope.kind == "accounts" else "pinduoduo/b"
        reader = an_actor("zhao", Role.SUPERVISOR, scope=scope)
        seen = next(iter((await _owners(database, "J1" if scope.kind == "accounts" else "G1")).values()))
        why = await customers.explain(reader, seen)
        assert len(why.keys) == 1, why.keys
        assert {each.account_id for each in why.links} == {mine}
        for shop in {"jd/a", "pinduoduo/b", "wecom/c", "taobao/d"} - {mine}:
            assert shop not in repr(why), (scope, shop)
        assert "****1" in repr(why.others), "the phone that the shop itself told of"
        assert not {"external_userid"} & {each.kind for each in (*why.keys, *why.others)}
        assert why.decisions == []
        assert {each.kind for each in why.others} == {"phone"}


async def test_a_phone_that_a_shop_knows_does_not_tell_where_else_they_buy(
    database: Database, customers: CustomerService
) -> None:
    await _at(database, "jd/a", "J1", "P1")
    await _at(database, "erp/main", "P1")
    customer = next(iter((await _owners(database, "P1")).values()))
    reader: Actor = an_actor("zhao", Role.SUPERVISOR, scope=Scope.of_accounts("erp/main"))
    assert keys_of(await customers.explain(reader, customer)) == {"phone ****1"}
    buyer = await number(database, "J1")
    with pytest.raises(ValidationProblem) as refused:
        await customers.split(reader, customer, [buyer], "不认识")
    assert refused.value.problem.model_dump()["unknown"] == [buyer]


async def _owners(database: Database, *names: str) -> dict[str, UUID]:
    async with UnitOfWork(database) as work:
        rows = await work.session.scalars(select(IdentityRow))
        return {row.value: row.customer_id for row in rows if row.value in names}
