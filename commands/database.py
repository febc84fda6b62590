"""The database for commands: the one in the settings, else the one of the instance that runs here."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from commands.console import both, only_warnings
from domain.access import Actor, Role, system_actor
from domain.problems import Text
from runtime.configuration import connected_settings, with_secrets
from runtime.keys import parse_keyring
from runtime.settings import Settings
from runtime.settings_source import read_settings
from services.access import Access
from storage.encryption import Keyring
from storage.engine import Database

Result = TypeVar("Result")
AsDirector = Annotated[
    bool, typer.Option("--director", help="以总监身份复核超过限额的，记入审计 / as a director, beyond all limits")
]
LARGEST_NUMBER = 2**63 - 1
"""Of a row: what is beyond is refused before the database would choke on it."""


def database_settings() -> Settings:
    """Settings with the address of a database and with all secrets; raises ConfigurationProblem."""
    settings = read_settings()
    return connected_settings() if settings.embedded_database else with_secrets(settings)


def open_database(settings: Settings, *, pool_size: int = 2) -> Database:
    """The database of complete settings."""
    keys = settings.field_keys.get_secret_value() if settings.field_keys else ""
    return Database(settings.required_database_url(), Keyring(parse_keyring(keys)), pool_size=pool_size)


def open_access(settings: Settings, database: Database) -> Access:
    """Sessions and tokens under the pepper of complete settings."""
    pepper = settings.token_pepper.get_secret_value() if settings.token_pepper else ""
    return Access(database, pepper)


def with_database(work: Callable[[Database, Settings], Awaitable[Result]]) -> Result:
    """Do something with the database and close it; for a command's whole body."""
    settings = database_settings()

    async def run() -> Result:
        database = open_database(settings)
        try:
            return await work(database, settings)
        finally:
            await database.close()

    with only_warnings():
        return asyncio.run(run())


def say(settings: Settings, text: Text, *, err: bool = False) -> None:
    """One sentence in both languages, the person's own first."""
    typer.echo(both(text, settings.locale), err=err)


def command_line_actor(role: Role = Role.ADMIN) -> Actor:
    """Whoever sits at this machine, in one role: stands in the audit log as `system:cli/<account>`."""
    return system_actor(f"cli/{account_here()}", role)


def approving_actor(*, as_director: bool) -> Actor:
    """Whoever approves at this machine: within the limits of approvers, unless they say that they are a director."""
    return command_line_actor(Role.DIRECTOR if as_director else Role.APPROVER)


def account_here() -> str:
    """Whose process it is, by the system: the environment (`LOGNAME`, `USER`) says whatever a person writes there."""
    if sys.platform == "win32":
        return os.getlogin()
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"
