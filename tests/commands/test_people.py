"""The commands as a person runs them: a process, its output, its exit code."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import typer
from typer.testing import CliRunner

from commands.audit import audit
from commands.credentials import secret, token
from commands.migrate import migrate
from commands.people import user
from domain.problems import ConflictProblem, NotFoundProblem, ProblemError, ValidationProblem
from services.audit import seal_pending
from storage.encryption import Keyring
from storage.engine import Database
from tests.commands.terminal import printed

PASSWORD = "correct horse battery"

app = typer.Typer()
app.add_typer(user, name="user")
app.add_typer(token, name="token")
app.add_typer(secret, name="secret")
app.add_typer(audit, name="audit")
app.command()(migrate)


pytestmark = pytest.mark.usefixtures("environment")


def tandem(*arguments: str, stdin: str = "") -> str:
    return printed(app, *arguments, stdin=stdin)


def add(login: str, *options: str, role: str = "agent") -> None:
    tandem("user", "add", login, "--name", "李娜", "--role", role, "--scope", "everything", *options, stdin=PASSWORD)


def test_a_user_from_the_first_day_to_the_last() -> None:
    add("root", role="admin")
    add("lina", "--queue", "warehouse")
    tandem("user", "roles", "lina", "--role", "ops", "--scope", "branch:/")
    listed = {person["login"]: person for person in json.loads(tandem("user", "list", "--json"))}
    assert listed["lina"] == {
        "login": "lina",
        "name": "李娜",
        "roles": ["ops"],
        "scope": "branch:/",
        "queues": ["warehouse"],
        "active": True,
    }
    assert "李娜" in tandem("user", "list")
    tandem("user", "password", "lina", stdin="another horse battery\n")
    tandem("user", "disable", "lina")
    assert not {person["login"]: person for person in json.loads(tandem("user", "list", "--json"))}["lina"]["active"]
    tandem("user", "enable", "lina")


def test_a_token_alone_is_on_the_standard_output() -> None:
    add("lina")
    text = tandem("token", "issue", "lina", "--name", "import", "--permission", "tasks.read", "--days", "7").strip()
    assert text.startswith("tandem_")
    assert len(text.split()) == 1
    listed = json.loads(tandem("token", "list", "--login", "lina", "--json"))
    assert [(one["name"], one["permissions"], one["usable"]) for one in listed] == [("import", ["tasks.read"], True)]
    assert text not in tandem("token", "list")
    tandem("token", "revoke", listed[0]["prefix"])
    assert not json.loads(tandem("token", "list", "--json"))[0]["usable"]


def test_a_secret_never_comes_back() -> None:
    tandem("secret", "set", "token", stdin="in-the-clear\n")
    tandem("secret", "set", "petstore", "--json", stdin='{"username": "li", "password": "in-the-clear"}')
    listed = json.loads(tandem("secret", "list", "--json"))
    assert [(one["name"], one["members"]) for one in listed] == [
        ("petstore", ["password", "username"]),
        ("token", None),
    ]
    assert "in-the-clear" not in tandem("secret", "list")
    assert listed[0]["by"].startswith("system:cli/")
    tandem("secret", "rekey")
    tandem("secret", "remove", "token")
    with pytest.raises(NotFoundProblem):
        tandem("secret", "remove", "token")


@pytest.mark.parametrize(
    ("arguments", "stdin", "problem"),
    [
        (["user", "add", "Li", "--name", "x", "--role", "agent", "--scope", "everything"], PASSWORD, ValidationProblem),
        (["user", "add", "li", "--name", "x", "--role", "agent", "--scope", "all"], PASSWORD, ValidationProblem),
        (["user", "add", "li", "--name", "x", "--role", "agent", "--scope", "branch:east"], "", ValidationProblem),
        (["user", "add", "li", "--name", "x", "--role", "agent", "--scope", "shops:"], "", ValidationProblem),
        (["user", "add", "li", "--name", "x", "--role", "agent", "--scope", "own"], "", ValidationProblem),
        (["user", "add", "li", "--name", "x", "--role", "agent", "--scope", "own"], "short", ValidationProblem),
        (["user", "disable", "nobody"], "", NotFoundProblem),
        (["user", "roles", "nobody", "--role", "ops"], "", NotFoundProblem),
        (["token", "issue", "nobody", "--name", "x"], "", NotFoundProblem),
        (["token", "revoke", "nothing"], "", NotFoundProblem),
        (["secret", "set", "petstore", "--json"], "not json", ValidationProblem),
        (["secret", "set", "token"], "", ValidationProblem),
    ],
)
def test_a_mistake_is_a_refusal_in_two_languages(arguments: list[str], stdin: str, problem: type[ProblemError]) -> None:
    with pytest.raises(problem) as refusal:
        tandem(*arguments, stdin=stdin)
    message = refusal.value.problem.as_dict()["message"]
    assert message["zh"] != message["en"]


def test_the_last_administrator_stays() -> None:
    add("root", role="admin")
    with pytest.raises(ConflictProblem):
        tandem("user", "disable", "root")


async def test_the_audit_log_is_verified_and_tampering_named(database_url: str) -> None:
    await asyncio.to_thread(add, "root", role="admin")
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    await seal_pending(database)
    await database.close()
    head = (await asyncio.to_thread(tandem, "audit", "verify")).strip().splitlines()[-1]
    assert head.startswith("1:")
    await asyncio.to_thread(tandem, "audit", "verify", "--head", head)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("ALTER TABLE audit_entries DISABLE TRIGGER ALL")
        await connection.execute("UPDATE audit_entries SET actor = 'nobody'")
    result = await asyncio.to_thread(CliRunner().invoke, app, ["audit", "verify"])
    assert result.exit_code == 1
    assert "内容被改动" in result.stdout
    with pytest.raises(ValidationProblem):
        await asyncio.to_thread(tandem, "audit", "verify", "--head", "nonsense")


def test_migrate_says_what_is_pending_and_does_it(empty_database_url: str) -> None:
    runner = CliRunner()
    behind = runner.invoke(app, ["migrate", "--check"])
    assert behind.exit_code == 1
    assert "0001_access" in behind.stdout
    assert "0001_access" in tandem("migrate")
    assert runner.invoke(app, ["migrate", "--check"]).exit_code == 0
    assert "0001" not in tandem("migrate")


def test_a_person_never_sees_a_traceback(tmp_path: Path) -> None:
    environment = os.environ | {"TANDEM_DATABASE_URL": f"postgresql://nobody@/tandem?host={tmp_path}"}
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-m", "cli", "migrate"],
        env=environment | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1
    assert "无法连接数据库" in ran.stderr
    assert "cannot be reached" in ran.stderr
    assert "Traceback" not in ran.stderr
