"""Finding the rows that only mention a person: they are read through in the order of their keys, decrypted and looked
at, so that nothing about their content has to be known beforehand.

What was damaged, so that nobody can decrypt it, holds up no other row. A key that is missing is another matter: with it
the row can be read, so whoever asked has to come again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import LargeBinary, select, tuple_, type_coerce, update

from domain.customers.traces import Traces
from domain.problems import RuntimeProblem
from storage.encryption import EncryptedJson, encrypted_type
from storage.recordsets import table_of
from storage.tables import Table
from storage.unit_of_work import Repository

log = structlog.get_logger(__name__)

_PLAIN = frozenset(
    {
        "subject",
        "subjects",
        "customer",
        "enrolled",
        "ticket",
        "reason",
        "start_problem",
        "event_id",
        "source",
        "dedupe_key",
    }
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A row that names the person. key: its primary key, a tuple where that has several columns; columns: those in
    which it does, `id` standing for its key; damaged: those that nobody can decrypt."""

    key: Any
    columns: frozenset[str]
    damaged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Looked:
    """One batch of looking. found: rows that name the person; unreadable: how many have damaged columns and name nobody
    in the others; cursor: the last key, None at the end."""

    found: Sequence[Mention]
    unreadable: int
    cursor: str | None


class Mentions(Repository):
    """Each call is one bounded batch."""

    async def after(self, row: type[Table], keys: tuple[str, ...], cursor: str, size: int, traces: Traces) -> Looked:
        """Of the next rows in the order of a key those that name the person.

        :raises ConfigurationProblem: a key of the keyring that a row was encrypted with is missing.
        """
        table = table_of(row)
        names = [table.c[name] for name in keys]
        texts = [each for each in table.columns if each.name in _PLAIN]
        sealed = [each for each in table.columns if encrypted_type(each.type)]
        columns = [*texts, *(type_coerce(each, LargeBinary).label(each.name) for each in sealed)]
        statement = select(*names, *columns).order_by(*names).limit(size)
        if cursor:
            statement = statement.where(tuple_(*names) > tuple_(*json.loads(cursor)))
        rows = (await self.session.execute(statement)).mappings().all()
        keyring = self.work.database.keyring
        found: list[Mention] = []
        unreadable: list[Any] = []
        for one in rows:
            damaged: set[str] = set()
            places = {each.name for each in texts if traces.are_in(_text(one[each.name]))}
            for each in sealed:
                stored, context = one[each.name], f"{table.name}.{each.name}"
                try:
                    if stored is not None and traces.are_in(keyring.decrypt(bytes(stored), context)):
                        places.add(each.name)
                except RuntimeProblem:
                    damaged.add(each.name)
            key = tuple(one[name] for name in keys)
            if any(traces.are_in(str(part)) for part in key):
                places.add("id")
            if places:
                found.append(Mention(key if len(key) > 1 else key[0], frozenset(places), frozenset(damaged)))
            elif damaged:
                unreadable.append(key)
        if unreadable:
            log.warning("rows cannot be decrypted", table=table.name, keys=unreadable)
        last = json.dumps([rows[-1][name] for name in keys]) if len(rows) == size else None
        return Looked(found, len(unreadable), last)

    async def empty_damaged(self, row: type[Table], found: Sequence[Mention]) -> None:
        """Empty what nobody can decrypt in these rows of a table with one key, so that they can be loaded."""
        table = table_of(row)
        (key,) = table.primary_key.columns
        for each in found:
            if each.damaged:
                columns = [table.c[name] for name in each.damaged]
                values = {column.name: None if column.nullable else _nothing(column.type) for column in columns}
                await self.session.execute(update(row).where(key == each.key).values(**values))


def _nothing(column_type: Any) -> Any:
    return {} if isinstance(column_type, EncryptedJson) else ""


def _text(value: Any) -> str | None:
    return "\n".join(value) if isinstance(value, list) else value
