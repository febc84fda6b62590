from sqlalchemy import text

from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork


async def test_works_under_the_application_role(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work:
        found = (await work.session.execute(text("SELECT current_user, current_setting('timezone')"))).one()
    assert tuple(found) == ("tandem_app", "UTC")
    await database.close()
