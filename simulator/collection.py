"""Rows by id, written down as they change, found by key and by time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from simulator.entities import Row, load
from simulator.journal import Append

R = TypeVar("R", bound=Row)
Key = Callable[[R], str]
Moment = Callable[[R], datetime | None]

LAST_ID = "\U0010ffff"
"""Sorts behind every id."""


class Collection(Generic[R]):
    """One kind of rows; a change is appended to the journal before it is seen by others.

    by: what rows can be found by with `having`; at: the instants they can be found between. Either index is built when
    it is first asked for, so that what nobody reads costs nothing.
    """

    def __init__(
        self,
        kind: str,
        model: type[R],
        append: Append,
        by: Mapping[str, Key[R]] | None = None,
        at: Mapping[str, Moment[R]] | None = None,
    ) -> None:
        self.kind = kind
        self._by = dict(by or {})
        self._at = dict(at or {})
        self._keyed: dict[str, dict[str, dict[str, None]]] = {}
        self._timed: dict[tuple[str, str], dict[str, list[tuple[datetime, str]]]] = {}
        self._model = model
        self._append = append
        self._rows: dict[str, R] = {}
        self._changed: set[str] = set()

    def seed(self, row: R) -> R:
        """Adds a row that the seed reproduces, so it need not be written down; what was written down wins."""
        if row.id in self._changed:
            return self._rows[row.id]
        self._keep(row)
        return row

    def put(self, row: R) -> R:
        """Adds or replaces a row and writes it down."""
        self._append({"kind": self.kind, "row": row.dump()})
        self._keep(row)
        self._changed.add(row.id)
        return row

    def change(self, row: R, **values: Any) -> R:
        """Replaces some values of a row; returns the new row."""
        return self.put(row.replaced(**values))

    def remove(self, row_id: str) -> None:
        """Forgets a row."""
        if row_id in self._rows:
            self._drop(row_id)
            self._append({"kind": self.kind, "gone": row_id})
            self._changed.discard(row_id)

    def get(self, row_id: str) -> R | None:
        """The row of that id, if there is one."""
        return self._rows.get(row_id)

    def having(self, **wanted: str) -> list[R]:
        """The rows of one key, in the order they came: `orders.having(shop="demo-jd")`. KeyError for no such index."""
        ((name, key),) = wanted.items()
        if name not in self._keyed:
            key_of, keyed = self._by[name], dict[str, dict[str, None]]()
            for row in self._rows.values():
                keyed.setdefault(key_of(row), {})[row.id] = None
            self._keyed[name] = keyed
        return [self._rows[row_id] for row_id in self._keyed[name].get(key, ())]

    def between(self, moment: str, start: datetime | None, end: datetime | None, **wanted: str) -> list[R]:
        """The rows of one key whose `moment` lies in [start, end], oldest first; rows without that moment never do.

        `orders.between("updated", start, end, shop="demo-jd")`.
        """
        ((name, key),) = wanted.items()
        if (name, moment) not in self._timed:
            self._timed[name, moment] = self._timeline(self._by[name], self._at[moment])
        line = self._timed[name, moment].get(key, [])
        first = bisect_left(line, (start, "")) if start else 0
        last = bisect_right(line, (end, LAST_ID)) if end else len(line)
        return [self._rows[row_id] for _at, row_id in line[first:last]]

    def replay(self, line: dict[str, Any]) -> None:
        """Applies one journal line of this kind."""
        if "gone" in line:
            self._drop(line["gone"])
            self._changed.discard(line["gone"])
            return
        row: R = load(self._model, line["row"])
        self._keep(row)
        self._changed.add(row.id)

    def changed(self) -> Iterator[dict[str, Any]]:
        """The journal lines that rebuild this collection on top of the seed."""
        for row in self.unseeded():
            yield {"kind": self.kind, "row": row.dump()}

    def unseeded(self) -> Iterator[R]:
        """The rows that were added or changed since the seed."""
        return (row for row_id, row in self._rows.items() if row_id in self._changed)

    def clear(self) -> None:
        """Forgets all rows, without writing."""
        self._rows.clear()
        self._keyed.clear()
        self._timed.clear()
        self._changed.clear()

    def _keep(self, row: R) -> None:
        if self._keyed or self._timed:
            before = self._rows.get(row.id)
            if before is not None:
                self._unfile(before, row)
            self._rows[row.id] = row
            self._file(row)
        else:
            self._rows[row.id] = row

    def _drop(self, row_id: str) -> None:
        row = self._rows.pop(row_id, None)
        if row is not None:
            self._unfile(row, None)

    def _file(self, row: R) -> None:
        for name, keyed in self._keyed.items():
            keyed.setdefault(self._by[name](row), {})[row.id] = None
        for (name, moment), timed in self._timed.items():
            if (at := self._at[moment](row)) is not None:
                insort(timed.setdefault(self._by[name](row), []), (at, row.id))

    def _unfile(self, row: R, after: R | None) -> None:
        for name, keyed in self._keyed.items():
            key = self._by[name](row)
            if after is None or self._by[name](after) != key:
                keyed[key].pop(row.id, None)
        for (name, moment), timed in self._timed.items():
            if (at := self._at[moment](row)) is not None:
                line = timed[self._by[name](row)]
                place = bisect_left(line, (at, row.id))
                if place < len(line) and line[place] == (at, row.id):
                    del line[place]

    def _timeline(self, key: Key[R], moment: Moment[R]) -> dict[str, list[tuple[datetime, str]]]:
        lines: dict[str, list[tuple[datetime, str]]] = {}
        for row in self._rows.values():
            if (at := moment(row)) is not None:
                lines.setdefault(key(row), []).append((at, row.id))
        for line in lines.values():
            line.sort()
        return lines

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def __iter__(self) -> Iterator[R]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)
