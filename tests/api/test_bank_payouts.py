"""Bank files over HTTP: made, handed out to who may and says why, answered."""

from typing import Any
from uuid import UUID, uuid4

from domain.access import Role
from domain.settlement.payees import NewPayee, NewPayoutDetails
from domain.settlement.periods import period_of
from services.payee_terms import today
from services.payees import PayeeRegister
from storage.payees import Payees
from storage.payout_batches import PayoutBatches, PayoutBatchRow
from storage.payouts import PayoutRow, Payouts
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.api.house import House, problem

FILES = "/api/v1/settlement/bank-files"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


async def a_batch(house: House) -> tuple[UUID, str]:
    """One with a payout by bank; its number."""
    details = NewPayoutDetails(real_name="李小红", bank_account="6222020200112233445")
    payee = NewPayee(code="B-1", name="李小红", role="promoter", details=details)
    await PayeeRegister(house.database).put(an_actor("qian", Role.FINANCE), [payee])
    async with UnitOfWork(house.database) as work:
        day, end = period_of("month", today(work.now))
        period = await SettlementPeriods(work).open("promoters", "month", day, end, "CNY")
        batch = PayoutBatchRow(
            id=uuid4(), scheme="promoters", currency="CNY", period=period.id, day=day, state="paying", terms={},
            asked_by="finance", asked_at=work.now,
        )  # fmt: skip
        await PayoutBatches(work).add(batch)
        number = f"P{uuid4().hex[:31]}"
        row = PayoutRow(
            batch=batch.id, part=0, number=number, payee=(await Payees(work).rows(["B-1"]))["B-1"].id, rail="bank",
            amount_minor=68_765, offset_minor=0, currency="CNY", state="reserved", pay_on=day, next_at=work.now,
            created_at=work.now, changed_at=work.now,
        )  # fmt: skip
        await Payouts(work).insert(row)
    return batch.id, number


async def answered(house: House, file: str, content: str, kind: str = "text/csv", who: str = "finance") -> Any:
    return await house.say(
        who, "POST", f"{FILES}/{file}/answers", content=content.encode(), headers={"Content-Type": kind}
    )


async def test_a_bank_file_is_made_handed_out_and_answered(house: House) -> None:
    batch, number = await a_batch(house)
    made = await house.post("finance", FILES, {"batch": str(batch)})
    assert (made.status_code, made.json()["payouts"], made.json()["open"]) == (201, 1, 1), made.text
    file = made.json()["number"]
    assert (await house.post("finance", FILES, {"batch": str(batch)})).json() == made.json()
    listed = (await house.get("approver", FILES, params={"batch": str(batch)})).json()["items"]
    assert [each["number"] for each in listed] == [file]

    handed = await house.get("finance", f"{FILES}/{file}", params={"reason": "十二月付款"})
    assert handed.headers["content-type"].startswith("text/csv")
    assert handed.headers["content-disposition"] == f'attachment; filename="{file}.csv"'
    assert handed.headers["cache-control"] == "no-store"
    assert made.json()["digest"] in handed.headers["etag"]
    assert f"{number},李小红,6222020200112233445,,687.65,CNY," in handed.content.decode("utf-8-sig")
    table = await house.get("finance", f"{FILES}/{file}", params={"reason": "十二月付款", "format": "xlsx"})
    assert (table.headers["content-type"], table.content[:2]) == (XLSX, b"PK")
    audit = (await house.get("auditor", "/api/v1/audit", params={"action": "bank-file.export"})).json()["items"]
    assert [(each["actor"], each["detail"]["format"]) for each in audit] == [("finance", "xlsx"), ("finance", "csv")]
    assert "李小红" not in (await house.get("auditor", "/api/v1/audit")).text

    shifted = await answered(house, file, f"付款编号,结果,金额,流水号\n,{number},成功,687.65\n")
    assert (shifted.status_code, problem(shifted)["errors"][0]["line"]) == (400, 2)
    content = f"付款编号,结果,金额,流水号\n{number},成功,687.65,S1\nP{'0' * 31},失败,1,\n"
    first = (await answered(house, file, content)).json()
    assert (first["paid"], first["paid_minor"], first["open"], first["errors"][0]["line"]) == (1, 68_765, 0, 3)
    assert (await answered(house, file, content)).json()["known"] == 1
    contradicted = (await answered(house, file, content.replace("成功", "失败"))).json()
    assert [(each["number"], each["line"]) for each in contradicted["breaks"]] == [(number, 2)]


async def test_who_may_not_or_says_nothing_gets_nothing(house: House) -> None:
    batch, _ = await a_batch(house)
    file = (await house.post("finance", FILES, {"batch": str(batch)})).json()["number"]
    clear = {"reason": "看看"}
    for who in ("approver", "auditor", "admin"):
        assert (await house.get(who, f"{FILES}/{file}", params=clear)).status_code == 403
        assert (await answered(house, file, "", who=who)).status_code == 403
    assert (await house.get("finance", f"{FILES}/{file}")).status_code == 400
    assert (await house.get("finance", f"{FILES}/{file}", params={"reason": " "})).status_code == 400
    assert (await house.get("finance", f"{FILES}/B999-1", params=clear)).status_code == 404
    assert (await house.get("finance", f"{FILES}/x", params=clear)).status_code == 400
    assert (await answered(house, file, "{}", "application/json")).status_code == 415
    assert (await house.post("finance", FILES, {"batch": str(uuid4())})).status_code == 404
