"""Connections of one process: to the database, with the keys of its personal data, and to Temporal."""

from collections.abc import Sequence

from temporalio.client import Client, Interceptor
from temporalio.service import GrpcCompression

from domain.dsl.definition import parse_definition
from domain.dsl.library import LIBRARY
from domain.dsl.program import Program
from runtime.keys import parse_keyring
from runtime.payload_codecs import data_converter
from runtime.settings import Settings
from runtime.temporal_client import temporal_client
from storage.definitions import Definitions
from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

CONNECTIONS = 10
"""To the database, beside those of the lanes of the inbox, and of those who wait to ask a platform."""


def open_database(settings: Settings, *, askers: int = 0) -> Database:
    """The database of the settings, its personal data readable with their keys.

    Temporal may give every lane of the inbox to one worker: each has a connection, and the others still have theirs.
    So has each of the `askers`, one for each platform that can be asked: it keeps one for as long as it waits.
    """
    keys = settings.field_keys
    keyring = Keyring(parse_keyring(keys.get_secret_value() if keys else ""))
    return Database(settings.required_database_url(), keyring, pool_size=CONNECTIONS + settings.inbox_lanes + askers)


async def connect_temporal(
    settings: Settings, database: Database, interceptors: Sequence[Interceptor] = (), *, lazy: bool = False
) -> Client:
    """A Temporal client that encrypts payloads and knows definitions by digest; raises as `temporal_client`."""

    async def fetch(digest: str) -> Program | None:
        async with UnitOfWork(database) as work:
            text = await Definitions(work).text(digest)
        if text is None:
            return None
        definition = parse_definition(text)
        return Program(definition.flow, definition.data)

    keys = settings.payload_keys
    keyring = parse_keyring(keys.get_secret_value()) if keys else {}
    return await temporal_client(
        settings,
        data_converter=data_converter(keyring, fetch, LIBRARY),
        interceptors=interceptors,
        grpc_compression=GrpcCompression.NONE,
        lazy=lazy,
    )
