import pytest

from domain.access import Role, Scope
from domain.organisation import Unit
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem
from services.organisation import OrganisationTree
from storage.engine import Database
from storage.paging import PageRequest
from tests.actors import an_actor

ROOT = an_actor("root")


async def test_the_tree_grows_from_headquarters_and_a_branch_sees_itself(database: Database) -> None:
    tree = OrganisationTree(database)
    for path in ("/east/", "/eastern/", "/east/store-1/", "/west/"):
        await tree.add(ROOT, Unit(path=path, name=path))
    everything = await tree.list(ROOT, PageRequest())
    assert [unit.path for unit in everything.items] == ["/", "/east/", "/east/store-1/", "/eastern/", "/west/"]
    east = an_actor("east-admin", Role.ADMIN, scope=Scope.of_branch("/east/"))
    await tree.add(east, Unit(path="/east/store-2/", name="Store 2"))
    seen = [unit.path for unit in (await tree.list(east, PageRequest())).items]
    assert seen == ["/east/", "/east/store-1/", "/east/store-2/"]
    with pytest.raises(AuthorizationProblem):
        await tree.add(east, Unit(path="/west/store-1/", name="Store 1"))


async def test_a_unit_needs_one_above_it_and_a_path_of_its_own(database: Database) -> None:
    tree = OrganisationTree(database)
    with pytest.raises(NotFoundProblem, match="/east/"):
        await tree.add(ROOT, Unit(path="/east/store-1/", name="Store 1"))
    with pytest.raises(ConflictProblem):
        await tree.add(ROOT, Unit(path="/", name="Another headquarters"))
    with pytest.raises(AuthorizationProblem):
        await tree.add(an_actor("li", Role.OPS), Unit(path="/east/", name="East"))
