"""The quarantine: pushes that could not be read are looked at, corrected, read again or put away.

Nothing is lost by a correction: the push as it came stays in the inbox, and what a person wrote waits in its place.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import sha256
from math import isfinite
from typing import Any

from domain.access import Actor, Permission
from domain.exact_json import read_exactly, write_exactly
from domain.merge_patch import merged
from domain.organisation import Placement
from domain.privacy import Masking
from domain.problems import ConflictProblem, NotFoundProblem, ProblemError, Text, ValidationProblem
from domain.storable import storable
from services.disclosure import record_unmasking, require_unmasking
from services.push_reading import PushReader
from storage.audit import AuditLog
from storage.engine import Database
from storage.inbox import REPLACED_BY, StoredPush
from storage.paging import LARGEST_PAGE, Page, PageRequest
from storage.quarantine import Quarantine, QuarantineFilter, QuarantineGroup
from storage.unit_of_work import UnitOfWork, refused

MOST_AT_ONCE = 10_000
LARGEST_CONTENT = 1_000_000
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class QuarantinedPush:
    """A push and its content: JSON as a value, any other text as a text, bytes in base64; None where masking cannot
    tell what in it is personal. media: `json`, `text` or `base64`."""

    push: StoredPush
    media: str
    content: Any
    masked: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """How many pushes were moved, and whether as many as one request may are, so that others may be left."""

    found: int
    more: bool


@dataclass(frozen=True, slots=True)
class Corrected:
    """What became of some pushes. refused: those that still cannot be read, or are not there any more; problem: why the
    first of them was. next_cursor: where to go on, None at the end."""

    corrected: int
    refused: int
    problem: str | None
    next_cursor: str | None


class QuarantineService:
    """Raises AuthorizationProblem without `events.read` (to change something `events.publish`) and a scope that sees
    everything."""

    def __init__(self, database: Database, reader: PushReader, masking: Masking) -> None:
        self._database = database
        self._reader = reader
        self._masking = masking

    async def list(self, actor: Actor, wanted: QuarantineFilter, page: PageRequest) -> Page[StoredPush]:
        """Pushes that could not be read, the oldest first."""
        _require(actor, Permission.EVENTS_READ)
        async with UnitOfWork(self._database) as work:
            return await Quarantine(work).page(wanted, page)

    async def groups(self, actor: Actor) -> Sequence[QuarantineGroup]:
        """What they have in common, the largest groups first."""
        _require(actor, Permission.EVENTS_READ)
        async with UnitOfWork(self._database) as work:
            return await Quarantine(work).groups()

    async def show(
        self, actor: Actor, push_id: int, *, unmask_for: str | None = None, raw: bool = False
    ) -> QuarantinedPush:
        """One push with its content, masked; in clear for a reason that is audited.

        raw: its bytes as they came, in base64: a digest or a signature is of these and of nothing that was read.

        :raises NotFoundProblem: it is not in quarantine. :raises ValidationProblem: `raw` is in clear only.
        """
        _require(actor, Permission.EVENTS_READ)
        if raw and unmask_for is None:
            raise _raw_is_in_clear()
        if unmask_for is not None:
            require_unmasking(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            stored = await Quarantine(work).require(push_id)
            if unmask_for is not None:
                await record_unmasking(work, actor, "inbox", str(push_id), unmask_for, Placement())
        media, content = _in_base64(stored.push.payload) if raw else _content(stored.push.payload)
        if unmask_for is not None:
            return QuarantinedPush(stored, media, content, masked=False)
        return QuarantinedPush(stored, media, self._masking.mask(content) if media == "json" else None, masked=True)

    async def correct(self, actor: Actor, push_id: int, correction: Any, reason: str, *, whole: bool) -> int:
        """Put a corrected push in the place of one that could not be read; the new one's id.

        correction: the whole new content (a text), or members to change in JSON by RFC 7396, which needs no look at
        anybody's data; numbers in it and in what came stay as they are written (`domain.exact_json`). It is tried
        first: what still cannot be read changes nothing.

        :raises ValidationProblem: it still cannot be read, and why; it is too large; the old content is no JSON.
        :raises NotFoundProblem: the push is not in quarantine.
        """
        _require(actor, Permission.EVENTS_PUBLISH)
        _check_reason(reason)
        async with UnitOfWork(self._database) as work:
            stored = await Quarantine(work).require(push_id)
            payload = _corrected(stored.push.payload, correction, whole=whole)
            digests = {"before": sha256(stored.push.payload).hexdigest(), "after": sha256(payload).hexdigest()}
            push = replace(
                stored.push, payload=payload, dedupe_key=f"{stored.push.dedupe_key[:400]}/{digests['after']}"
            )
            try:
                await self._reader.read(work, push)
            except ProblemError as problem:
                raise _still_unreadable(str(problem)) from problem
            except Exception as error:
                raise _still_unreadable(f"{type(error).__name__}: {error}") from error
            again = ConflictProblem(Text("同样的更正已经提交过", "The same correction was made before"))
            with refused("uq_inbox_platform_account_dedupe_key", again):
                new = await Quarantine(work).replace(stored, push, f"{REPLACED_BY}{actor.login}: {reason.strip()}")
            detail = {"id": push_id, "new": new, "reason": reason.strip(), **digests}
            await AuditLog(work).record(actor, "inbox.correct", "inbox", detail)
            return new

    async def correct_all(
        self, actor: Actor, wanted: QuarantineFilter, patch: Any, reason: str, *, cursor: str | None = None
    ) -> Corrected:
        """Change the same members in many pushes, each as `correct` does it by itself: 200 at a time, the oldest first.

        One that still cannot be read stays as it is, and holds up no other. cursor: where the last time stopped.
        """
        _require(actor, Permission.EVENTS_PUBLISH)
        _check_reason(reason)
        async with UnitOfWork(self._database) as work:
            page = await Quarantine(work).page(wanted, PageRequest(LARGEST_PAGE, cursor))
        problems: list[str] = []
        for stored in page.items:
            try:
                await self.correct(actor, stored.id, patch, reason, whole=False)
            except (ValidationProblem, ConflictProblem, NotFoundProblem) as problem:
                problems.append(f"{stored.id}: {problem}")
        found = len(page.items)
        return Corrected(found - len(problems), len(problems), next(iter(problems), None), page.next_cursor)

    async def redrive(self, actor: Actor, wanted: QuarantineFilter) -> Moved:
        """Read pushes again, 10,000 at most."""
        _require(actor, Permission.EVENTS_PUBLISH)
        async with UnitOfWork(self._database) as work:
            found = await Quarantine(work).release(wanted, MOST_AT_ONCE)
            await AuditLog(work).record(actor, "inbox.redrive", "inbox", {**_told(wanted), "found": found})
        return Moved(found, found == MOST_AT_ONCE)

    async def put_away(self, actor: Actor, wanted: QuarantineFilter, reason: str) -> Moved:
        """Be done with pushes that say nothing worth keeping, 10,000 at most; they are deleted by age like others."""
        _require(actor, Permission.EVENTS_PUBLISH)
        _check_reason(reason)
        async with UnitOfWork(self._database) as work:
            note = f"put away by {actor.login}: {reason.strip()}"
            found = await Quarantine(work).put_away(wanted, MOST_AT_ONCE, note)
            detail = {**_told(wanted), "found": found, "reason": reason.strip()}
            await AuditLog(work).record(actor, "inbox.put-away", "inbox", detail)
        return Moved(found, found == MOST_AT_ONCE)


def _require(actor: Actor, permission: Permission) -> None:
    actor.require(permission)
    actor.require_everything()


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= LONGEST_REASON:
        raise ValidationProblem(
            Text(
                f"请说明原因（1–{LONGEST_REASON} 字），会写入审计",
                f"Say why (1 to {LONGEST_REASON} characters); it is audited",
            )
        )


def _raw_is_in_clear() -> ValidationProblem:
    return ValidationProblem(
        Text(
            "原始内容（raw）不能打码，只能查看明文：请同时给出 unmask=true 与 reason",
            "What came cannot be masked byte by byte: with raw=true give unmask=true and a reason too",
        )
    )


def _in_base64(payload: bytes) -> tuple[str, str]:
    return "base64", base64.b64encode(payload).decode()


def _content(payload: bytes) -> tuple[str, Any]:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return _in_base64(payload)
    try:
        return "json", json.loads(text, parse_float=_shown_fraction)
    except (ValueError, RecursionError):
        return "text", text


def _shown_fraction(digits: str) -> float | str:
    """A fraction as a number where that is the same number, else as a text."""
    number = float(digits)
    return number if isfinite(number) and Decimal(repr(number)) == Decimal(digits) else digits


def _corrected(payload: bytes, correction: Any, *, whole: bool) -> bytes:
    text = str(correction) if whole else _with_members(payload, correction)
    content = storable(text).encode()
    if not 1 <= len(content) <= LARGEST_CONTENT:
        raise ValidationProblem(
            Text(f"内容应为 1–{LARGEST_CONTENT} 字节", f"The content must have 1 to {LARGEST_CONTENT:,} bytes")
        )
    return content


def _with_members(payload: bytes, changes: Any) -> str:
    try:
        return write_exactly(merged(read_exactly(payload.decode()), changes))
    except (ValueError, RecursionError):
        raise ValidationProblem(
            Text(
                "原内容不是 JSON，不能只改部分字段；请给出完整内容 content",
                "What came is no JSON, so no members of it can be changed; give the whole `content`",
            )
        ) from None


def _still_unreadable(why: str) -> ValidationProblem:
    return ValidationProblem(
        Text(f"更正后仍无法解析，未作任何改动：{why}", f"It still cannot be read, nothing was changed: {why}"),
        errors=[],
    )


def _told(wanted: QuarantineFilter) -> dict[str, Any]:
    """The filter as the audit log keeps it."""
    told: dict[str, Any] = {
        name: getattr(wanted, name) for name in ("platform", "account", "kind", "reason") if getattr(wanted, name)
    }
    told |= {name: at.isoformat() for name in ("since", "before") if (at := getattr(wanted, name))}
    return told if wanted.ids is None else told | {"ids": sorted(wanted.ids)[:100]}
