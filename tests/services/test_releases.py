import pytest

from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.release_book import ReleaseBook
from services.releases import ReleaseService
from storage.audit import AuditLog
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.house import a_flow

OPS = an_actor("ops-li", Role.OPS)
FLOW = ("shop", "refund")
TRIGGERED = "schedule:\n  on:\n    one:\n      with: {type: tandem.refund.created}\n"
SUBJECTS = [f"refund:{number}" for number in range(1_000)]


@pytest.fixture
async def releases(database: Database) -> ReleaseService:
    """Three published versions of one flow; the last one listens to nothing."""
    definitions = DefinitionService(database)
    texts = [
        a_flow("refund", "- a:\n    set: {v: 1}", version="1.0.0", head=TRIGGERED),
        a_flow("refund", "- a:\n    set: {v: 2}", version="1.1.0", head=TRIGGERED),
        a_flow("refund", "- a:\n    set: {v: 3}", version="1.2.0"),
    ]
    await definitions.upload(OPS, [SourceText("refund.yaml", text) for text in texts])
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await definitions.publish(OPS, ("flow", *FLOW, version))
    return ReleaseService(database)


async def _shares(database: Database, book: ReleaseBook) -> dict[str, float]:
    async with UnitOfWork(database) as work:
        snapshot = await book.current(work)
    chosen = [snapshot.choose(*FLOW, subject) for subject in SUBJECTS]
    versions = [version.version for version in chosen if version]
    return {version: versions.count(version) / len(SUBJECTS) for version in sorted(set(versions))}


async def test_a_candidate_grows_becomes_stable_and_is_rolled_back(
    releases: ReleaseService, database: Database
) -> None:
    book = ReleaseBook()
    assert await _shares(database, book) == {}
    await releases.release(OPS, *FLOW, "1.0.0", 100)
    assert await _shares(database, book) == {"1.0.0": 1.0}
    await releases.release(OPS, *FLOW, "1.1.0", 0)
    assert await _shares(database, book) == {"1.0.0": 1.0}
    await releases.release(OPS, *FLOW, "1.1.0", 10)
    shares = await _shares(database, book)
    assert 0.07 < shares["1.1.0"] < 0.13
    await releases.release(OPS, *FLOW, "1.1.0", 100)
    assert await _shares(database, book) == {"1.1.0": 1.0}
    rolled_back = await releases.roll_back(OPS, *FLOW, "refunds went wrong")
    assert (rolled_back.stable, rolled_back.reason) == ("1.0.0", "refunds went wrong")
    assert await _shares(database, book) == {"1.0.0": 1.0}
    history = (await releases.history(OPS, *FLOW, PageRequest())).items
    assert [(each.action, each.stable, each.candidate, each.share_percent) for each in history] == [
        ("rollback", "1.0.0", None, 0),
        ("release", "1.1.0", None, 0),
        ("release", "1.0.0", "1.1.0", 10),
        ("release", "1.0.0", "1.1.0", 0),
        ("release", "1.0.0", None, 0),
    ]


async def test_releasing_what_is_released_adds_nothing(releases: ReleaseService) -> None:
    first = await releases.release(OPS, *FLOW, "1.0.0", 100)
    assert await releases.release(OPS, *FLOW, "1.0.0", 100) == first


async def test_only_published_versions_are_released(releases: ReleaseService, database: Database) -> None:
    with pytest.raises(NotFoundProblem):
        await releases.release(OPS, *FLOW, "9.0.0", 100)
    draft = a_flow("refund", "- a:\n    set: {v: 4}", version="2.0.0")
    await DefinitionService(database).upload(OPS, [SourceText("draft.yaml", draft)])
    with pytest.raises(ConflictProblem, match="not published yet"):
        await releases.release(OPS, *FLOW, "2.0.0", 100)


async def test_triggers_are_those_of_what_is_released(releases: ReleaseService, database: Database) -> None:
    async def triggering() -> set[str]:
        async with UnitOfWork(database) as work:
            snapshot = await ReleaseBook().current(work)
        return {trigger.version for trigger in snapshot.triggers("tandem.refund.created")}

    await releases.release(OPS, *FLOW, "1.0.0", 100)
    await releases.release(OPS, *FLOW, "1.1.0", 50)
    assert await triggering() == {"1.0.0", "1.1.0"}
    await releases.release(OPS, *FLOW, "1.2.0", 100)
    assert await triggering() == set()
    await releases.roll_back(OPS, *FLOW)
    assert await triggering() == {"1.0.0"}


async def test_a_release_needs_permission_and_is_audited(releases: ReleaseService, database: Database) -> None:
    with pytest.raises(AuthorizationProblem):
        await releases.release(an_actor("agent", Role.AGENT), *FLOW, "1.0.0", 100)
    await releases.release(OPS, *FLOW, "1.0.0", 100, "first")
    async with UnitOfWork(database) as work:
        entry = (await AuditLog(work).list(OPS.scope, PageRequest(), action="release.release")).items[0]
    assert (entry.actor, entry.target, entry.detail["stable"]) == ("ops-li", "flow:shop/refund", "1.0.0")
