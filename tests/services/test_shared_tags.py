"""Tags on both sides, as people meet them: rules and agents in Tandem, members of staff in WeCom."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from connectors.lookups import looked_up
from connectors.webhooks import Verified
from domain.accounts import NewAccount
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.customer_tags import CustomerTagService
from services.customers import CustomerService
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Intake
from services.lookups import LookupDesk, LookupService
from services.shared_tags import SharedTags
from services.tag_rules import RuleBook
from services.tagging import Tagging
from storage.encryption import Keyring
from storage.engine import Database
from storage.events import EventRow
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import CONNECTORS, Outside, outside

ADMIN = an_actor("root")
CORP = "wecom/demo-corp"
SECRETS = frozenset({"contact_secret", "agent_secret", "archive_secret", "token", "encoding_aes_key"})
RULE = """
tag-rule:
  name: searcher
  version: {version}
  tag: 爱搜索
  group: 兴趣
  share: {share}
  title: 搜索过
  when:
    all:
      - visits: {{ within: P30D, where: {{ name: search }} }}
"""


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Outside]:
    async with outside() as world:
        world.impatient_s = 2
        yield world


@dataclass
class Scene:
    """A corp that is connected, and one of its customers with two members of staff who have them as a contact."""

    world: Outside
    live: Database
    book: RuleBook
    person: str
    external_userid: str
    first: str
    second: str

    def lookups(self) -> LookupService:
        """A worker that has just started."""
        return LookupService(
            self.live, CONNECTORS, Connections(self.live), self.world.link, SharedTags(self.live, self.book)
        )

    async def settle(self) -> int:
        """Let everything that is due happen; how often WeCom was asked about somebody."""
        asked, lookups = 0, self.lookups()
        await self.hurry()
        while (round_of := await lookups.drain("wecom")).asked:
            asked += round_of.asked
            await self.drain()
        await self.drain()
        return asked

    async def hurry(self) -> None:
        """Let the moment pass for which a question waits."""
        await self.rows(
            "UPDATE lookups SET due_at = now() - interval '1 s', settles_at = now() - interval '1 s' "
            "WHERE due_at IS NOT NULL AND problem IS NULL RETURNING 1"
        )

    async def drain(self) -> None:
        intake = Intake(IdentityService(), Tagging(self.live, self.book), LookupDesk(looked_up(CONNECTORS)))
        while (read := await InboxService(self.live, CONNECTORS, intake).drain()).read:
            assert read.quarantined == 0

    async def do(self, does: str, userid: str = "", **more: Any) -> None:
        """A person does something in WeCom, and its callback comes in twice."""
        self.world.receiver.pushes.clear()
        await self.world.sim.admin("POST", "/advance", json={"seconds": 1})
        what = {"customer_id": self.person, "does": does, "userid": userid or self.first, **more}
        await self.world.sim.admin("POST", "/doings", json=what)
        await self.receive()

    async def receive(self, *, backwards: bool = False) -> None:
        account, pushes = await self.world.account("wecom"), await self.world.pushes("wecom", 1)
        inbox = InboxService(self.live, CONNECTORS)
        for request in pushes[::-1] if backwards else pushes:
            verified = CONNECTORS["wecom"].verify(request, account)
            for _ in range(2):
                await inbox.accept("wecom", account.slug, verified)
        await self.drain()

    async def search(self, phone: str = "") -> None:
        """The customer, or a stranger with this phone, searches in the shop: the rule gives them its tag."""
        customer = self.world.sim.app.state.world.customers.get(self.person)
        buyer = {"phone": phone} if phone else {"unionid": customer.unionid}
        visit = {"visit_id": f"v{phone}", "name": "search", "version": 1, "buyer": buyer}
        body = json.dumps({"type": "visit", "data": visit}).encode()
        push = Verified("tandem.records", body, f"visit{phone}", self.world.link.now())
        await InboxService(self.live, CONNECTORS).accept("wecom", "demo-corp", push)
        await self.drain()

    async def forget_search(self) -> None:
        """Time passes, and the rule takes its tag."""
        await self.rows(
            "UPDATE interactions SET occurred_at = now() - interval '40 days' WHERE kind = 'visit' RETURNING 1"
        )
        await self.rows("UPDATE tag_checks SET due_at = now() - interval '1 s' RETURNING 1")
        await Tagging(self.live, self.book).check_due()

    async def shown(self) -> dict[str, list[str]]:
        """The tags that WeCom shows now, by member."""
        world = self.world.sim.app.state.world
        names = {tag.id: tag.name for group in world.tag_groups for tag in group.tags}
        rows = world.contacts.having(external_userid=self.external_userid)
        return {row.userid: sorted(names[number] for number in row.tag_ids) for row in rows if not row.deleted}

    async def customer(self) -> UUID:
        (row,) = await self.rows("SELECT customer_id FROM identities WHERE kind = 'external_userid'")
        return UUID(str(row[0]))

    async def carried(self) -> dict[str, str]:
        """The tags that count in Tandem, with where they come from."""
        shown = await self.tags.of_customer(ADMIN, await self.customer())
        return {tag.tag: tag.source for tag in shown.carried}

    @property
    def tags(self) -> CustomerTagService:
        return CustomerTagService(self.live, self.book)

    async def publish(self, rule: str = RULE, version: str = "1.0.0", share: str = "true") -> None:
        definitions = DefinitionService(self.live)
        (uploaded,) = await definitions.upload(
            ADMIN, [SourceText("rule.yaml", rule.format(version=version, share=share))]
        )
        stored = uploaded.version
        await definitions.publish(ADMIN, (stored.kind, stored.namespace, stored.name, stored.version))
        while not (await Tagging(self.live, self.book).backfill()).complete:
            pass

    async def writes(self) -> int:
        """How many tags were set or taken at WeCom by its API."""
        marked = await self.world.effects(kind="tag_marked")
        return marked + await self.world.effects(kind="tag_removed")

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with UnitOfWork(self.live) as work:
            return [tuple(row) for row in await work.session.execute(text(statement))]

    async def told(self) -> list[tuple[str, str]]:
        """Gains and losses that were announced, in their order."""
        async with UnitOfWork(self.live) as work:
            found = await work.session.scalars(
                select(EventRow).where(col(EventRow.type).like("tandem.customer.tag-%")).order_by(col(EventRow.seq))
            )
            return [(row.type.rpartition("-")[2], row.envelope["data"]["tag"]) for row in found]


@pytest.fixture
async def scene(database_url: str, running: Outside) -> AsyncIterator[Scene]:
    await running.be_new()
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    account = await running.account("wecom")
    shown = {name: value for name, value in account.settings.items() if name not in SECRETS}
    hidden = {name: str(account.settings[name]) for name in SECRETS}
    new = NewAccount(
        platform="wecom", slug=account.slug, name="corp", unit_path="/", settings=shown, credentials=hidden
    )
    await PlatformAccounts(database, CONNECTORS).connect(ADMIN, new)
    world = running.sim.app.state.world
    row = next(iter(world.contacts))
    second = next(each.userid for each in next(iter(world.corps)).staff if each.userid != row.userid)
    scene = Scene(running, database, RuleBook(), row.customer_id, row.external_userid, row.userid, second)
    await scene.publish()
    await scene.do("befriend", row.userid)
    await scene.do("befriend", second)
    await scene.settle()
    yield scene
    await database.close()


async def test_a_tag_of_a_rule_is_set_for_every_member_and_its_echo_is_no_change(scene: Scene) -> None:
    await scene.search()
    assert await scene.settle() == 1
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}
    assert await scene.world.effects(kind="tag_created", name="爱搜索") == 1
    # An edit of something else is pushed, and the next read shows our own tags.
    await scene.do("note", phone="13912345678")
    assert await scene.settle() == 1
    assert (await scene.writes(), await scene.told()) == (2, [("gained", "爱搜索")])
    assert await scene.carried() == {"爱搜索": "rule"}
    await scene.forget_search()
    await scene.settle()
    assert await scene.shown() == {scene.first: [], scene.second: []}
    assert (await scene.writes(), await scene.told()) == (4, [("gained", "爱搜索"), ("lost", "爱搜索")])
    assert await scene.rows("SELECT count(*) FROM tag_marks") == [(0,)]


async def test_a_tag_that_a_member_sets_counts_here_and_goes_with_them(scene: Scene) -> None:
    await scene.do("tag", tag="孕妈", group="人群")
    await scene.settle()
    assert await scene.carried() == {"孕妈": f"platform:{CORP}"}
    assert await scene.shown() == {scene.first: ["孕妈"], scene.second: []}, "it is not shared"
    (why,) = (await scene.tags.explain(ADMIN, await scene.customer(), "孕妈")).marks
    assert (why.actor, why.kind) == (f"{CORP}:{scene.first}", "add")
    await scene.do("tag", scene.second, tag="孕妈", group="人群")
    await scene.do("untag", tag="孕妈", group="人群")
    await scene.settle()
    assert set(await scene.carried()) == {"孕妈"}, "the other one still says so"
    await scene.do("untag", scene.second, tag="孕妈", group="人群")
    await scene.settle()
    assert await scene.carried() == {}
    assert (await scene.writes(), await scene.told()) == (0, [("gained", "孕妈"), ("lost", "孕妈")])
    audited = await scene.rows("SELECT action FROM audit_entries WHERE action LIKE 'tag.%' ORDER BY at")
    assert [action for (action,) in audited] == ["tag.add", "tag.remove"]


async def test_who_takes_a_rules_tag_away_in_wecom_is_believed_until_somebody_says_otherwise(scene: Scene) -> None:
    await scene.search()
    await scene.settle()
    await scene.do("untag", tag="爱搜索", group="兴趣")
    await scene.settle()
    assert await scene.carried() == {}
    assert await scene.shown() == {scene.first: [], scene.second: []}
    shown = await scene.tags.of_customer(ADMIN, await scene.customer())
    assert [(mark.tag, mark.source) for mark in shown.excluded] == [("爱搜索", f"platform:{CORP}")]
    writes = await scene.writes()
    assert await scene.settle() == 0
    assert await scene.writes() == writes, "nobody sets it again"
    await scene.tags.decide(ADMIN, await scene.customer(), "爱搜索", "include", "客人又来搜索")
    await scene.settle()
    assert await scene.carried() == {"爱搜索": "rule"}
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}


async def test_a_tag_by_hand_goes_to_wecom_and_an_exclusion_takes_it_back(scene: Scene) -> None:
    customer = await scene.customer()
    await scene.tags.decide(ADMIN, customer, "爱搜索", "add", "门店老客")
    await scene.tags.decide(ADMIN, customer, "只在这里", "add", "不同步")
    await scene.settle()
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}
    await scene.tags.decide(ADMIN, customer, "爱搜索", "exclude", "填错了")
    await scene.settle()
    assert await scene.shown() == {scene.first: [], scene.second: []}
    # An exclusion of Tandem's people is stronger than a member's tag.
    await scene.do("tag", tag="爱搜索", group="兴趣")
    await scene.settle()
    assert await scene.shown() == {scene.first: [], scene.second: []}
    assert set(await scene.carried()) == {"只在这里"}


@pytest.mark.parametrize("fault", ["timeout_after", "timeout_before", "5xx", "busy", "quota"])
async def test_a_push_whose_answer_got_lost_is_done_once_and_never_taken_for_a_members(
    scene: Scene, fault: str
) -> None:
    await scene.world.break_things(
        {"match": {"api": "externalcontact/mark_tag"}, "fault": fault, "times": 1, "seconds": 4}
    )
    await scene.search()
    await scene.hurry()
    assert (await scene.lookups().drain("wecom")).failed == 1
    assert (await scene.rows("SELECT problem IS NOT NULL, attempts FROM lookups")) == [(True, 1)]
    await scene.rows("UPDATE lookups SET due_at = now() RETURNING 1")
    assert await scene.settle() == 1
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}
    assert await scene.writes() == 2
    await scene.do("note", phone="13912345678")
    await scene.settle()
    assert (await scene.carried(), await scene.writes()) == ({"爱搜索": "rule"}, 2)


async def test_a_worker_that_dies_in_the_middle_leaves_nothing_double_and_nothing_undone(scene: Scene) -> None:
    await scene.world.break_things(
        {"match": {"api": "externalcontact/mark_tag"}, "fault": "timeout_after", "times": 1, "seconds": 4}
    )
    await scene.search()
    await scene.hurry()
    dying = asyncio.create_task(scene.lookups().drain("wecom"))
    for _ in range(200):
        if await scene.writes():
            break
        await asyncio.sleep(0.02)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    await scene.world.break_things()
    assert (await scene.lookups().drain("wecom")).asked == 0, "its lease holds for a while"
    await scene.rows("UPDATE lookups SET claimed_until = now() - interval '1 s' RETURNING 1")
    await scene.settle()
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}
    assert (await scene.writes(), await scene.carried()) == (2, {"爱搜索": "rule"})


async def test_a_new_contact_gets_what_the_customer_carries_and_who_comes_back_begins_anew(scene: Scene) -> None:
    await scene.search()
    await scene.settle()
    third = next(
        each.userid
        for each in next(iter(scene.world.sim.app.state.world.corps)).staff
        if each.userid not in (scene.first, scene.second)
    )
    await scene.do("befriend", third)
    await scene.settle()
    assert (await scene.shown())[third] == ["爱搜索"]
    await scene.do("unfriend", scene.second)
    await scene.world.sim.admin("POST", "/advance", json={"seconds": 5})
    await scene.do("befriend", scene.second)
    await scene.settle()
    assert (await scene.shown())[scene.second] == ["爱搜索"], "that it was gone was nobody's decision"
    assert await scene.carried() == {"爱搜索": "rule"}


async def test_a_corp_tag_that_an_administrator_deletes_takes_nobodys_tag(scene: Scene) -> None:
    await scene.search()
    await scene.do("tag", tag="孕妈", group="人群")
    await scene.settle()
    for name, group in (("爱搜索", "兴趣"), ("孕妈", "人群")):
        await scene.world.sim.admin("POST", "/corp-tags/drop", json={"tag": name, "group": group})
    await scene.do("note", phone="13912345678")
    await scene.settle()
    assert await scene.carried() == {"爱搜索": "rule"}, "what only WeCom knew is gone with the tag"
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}, "what is shared is made again"


async def test_a_rule_that_begins_to_share_brings_its_tag_to_those_who_carry_it(scene: Scene) -> None:
    await scene.publish(version="1.1.0", share="false")
    await scene.search()
    await scene.settle()
    assert await scene.shown() == {scene.first: [], scene.second: []}
    await scene.publish(version="1.2.0")
    await scene.settle()
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}
    await scene.publish(version="1.3.0", share="false")
    await scene.do("untag", tag="爱搜索", group="兴趣")
    await scene.settle()
    assert await scene.carried() == {"爱搜索": "rule"}, "what is not shared is each side's own"


async def test_who_turns_out_to_be_one_person_shows_their_tags_and_who_does_not_loses_them(scene: Scene) -> None:
    await scene.search("13700000001")
    assert await scene.settle() == 0
    ((stranger,),) = await scene.rows("SELECT customer_id FROM customer_tags WHERE held AND tag = '爱搜索'")
    customers = CustomerService(scene.live)
    merged = await customers.merge(ADMIN, await scene.customer(), [stranger], "同一人")
    await scene.settle()
    assert await scene.shown() == {scene.first: ["爱搜索"], scene.second: ["爱搜索"]}
    await customers.undo(ADMIN, merged.decision)
    await scene.settle()
    assert await scene.shown() == {scene.first: [], scene.second: []}


async def test_of_two_edits_within_one_second_that_look_alike_the_second_one_counts(scene: Scene) -> None:
    await scene.do("tag", tag="孕妈", group="人群")
    assert (await scene.lookups().drain("wecom")).asked == 0, "the second is not over in which another may follow"
    world = scene.world.sim.app.state.world
    contact = world.contacts.get(scene.external_userid)
    world.contacts.change(contact, tag_ids=())
    await scene.settle()
    assert await scene.carried() == {}
    await scene.do("tag", tag="孕妈", group="人群")
    await scene.hurry()
    lookups = scene.lookups()
    claimed = asyncio.create_task(lookups.drain("wecom"))
    await scene.do("untag", tag="孕妈", group="人群")
    await claimed
    assert await scene.rows("SELECT count(*) FROM lookups WHERE due_at IS NOT NULL") == [(1,)], "asked for meanwhile"
    await scene.settle()
    assert await scene.carried() == {}
