import pytest

from domain.access import Role
from domain.dsl.secrets import placeholder
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from services.secrets import SecretReader, SecretStore
from storage.engine import Database
from tests.actors import an_actor

ADMIN = an_actor("root")


@pytest.fixture
def store(database: Database) -> SecretStore:
    return SecretStore(database)


@pytest.fixture
def reader(database: Database) -> SecretReader:
    return SecretReader(database)


async def test_a_run_learns_names_and_an_activity_values(store: SecretStore, reader: SecretReader) -> None:
    await store.set(ADMIN, "token", "t-1")
    await store.set(ADMIN, "petstore", {"username": "li", "password": "p-1"})
    await store.set(ADMIN, "token", "t-2")
    assert await reader.describe() == {"petstore": ("password", "username"), "token": None}
    assert await reader.resolve("token") == "t-2"
    assert await reader.resolve("petstore") == {"username": "li", "password": "p-1"}


async def test_placeholders_are_filled_in_wherever_they_stand(store: SecretStore, reader: SecretReader) -> None:
    await store.set(ADMIN, "token", "t-1")
    await store.set(ADMIN, "petstore", {"password": "p-1"})
    value = {
        "headers": {"authorization": f"Bearer {placeholder('token')}"},
        "parts": [placeholder("petstore", "password"), 7, None],
    }
    assert await reader.reveal(value) == {"headers": {"authorization": "Bearer t-1"}, "parts": ["p-1", 7, None]}
    assert await reader.reveal({"plain": 1}) == {"plain": 1}


@pytest.mark.parametrize("wanted", [("none", None), ("token", "member"), ("petstore", None), ("petstore", "other")])
async def test_a_missing_secret_is_the_specifications_authorization_error(
    store: SecretStore, reader: SecretReader, wanted: tuple[str, str | None]
) -> None:
    await store.set(ADMIN, "token", "t-1")
    await store.set(ADMIN, "petstore", {"password": "p-1"})
    with pytest.raises(AuthorizationProblem) as refusal:
        await reader.reveal(placeholder(*wanted))
    problem = refusal.value.problem
    assert (problem.status, problem.type.rsplit("/", 1)[1]) == (403, "authorization")
    assert "p-1" not in str(problem.as_dict())


async def test_people_see_names_but_no_values(store: SecretStore) -> None:
    await store.set(ADMIN, "petstore", {"password": "p-1"})
    described = await store.list(an_actor("li", Role.OPS))
    assert [(secret.name, secret.members, secret.updated_by) for secret in described] == [
        ("petstore", ("password",), "root")
    ]
    assert "p-1" not in repr(described)


async def test_removing_is_for_who_may_and_for_what_is_there(store: SecretStore, reader: SecretReader) -> None:
    await store.set(ADMIN, "token", "t-1")
    with pytest.raises(AuthorizationProblem):
        await store.remove(an_actor("li", Role.OPS), "token")
    await store.remove(ADMIN, "token")
    with pytest.raises(AuthorizationProblem):
        await reader.resolve("token")
    with pytest.raises(NotFoundProblem):
        await store.remove(ADMIN, "token")


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), ("1st", "x"), ("a/b", "x"), ("a b", "x"), ("a", ""), ("a", {}), ("a", {"k": ""}), ("a", "x" * 70_000)],
)
async def test_a_bad_secret_is_refused(store: SecretStore, name: str, value: str | dict[str, str]) -> None:
    with pytest.raises(ValidationProblem):
        await store.set(ADMIN, name, value)
