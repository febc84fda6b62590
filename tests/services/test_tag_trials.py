"""A version of a rule or grading for a share of the customers, and back: who has it, who is looked at, what it says."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from domain.releases import ReleaseState, choose_version
from services.customer_tags import CustomerTagService
from services.customers import CustomerService
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.tag_rules import RuleBook
from services.tag_trials import TagTrials, TriedKind
from services.tagging import Tagging, shared_tags
from storage.customer_grades import CustomerGrades
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.people import add_customers, add_records, order
from tests.services.test_tagging import OPS, happens, outbox, publish, rule

DAY = timedelta(days=1)
Person = tuple[UUID, int]


def bought(count: int, version: str, **more: str) -> SourceText:
    return rule(f"all: [ {{ orders: {{ count: {{ at-least: {count} }} }} }} ]", version=version, **more)


def staged(first: str, version: str) -> SourceText:
    stages = f"{{ name: {first}, when: {{ all: [ {{ orders: {{}} }} ] }} }}, {{ name: 路人 }}"
    return SourceText("g.yaml", f"grading: {{ name: g, version: {version}, title: t, stages: [ {stages} ] }}")


async def upload(database: Database, text: SourceText) -> None:
    await DefinitionService(database).upload(OPS, [text])


async def release(
    database: Database, version: str, share: float, *, kind: TriedKind = "tag-rule", name: str = "r"
) -> None:
    trials = TagTrials(database, DefinitionService(database))
    await trials.release(OPS, kind, name, version, share)


async def people(database: Database, count: int) -> list[Person]:
    """Customers with three orders each."""
    async with UnitOfWork(database) as work:
        found = await add_customers(work, count)
        await add_records(work, [(key, *order(f"{key}-{number}", work.now)) for _, key in found for number in range(3)])
    return found


async def looked_at(database: Database) -> int:
    """Let the backfill go through; how many customers it looked at."""
    seen = 0
    while not (checked := await Tagging(database).backfill(limit=7)).complete:
        seen += checked.customers
    return seen


async def carriers(database: Database, tag: str = "标签") -> set[UUID]:
    async with UnitOfWork(database) as work:
        return set(await CustomerTags(work).holders(tag, None, 1_000))


def drawn(some: Sequence[Person], share: float, key: str = "r") -> set[UUID]:
    """Whom flows would draw for this share."""
    state = ReleaseState(stable="stable", candidate="tried", share_percent=share)
    return {who for who, _ in some if choose_version(state, key, f"customer:{who}") == "tried"}


async def test_only_whose_version_changes_are_looked_at_again(database: Database, clock: SteppedClock) -> None:
    some = await people(database, 60)
    await publish(database, bought(5, "1.0.0"))
    assert (await looked_at(database), await carriers(database)) == (60, set())
    await upload(database, bought(3, "1.1.0"))
    tenth, half = drawn(some, 30), drawn(some, 60)
    assert 0 < len(tenth) < len(half) < 60
    shares = {30.0: (tenth, len(tenth)), 60.0: (half, len(half - tenth)), 0.0: (set(), len(half))}
    for share, (having, moved) in shares.items():
        await release(database, "1.1.0", share)
        assert (await looked_at(database), await carriers(database)) == (moved, having)
    await release(database, "1.1.0", 30)
    await looked_at(database)
    await release(database, "1.1.0", 100)
    assert await looked_at(database) == 60 - len(tenth)
    assert await carriers(database) == {who for who, _ in some}
    (state,) = await CustomerTagService(database).rules(OPS)
    assert (state.version, state.candidate, state.share_percent, state.complete) == ("1.1.0", None, None, True)


async def test_a_share_that_changes_meanwhile_forgets_nobody(database: Database, clock: SteppedClock) -> None:
    some = await people(database, 40)
    await publish(database, bought(5, "1.0.0"))
    await looked_at(database)
    await upload(database, bought(3, "1.1.0"))
    await release(database, "1.1.0", 50)
    await Tagging(database).backfill(limit=5)
    await release(database, "1.1.0", 60)
    await Tagging(database).backfill(limit=5)
    await release(database, "1.1.0", 20)
    await looked_at(database)
    assert await carriers(database) == drawn(some, 20)


async def test_records_time_and_decisions_go_by_the_version_of_the_customer(
    database: Database, clock: SteppedClock
) -> None:
    silent = "all: [ {{ orders: {{ latest: {{ older-than: P{}D }} }} }} ]"
    await publish(database, rule(silent.format(30), version="1.0.0"))
    some = await people(database, 30)
    await upload(database, rule(silent.format(10), version="1.1.0"))
    await release(database, "1.1.0", 40)
    async with UnitOfWork(database) as work:
        await Tagging(database).evaluate(work, frozenset(who for who, _ in some), frozenset({"orders"}))
    having = drawn(some, 40)
    assert 0 < len(having) < 30
    clock.advance(days=10)
    assert (await Tagging(database).check_due()).gained == len(having)
    assert await carriers(database) == having
    # Orders come in for one of each: only the version of the customer has its say.
    who, key = next(each for each in some if each[0] in having)
    assert await happens(database, who, key, order("new", clock.now), kinds="orders") == ["-标签"]
    clock.advance(days=20)
    await Tagging(database).check_due()
    assert await carriers(database) == {each for each, _ in some}
    # An exclusion that is taken back lets the customer's own version speak again.
    clock.advance(days=-15)
    tags = CustomerTagService(database)
    other = next(each for each, _ in some if each not in having)
    for decision in ("exclude", "include"):
        await tags.decide(an_actor("wang", Role.SUPERVISOR), other, "标签", decision, "试")
    assert other not in await carriers(database)


async def test_why_names_the_version_that_decided(database: Database, clock: SteppedClock) -> None:
    some = await people(database, 30)
    await publish(database, bought(2, "1.0.0"))
    await looked_at(database)
    before = await outbox(database)
    await upload(database, bought(3, "1.1.0"))
    await release(database, "1.1.0", 50)
    tags = CustomerTagService(database)
    inside = next(who for who, _ in some if who in drawn(some, 50))
    outside = next(who for who, _ in some if who not in drawn(some, 50))
    # Until the backfill came by, what stands there was decided by the version before.
    (reason,) = (await tags.explain(OPS, inside, "标签")).rules
    assert (reason.version, reason.decides, reason.share_percent) == ("1.0.0", "1.1.0", 50)
    await looked_at(database)
    for who, version in ((inside, "1.1.0"), (outside, "1.0.0")):
        (reason,) = (await tags.explain(OPS, who, "标签")).rules
        assert (reason.version, reason.decides, reason.held) == (version, version, True)
    # Whoever keeps the tag under the other version neither gained nor lost it.
    assert await outbox(database) == before
    (state,) = await tags.rules(OPS)
    assert (state.version, state.candidate, state.share_percent, state.complete) == ("1.0.0", "1.1.0", 50, True)


async def test_a_rule_that_is_new_is_tried_out_and_taken_back(database: Database, clock: SteppedClock) -> None:
    some = await people(database, 30)
    await upload(database, bought(3, "1.0.0"))
    await release(database, "1.0.0", 50)
    having = drawn(some, 50)
    assert await looked_at(database) == len(having)
    assert await carriers(database) == having
    tags = CustomerTagService(database)
    outside = next(who for who, _ in some if who not in having)
    (reason,) = (await tags.explain(OPS, outside, "标签")).rules
    assert (reason.decides, reason.held, reason.share_percent) == (None, False, 50)
    await release(database, "1.0.0", 0)
    assert (await looked_at(database), await carriers(database)) == (len(having), set())


async def test_of_two_who_become_one_the_id_that_stays_decides(database: Database, clock: SteppedClock) -> None:
    some = await people(database, 40)
    await publish(database, bought(7, "1.0.0"))
    await upload(database, bought(3, "1.1.0"))
    await release(database, "1.1.0", 50)
    await looked_at(database)
    having = drawn(some, 50)
    inside = [who for who, _ in some if who in having][:2]
    outside = [who for who, _ in some if who not in having][:2]
    customers = CustomerService(database)
    for first, second in (inside[0], outside[0]), (outside[1], inside[1]):
        merged = await customers.merge(an_actor("wang", Role.SUPERVISOR), first, [second], "同一人")
        (stays,) = merged.customers
        (former,) = {first, second} - {stays}
        # Six orders now: enough for the version tried out, too few for the one in force.
        assert (stays in await carriers(database)) is (stays in having)
        (reason,) = (await CustomerTagService(database).explain(OPS, former, "标签")).rules
        assert reason.decides == ("1.1.0" if stays in having else "1.0.0")


async def test_gradings_are_tried_out_as_rules_are(database: Database, clock: SteppedClock) -> None:
    some = await people(database, 30)
    await publish(database, staged("老客", "1.0.0"))
    assert await looked_at(database) == 30
    await upload(database, staged("贵客", "1.1.0"))
    await release(database, "1.1.0", 40, kind="grading", name="g")
    having = drawn(some, 40, "grading:g")
    assert await looked_at(database) == len(having) > 0
    async with UnitOfWork(database) as work:
        for who, _ in some:
            (grade,) = await CustomerGrades(work).of_customer(who)
            assert (grade.grade, grade.version) == (("贵客", "1.1.0") if who in having else ("老客", "1.0.0"))
    (reason,) = (await CustomerTagService(database).explain(OPS, min(having), "贵客")).grades
    assert (reason.version, reason.grade) == ("1.1.0", "贵客")
    await release(database, "1.1.0", 0, kind="grading", name="g")
    assert await looked_at(database) == len(having)
    async with UnitOfWork(database) as work:
        assert {(await CustomerGrades(work).of_customer(who))[0].grade for who, _ in some} == {"老客"}


async def test_an_rfm_grading_is_tried_out_once_it_was_measured(database: Database, clock: SteppedClock) -> None:
    def ranked(word: str, version: str) -> SourceText:
        rfm = f"quantiles: [50], within: P365D, segments: [ {{ name: {word} }} ]"
        return SourceText("g.yaml", f"grading: {{ name: g, version: {version}, title: t, rfm: {{ {rfm} }} }}")

    some = await people(database, 20)
    await publish(database, ranked("买家", "1.0.0"))
    await Tagging(database).measure()
    assert await looked_at(database) == 20
    await upload(database, ranked("顾客", "1.1.0"))
    await release(database, "1.1.0", 50, kind="grading", name="g")
    assert await looked_at(database) == 0
    await Tagging(database).measure()
    having = drawn(some, 50, "grading:g")
    assert await looked_at(database) == len(having)
    async with UnitOfWork(database) as work:
        grades = {who: (await CustomerGrades(work).of_customer(who))[0].grade for who, _ in some}
    assert grades == {who: "顾客" if who in having else "买家" for who, _ in some}


async def test_a_preview_speaks_of_a_share(database: Database, clock: SteppedClock) -> None:
    some = await people(database, 30)
    tags = CustomerTagService(database)
    text = bought(3, "1.0.0").text
    assert (await tags.preview(OPS, text)).gained == 30
    found = await tags.preview(OPS, text, share_percent=40)
    assert (found.gained, found.examined, found.share_percent) == (len(drawn(some, 40)), 30, 40)


async def test_publishing_ends_what_is_tried_out_and_sharing_goes_by_the_version_in_force(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, bought(3, "1.0.0", more="share: true,"))
    await upload(database, bought(3, "1.1.0", tag="新名", more="share: true, group: 新组,"))
    await release(database, "1.1.0", 10)
    async with UnitOfWork(database) as work:
        assert shared_tags(await RuleBook().current(work)) == {"标签": "Tandem", "新名": "新组"}
    await publish(database, bought(4, "1.0.1"))
    async with UnitOfWork(database) as work:
        (live,) = await RuleBook().current(work)
    assert (live.live.version, live.candidate) == ("1.0.1", None)


async def test_what_makes_no_sense_is_refused(database: Database, clock: SteppedClock) -> None:
    await publish(database, bought(3, "1.0.0"))
    await upload(database, bought(4, "1.1.0"))
    with pytest.raises(ConflictProblem, match="stable one already"):
        await release(database, "1.0.0", 10)
    with pytest.raises(NotFoundProblem):
        await release(database, "9.0.0", 10)
    for share in (-1.0, 100.5, float("nan")):
        with pytest.raises(ValidationProblem):
            await release(database, "1.1.0", share)
    trials = TagTrials(database, DefinitionService(database, four_eyes=True), four_eyes=True)
    with pytest.raises(AuthorizationProblem):
        await trials.release(OPS, "tag-rule", "r", "1.1.0", 10)
    with pytest.raises(AuthorizationProblem):
        await trials.release(an_actor("li", Role.AGENT), "tag-rule", "r", "1.1.0", 10)
    async with UnitOfWork(database) as work:
        assert [each.candidate for each in await RuleBook().current(work)] == [None]
