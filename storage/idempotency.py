"""Idempotency keys of API writes: the same request twice has one effect and two equal answers.

`begin` takes the key in a unit of work of its own, then the work is done, then `complete` keeps the answer. A process
that dies in between leaves a lease behind that ends by itself; the work must be repeatable, or deterministic by id.

Source: the IETF draft “The Idempotency-Key HTTP Header Field”.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from domain.problems import TANDEM_TYPE_PREFIX, ConflictProblem, ProblemError, Text
from storage.encryption import EncryptedJson
from storage.tables import Table, instant
from storage.unit_of_work import Repository

LEASE = timedelta(seconds=150)
"""How long a key waits for a request that died: longer than any lives (`api.limits`), so that none runs twice."""
KEPT = timedelta(hours=24)


class ReusedKeyProblem(ProblemError):
    """The key came with another request before."""

    type = TANDEM_TYPE_PREFIX + "idempotency-key-reused"
    status = 422
    title = Text("幂等键被重复用于不同请求", "Idempotency key reused")


class IdempotencyKeyRow(Table, table=True):
    """One key of one actor. Without `status` the request is still being worked on, until `leased_until`."""

    __tablename__ = "idempotency_keys"

    login: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    leased_until: datetime = instant()
    status: int | None = None
    body: Any = Field(default=None, sa_type=EncryptedJson("idempotency_keys.body"), nullable=True)
    expires_at: datetime = instant(index=True)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request was answered."""

    status: int
    body: Any


class IdempotencyKeys(Repository):
    async def begin(self, login: str, key: str, request_digest: str) -> StoredAnswer | None:
        """None: the caller does the work now. An answer: it was done, give the same answer.

        :raises ReusedKeyProblem: 422, the key belongs to another request.
        :raises ConflictProblem: 409, the first request is still being worked on.
        """
        row = IdempotencyKeyRow
        fields = {
            "request_digest": request_digest,
            "leased_until": self.now + LEASE,
            "status": None,
            "body": None,
            "expires_at": self.now + KEPT,
        }
        abandoned = and_(
            col(row.status).is_(None), col(row.leased_until) <= self.now, col(row.request_digest) == request_digest
        )
        taken = await self.session.scalar(
            insert(row)
            .values(login=login, key=key, **fields)
            .on_conflict_do_update(
                index_elements=[col(row.login), col(row.key)],
                set_=fields,
                where=or_(col(row.expires_at) <= self.now, abandoned),
            )
            .returning(col(row.key))
        )
        if taken is not None:
            return None
        digest, status, body = (
            await self.session.execute(
                select(col(row.request_digest), col(row.status), col(row.body)).where(
                    col(row.login) == login, col(row.key) == key
                )
            )
        ).one()
        if digest != request_digest:
            raise ReusedKeyProblem(
                Text(
                    "该幂等键已用于另一个不同的请求，请为新请求换一个键",
                    "This idempotency key came with a different request before: use a new key for a new request",
                )
            )
        if status is None:
            raise ConflictProblem(
                Text(
                    "使用同一幂等键的请求正在处理，请稍后用同一个键重试",
                    "A request with this idempotency key is being worked on: repeat it with the same key in a moment",
                )
            )
        return StoredAnswer(status, body)

    async def complete(self, login: str, key: str, answer: StoredAnswer) -> None:
        """Keep the answer for whoever repeats the request."""
        await self.session.execute(
            update(IdempotencyKeyRow)
            .where(col(IdempotencyKeyRow.login) == login, col(IdempotencyKeyRow.key) == key)
            .values(status=answer.status, body=answer.body)
        )

    async def abandon(self, login: str, key: str) -> None:
        """Give the key back after a failure that changed nothing, so that the request can be repeated at once."""
        row = IdempotencyKeyRow
        await self.session.execute(
            delete(row).where(col(row.login) == login, col(row.key) == key, col(row.status).is_(None))
        )
