"""What was done to the outside world, and what was only tried.

An *effect* changed something (money refunded, a message sent, a tag set). An *attempt* is a call of such
an interface that changed nothing: a repeat, a refusal, a stale version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from simulator.clock import Clock
from simulator.journal import Journal


class LedgerEntry(BaseModel):
    """One call of an interface with an outside effect."""

    model_config = ConfigDict(extra="forbid")

    seq: int
    at: AwareDatetime
    kind: str
    platform: str
    account: str
    effect: bool
    code: int = 0
    """The platform's error code of an attempt; 0 for an effect."""
    subjects: dict[str, str] = Field(default_factory=dict)
    """What it was about: refund_id, tid, external_userid, msgid, tag_id …"""
    request: dict[str, Any] = Field(default_factory=dict)
    amount_minor: int | None = None


class Ledger:
    """All entries, in order, kept in an append-only file of its own."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._entries: list[LedgerEntry] = [LedgerEntry.model_validate(line) for line in journal.read()]

    def record(
        self,
        kind: str,
        platform: str,
        account: str,
        *,
        request: Mapping[str, Any],
        subjects: Mapping[str, str],
        code: int = 0,
        effect: bool = True,
        amount_minor: int | None = None,
    ) -> LedgerEntry:
        """Writes one entry down and returns it; a `code` other than 0 makes it an attempt."""
        entry = LedgerEntry(
            seq=len(self._entries) + 1,
            at=self._clock.wall(),
            kind=kind,
            platform=platform,
            account=account,
            effect=effect and code == 0,
            code=code,
            subjects=dict(subjects),
            request=dict(request),
            amount_minor=amount_minor,
        )
        self._journal.append(entry.model_dump(mode="json"))
        self._entries.append(entry)
        return entry

    def find(self, *, effect: bool | None = None, after: int = 0, **wanted: str) -> Iterator[LedgerEntry]:
        """Entries whose kind, platform, account or subjects equal all of `wanted`, after sequence `after`."""
        for entry in self._entries[max(after, 0) :]:
            if effect is not None and entry.effect is not effect:
                continue
            if all(_value(entry, name) == value for name, value in wanted.items()):
                yield entry

    @property
    def size(self) -> int:
        """How many entries there are; also the sequence number of the last."""
        return len(self._entries)

    def totals(self) -> dict[str, dict[str, int]]:
        """Effects and attempts by kind."""
        effects = Counter(entry.kind for entry in self._entries if entry.effect)
        attempts = Counter(entry.kind for entry in self._entries if not entry.effect)
        return {kind: {"effects": effects[kind], "attempts": attempts[kind]} for kind in sorted({*effects, *attempts})}

    def clear(self) -> None:
        """Forgets everything."""
        self._entries.clear()
        self._journal.rewrite(())

    def close(self) -> None:
        """Lets go of the file."""
        self._journal.close()


def _value(entry: LedgerEntry, name: str) -> str | None:
    if name in ("kind", "platform", "account"):
        return str(getattr(entry, name))
    return entry.subjects.get(name)
