"""Finding the rows that only mention a person: they are read through in the order of their keys, decrypted and looked
at, so that nothing about their content has to be known beforehand."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import LargeBinary, select, tuple_, type_coerce

from domain.customers.traces import Traces
from storage.encryption import encrypted_type
from storage.recordsets import table_of
from storage.tables import Table
from storage.unit_of_work import Repository

_PLAIN = frozenset(
    {"subject", "subjects", "customer", "enrolled", "ticket", "reason", "start_problem", "event_id", "source"}
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A row that names the person. key: its primary key, a tuple where that has several columns; columns: those in
    which it does, `id` standing for its key."""

    key: Any
    columns: frozenset[str]


class Mentions(Repository):
    """Reads only; each call is one bounded batch."""

    async def after(
        self, row: type[Table], keys: tuple[str, ...], cursor: str, size: int, traces: Traces
    ) -> tuple[list[Mention], str | None]:
        """Of the next rows in the order of a key those that name the person; and the last key, None at the end."""
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
        found = []
        for one in rows:
            places = {each.name for each in texts if traces.are_in(_text(one[each.name]))}
            for each in sealed:
                stored, context = one[each.name], f"{table.name}.{each.name}"
                if stored is not None and traces.are_in(keyring.decrypt(bytes(stored), context)):
                    places.add(each.name)
            key = tuple(one[name] for name in keys)
            if any(traces.are_in(str(part)) for part in key):
                places.add("id")
            if places:
                found.append(Mention(key if len(key) > 1 else key[0], frozenset(places)))
        return found, (json.dumps([rows[-1][name] for name in keys]) if len(rows) == size else None)


def _text(value: Any) -> str | None:
    return "\n".join(value) if isinstance(value, list) else value
