"""Rows by id, written down as they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from simulator.entities import Row
from simulator.journal import Append

R = TypeVar("R", bound=Row)


class Collection(Generic[R]):
    """One kind of rows; a change is appended to the journal before it is seen by others."""

    def __init__(self, kind: str, model: type[R], append: Append, index: Callable[[R], str] | None = None) -> None:
        self.kind = kind
        self._index = index
        self._ids_by_key: dict[str, dict[str, None]] = {}
        self._model = model
        self._append = append
        self._rows: dict[str, R] = {}
        self._changed: set[str] = set()

    def seed(self, row: R) -> R:
        """Adds a row that the seed reproduces, so it need not be written down."""
        self._keep(row)
        return row

    def put(self, row: R) -> R:
        """Adds or replaces a row and writes it down."""
        self._append({"kind": self.kind, "row": row.model_dump(mode="json")})
        self._keep(row)
        self._changed.add(row.id)
        return row

    def change(self, row: R, **values: Any) -> R:
        """Replaces some values of a row; returns the new row."""
        return self.put(row.model_copy(update=values))

    def remove(self, row_id: str) -> None:
        """Forgets a row."""
        if row_id in self._rows:
            self._drop(row_id)
            self._append({"kind": self.kind, "gone": row_id})
            self._changed.discard(row_id)

    def get(self, row_id: str) -> R | None:
        """The row of that id, if there is one."""
        return self._rows.get(row_id)

    def having(self, key: str) -> list[R]:
        """The rows whose index key is `key`, in the order they came; needs an index."""
        return [self._rows[row_id] for row_id in self._ids_by_key.get(key, ())]

    def replay(self, line: dict[str, Any]) -> None:
        """Applies one journal line of this kind."""
        if "gone" in line:
            self._drop(line["gone"])
            self._changed.discard(line["gone"])
            return
        row = self._model.model_validate(line["row"])
        self._keep(row)
        self._changed.add(row.id)

    def changed(self) -> Iterator[dict[str, Any]]:
        """The journal lines that rebuild this collection on top of the seed."""
        for row_id, row in self._rows.items():
            if row_id in self._changed:
                yield {"kind": self.kind, "row": row.model_dump(mode="json")}

    def clear(self) -> None:
        """Forgets all rows, without writing."""
        self._rows.clear()
        self._ids_by_key.clear()
        self._changed.clear()

    def _keep(self, row: R) -> None:
        if self._index is not None:
            before = self._rows.get(row.id)
            if before is not None and self._index(before) != self._index(row):
                self._ids_by_key[self._index(before)].pop(row.id, None)
            self._ids_by_key.setdefault(self._index(row), {})[row.id] = None
        self._rows[row.id] = row

    def _drop(self, row_id: str) -> None:
        row = self._rows.pop(row_id, None)
        if row is not None and self._index is not None:
            self._ids_by_key[self._index(row)].pop(row_id, None)

    def __iter__(self) -> Iterator[R]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)
