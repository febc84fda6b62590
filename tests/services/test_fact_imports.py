"""A table of facts is noted as a whole, once; what is wrong with its rows is told one by one, and nothing is noted."""

import io
from typing import Any

import pytest
from sqlalchemy import text

from connectors.files import write_xlsx
from domain.access import Role, Scope
from domain.imports import RowError
from domain.problems import AuthorizationProblem, ConflictProblem, ValidationProblem
from domain.settlement.payees import NewFact
from services import fact_imports
from services.fact_imports import FactImport, FactImports
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_calculations import MAY, QIAN, Office, office

__all__ = ["office"]
TITLES = "编号,事项,日期,数值"


async def take(
    office: Office, *rows: str, titles: str = TITLES, dry_run: bool = False, actor: Any = QIAN
) -> tuple[FactImport, list[RowError]]:
    errors: list[RowError] = []
    file = io.BytesIO("\n".join((titles, *rows)).encode("utf-8-sig"))
    done = await FactImports(office.database).run(actor, file, "facts.csv", errors.append, dry_run=dry_run)
    return done, errors


async def noted(office: Office) -> list[tuple[Any, ...]]:
    async with UnitOfWork(office.database) as work:
        statement = """
            SELECT y.code, f.name, f.day::text, f.amount, f.key, f.noted_by
            FROM payee_facts f JOIN payees y ON y.id = f.payee ORDER BY f.seq
        """
        return [tuple(row) for row in await work.session.execute(text(statement))]


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fact_imports, "AT_ONCE", 2)


async def test_a_table_is_noted_once_and_paid_by(office: Office) -> None:
    rows = ("P1,visits,2026-05-01,3", "P2,visits,2026/5/2,1", "", "C1,service,2026-05-31,95")
    done, errors = await take(office, *rows, dry_run=True)
    assert (done.rows, done.new, done.stored, errors) == (3, 0, False, [])
    assert await noted(office) == []
    done, _ = await take(office, *rows)
    assert (done.rows, done.new, done.known, done.stored) == (3, 3, 0, True)
    again, _ = await take(office, *rows)
    assert (again.new, again.known, again.digest) == (0, 3, done.digest)
    assert await noted(office) == [
        ("P1", "visits", "2026-05-01", 3, "P1/2026-05-01", "qian"),
        ("P2", "visits", "2026-05-02", 1, "P2/2026-05-02", "qian"),
        ("C1", "service", "2026-05-31", 95, "C1/2026-05-31", "qian"),
    ]
    assert (await office.earned(await office.preview()))["P1"] == {"visits": 450}
    async with UnitOfWork(office.database) as work:
        statement = "SELECT count(*) FROM audit_entries WHERE action = 'payee.facts.import'"
        assert await work.session.scalar(text(statement)) == 2


async def test_what_was_noted_by_hand_is_not_noted_again(office: Office) -> None:
    fact = NewFact(code="P1", name="visits", day=MAY, amount=3, key=f"P1/{MAY}")
    await office.register.note_facts(QIAN, [fact])
    done, _ = await take(office, "P1,visits,2026-05-01,3", "P2,visits,2026-05-01,1")
    assert (done.new, done.known) == (1, 1)


async def test_every_wrong_row_is_told_and_nothing_is_noted(office: Office) -> None:
    await take(office, "P1,visits,2026-05-01,3")
    done, errors = await take(
        office,
        "P1,visits,2026-05-01,4",
        "P99,visits,2026-05-01,3",
        "P2,visit,2026-05-01,3",
        "P2,visits,2026-05-01,many",
        "P2,visits,1999-05-01,3",
        "P2,visits,2026-05-03,3",
        "P2,visits,2026-05-03,5",
        "P2,visits,,3",
        "P3,visits,2026-05-01,3",
    )
    assert (done.rows, done.refused, done.new, done.stored) == (9, 7, 0, False)
    told = [(each.line, each.column) for each in errors]
    assert told == [
        (2, "数值"),
        (3, "编号"),
        (4, "事项"),
        (5, "数值"),
        (6, "日期"),
        (8, "编号"),
        (9, "日期"),
    ]
    reasons = {each.line: each.reason.zh for each in errors}
    assert reasons[2].startswith("已记为 2026-05-01 3")
    assert "没有这位收款人" in reasons[3]
    assert "visits" in reasons[4]
    assert "第 7 行" in reasons[8]
    assert len(await noted(office)) == 1


async def test_keys_let_a_day_have_several_and_correct_a_score(office: Office) -> None:
    titles = "payee,fact,day,value,key"
    rows = ("P1,visits,2026-05-01,3,a", "P1,visits,2026-05-01,3,b", "C1,service,2026-05-01,70,a")
    assert (await take(office, *rows, titles=titles))[0].new == 3
    assert (await take(office, "C1,service,2026-05-01,95,b", titles=titles))[0].new == 1
    assert (await office.earned(await office.preview()))["P1"] == {"visits": 900}


async def test_a_spreadsheet_is_read_as_well(office: Office) -> None:
    file = io.BytesIO()
    write_xlsx(file, [("facts", [TITLES.split(","), ["P1", "visits", "2026-05-01", 3]])])
    done = await FactImports(office.database).run(QIAN, file, "facts.xlsx", lambda _: None)
    assert (done.rows, done.new) == (1, 1)


async def test_what_is_no_table_or_not_allowed_is_refused(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationProblem, match="value"):
        await take(office, "P1,visits,2026-05-01", titles="编号,事项,日期")
    with pytest.raises(AuthorizationProblem):
        await take(office, "P1,visits,2026-05-01,3", actor=an_actor("wu", Role.APPROVER))
    monkeypatch.setattr(fact_imports, "MOST_ROWS", 2)
    with pytest.raises(ValidationProblem, match="2"):
        await take(office, *(f"P1,visits,2026-05-0{day},3" for day in range(1, 5)))
    assert await noted(office) == []


async def test_payees_out_of_scope_are_unknown(office: Office) -> None:
    east = an_actor("east", Role.FINANCE, scope=Scope(kind="branch", branch="/east/"))
    done, errors = await take(office, "P1,visits,2026-05-01,3", actor=east)
    assert done.refused == 1
    assert "数据范围" in errors[0].reason.zh


async def test_a_file_that_changes_meanwhile_leaves_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO(f"{TITLES}\nP1,visits,2026-05-01,3\n".encode())
    service = FactImports(office.database)
    checked = service._checked

    async def then_changed(*given: Any) -> FactImport:
        done = await checked(*given)
        file.seek(0)
        file.write(f"{TITLES}\nP1,visits,2026-05-01,9\n".encode())
        return done

    monkeypatch.setattr(service, "_checked", then_changed)
    with pytest.raises(ConflictProblem):
        await service.run(QIAN, file, "facts.csv", lambda _: None)
    assert await noted(office) == []
