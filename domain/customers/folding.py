"""What several tellings say about one thing, in one record: part by part what the newest of them says that says it.

The database folds by the same rule what comes into what it knows (`storage.recordsets`). Both keep how new each part
is, so neither the order nor the batches in which tellings come make a difference.
"""

from collections.abc import Iterable
from typing import Any

from domain.customers.records import EARLIEST_COLUMNS, STATUS_COLUMNS, Record, Shelf


def fold(records: Iterable[Record]) -> list[Record]:
    """One record per thing, in the order of keys: what the newest says, completed by what the older ones said."""
    by_thing: dict[tuple[Shelf, tuple[str, ...]], list[Record]] = {}
    for record in records:
        by_thing.setdefault((record.shelf, record.key), []).append(record)
    return [_folded(by_thing[thing]) for thing in sorted(by_thing)]


def _folded(same: list[Record]) -> Record:
    if len(same) == 1:
        return same[0]
    status = max(same, key=lambda record: (record.version, record.version_tie))
    detail = max(same, key=lambda record: (record.detail_version, record.detail_tie))
    folded = Record(
        status.shelf,
        status.key,
        status.version,
        detail.detail_version,
        status.account_id,
        {},
        version_tie=status.version_tie,
        detail_tie=detail.detail_tie,
    )
    for name in same[0].values:
        if name in EARLIEST_COLUMNS:
            folded.values[name] = min((value for record in same if (value := record.values[name])), default=None)
            continue
        teller = _teller(folded, name, [record for record in same if _is_said(name, record.values[name])])
        newest = status if name in STATUS_COLUMNS else detail
        folded.values[name] = (teller or newest).values[name]
    if (teller := _teller(folded, "people", [record for record in same if record.people])) is not None:
        folded.people = teller.people
    if (teller := _teller(folded, "lines", [record for record in same if record.lines])) is not None:
        folded.lines = teller.lines
    return folded


def _teller(folded: Record, part: str, tellers: list[Record]) -> Record | None:
    """Whose word on a part counts; `folded` notes it when the rest is newer."""
    if not tellers:
        return None
    teller = max(tellers, key=lambda record: record.rank_of(part))
    if (rank := teller.rank_of(part)) < folded.rank_of(part):
        folded.older[part] = rank
    return teller


def _is_said(name: str, value: Any) -> bool:
    """Whether a value says something: null, an empty list and the status `unknown` do not."""
    if value == "unknown":
        return name not in ("status", "state")
    return value is not None and value != [] and value != {}
