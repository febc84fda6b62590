"""How often somebody tried to log in lately, counted for all processes together."""

from datetime import datetime, timedelta

from sqlalchemy import case, delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from storage.tables import Table, instant
from storage.unit_of_work import Repository


class LoginAttemptRow(Table, table=True):
    """Attempts in one window. `key` is a keyed hash: neither logins nor addresses stand here."""

    __tablename__ = "login_attempts"

    key: str = Field(primary_key=True)
    window_started_at: datetime = instant(index=True)
    attempts: int


class LoginAttempts(Repository):
    async def count(self, key: str, window: timedelta) -> tuple[int, datetime]:
        """Count one more attempt; how many there are now, and when the window ends."""
        row = LoginAttemptRow
        fresh = col(row.window_started_at) <= self.now - window
        statement = (
            insert(row)
            .values(key=key, window_started_at=self.now, attempts=1)
            .on_conflict_do_update(
                index_elements=[col(row.key)],
                set_={
                    "attempts": case((fresh, 1), else_=col(row.attempts) + 1),
                    "window_started_at": case((fresh, self.now), else_=col(row.window_started_at)),
                },
            )
            .returning(col(row.attempts), col(row.window_started_at))
        )
        attempts, started_at = (await self.session.execute(statement)).one()
        return attempts, started_at + window

    async def give_back(self, key: str) -> None:
        """Take one attempt off the count."""
        row = LoginAttemptRow
        await self.session.execute(
            update(row).where(col(row.key) == key, col(row.attempts) > 0).values(attempts=col(row.attempts) - 1)
        )

    async def forget(self, key: str) -> None:
        await self.session.execute(delete(LoginAttemptRow).where(col(LoginAttemptRow.key) == key))
