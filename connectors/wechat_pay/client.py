"""What Tandem does for one WeChat Pay merchant: the implementation of `domain.catalog.wechat_pay`."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar

from connectors.errors import asked_first, leaving_unknown, still_unknown
from connectors.reading import anomaly, optional_minor, optional_text, rfc3339, text
from connectors.wechat_pay.bill_lines import bill_lines
from connectors.wechat_pay.bills import Bill, FundAccount, read_bill, together
from connectors.wechat_pay.codes import NO_BILL
from connectors.wechat_pay.keys import PLATFORM
from connectors.wechat_pay.packed import fetched_again
from connectors.wechat_pay.sharing import ProfitSharing
from domain.canonical.payouts import PayoutState
from domain.catalog.wechat_pay import (
    BillArguments,
    BillOutput,
    TransferArguments,
    TransferNumberArguments,
    TransferOutput,
)
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    Text,
    ValidationProblem,
)
from domain.settlement.bills import BillKind, DayBill

TRANSFERS = "/v3/fund-app/mch-transfer/transfer-bills"
MAX_BILL_BYTES = 67_108_864
_BASIC: FundAccount = "BASIC"
_OPERATION: FundAccount = "OPERATION"
STATES: Mapping[str, PayoutState] = {
    "ACCEPTED": "accepted",
    "PROCESSING": "processing",
    "WAIT_USER_CONFIRM": "wait_confirm",
    "TRANSFERING": "processing",
    "SUCCESS": "succeeded",
    "FAIL": "failed",
    "CANCELING": "processing",
    "CANCELLED": "cancelled",
}


class WechatPayMerchant(ProfitSharing):
    """One merchant. Methods raise problems as `connectors.errors` describes them."""

    bill_kinds: ClassVar[tuple[BillKind, ...]] = ("trade", "funds")
    """See `connectors.billing.Billing`."""

    async def transfer(self, request: TransferArguments, *, key: str, resumed: bool) -> TransferOutput:
        """Transfer money once per number, which is the platform's idempotency key.

        After any answer but a good one the number stays and the platform is asked first what became of it: at once
        when it refused, by the next attempt when it did not answer. A refusal that is raised was confirmed so.
        """
        number = request.out_bill_no or bill_number(key)
        if resumed:
            known = await self._known(request, number)
            if known is not None:
                return await self.with_package(request, known)
        try:
            answer = await self.api.change(TRANSFERS, self._order(request, number))
        except ProblemError as problem:
            if problem.problem.as_dict().get("outcome") == "unknown":
                raise
            with asked_first():
                known = await self._known(request, number)
                if known is not None:
                    return await self.with_package(request, known)
                raise
        with leaving_unknown():
            return _read(answer, number)

    async def with_package(self, request: TransferArguments, told: TransferOutput) -> TransferOutput:
        """A transfer with what its payee needs to confirm it, while it waits for them.

        The platform says that only in answer to the order itself, never when it is asked; an order that is sent again
        under its number is the same one [O], and answered with the same package [S]. What cannot be had stays away.
        """
        if told.state != "wait_confirm" or told.confirmation is not None:
            return told
        try:
            again = _read(await self.api.change(TRANSFERS, self._order(request, told.out_bill_no)), told.out_bill_no)
        except ProblemError:
            return told
        return told.model_copy(update={"confirmation": again.confirmation})

    async def get_transfer(self, request: TransferNumberArguments) -> TransferOutput:
        """The transfer as it stands; the platform knows it for thirty days."""
        return _read(await self._query(request.out_bill_no), request.out_bill_no)

    async def read_bill(self, request: BillArguments) -> BillOutput:
        """A day's bill in figures; all of them 0 for a day without any."""
        bill, digest = await self.download_bill(request)
        return BillOutput(
            day=request.day,
            kind=request.kind,
            rows=len(bill.rows),
            in_minor=bill.in_minor,
            out_minor=bill.out_minor,
            fee_minor=bill.fee_minor,
            digest=digest,
        )

    async def download_bill(self, request: BillArguments) -> tuple[Bill, str | None]:
        """A day's bill with its rows, and the digest it was checked against, of several accounts with `+` between; None
        for a day without any.

        Raises CommunicationProblem: retryable when the file is not what its digest says, else when it cannot be read.
        """
        if request.kind == "trade":
            told = await self._told_of(f"/v3/bill/tradebill?bill_date={request.day}&bill_type=ALL&tar_type=GZIP")
            return await self._read(told, request.kind)
        bill, digest, _ = await self._fund_bill(request.day)
        return bill, digest

    async def day_bill(self, day: date, kind: BillKind) -> DayBill:
        """A day's bill, line by line. Raises as `download_bill`, and ValidationProblem with row and column."""
        if kind == "trade":
            bill, digest = await self.download_bill(BillArguments(day=day, kind=kind))
            whole = True
        else:
            bill, digest, whole = await self._fund_bill(day)
        lines = await asyncio.to_thread(bill_lines, bill, kind, day, self.api.settings.mch_id)
        return DayBill(lines, digest, whole)

    async def _fund_bill(self, day: date) -> tuple[Bill, str | None, bool]:
        """What moved on the basic and on the operation account, and whether the platform told of both.

        What it says of an operation account that a merchant has not is unverified: where it is no missing bill, the
        basic account's is all there is, and nothing follows from what is not in it.
        """
        target, whole = f"/v3/bill/fundflowbill?bill_date={day}&tar_type=GZIP&account_type=", True
        found = [await self._read(await self._told_of(f"{target}{_BASIC}"), "funds")]
        try:
            told = await self._told_of(f"{target}{_OPERATION}")
        except (AuthorizationProblem, NotFoundProblem, ValidationProblem):
            whole = False
        else:
            found.append(await self._read(told, "funds"))
        digests = [digest for _, digest in found if digest is not None]
        return together([bill for bill, _ in found]), "+".join(digests) or None, whole

    async def _told_of(self, target: str) -> dict[str, Any] | None:
        """Where a bill can be had; None for a day without one."""
        try:
            return await self.api.get(target)
        except NotFoundProblem as problem:
            if problem.problem.as_dict().get("platform_code") in NO_BILL:
                return None
            raise

    async def _read(self, told: Mapping[str, Any] | None, kind: BillKind) -> tuple[Bill, str | None]:
        if told is None:
            return Bill(()), None
        content = await self.api.download(text(told, "download_url", limit=2048), MAX_BILL_BYTES)
        digest = text(told, "hash_value", limit=128).lower()
        actual = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        if told.get("hash_type") != "SHA1" or not hmac.compare_digest(digest.encode(), actual.encode()):
            raise fetched_again(
                Text("账单文件与摘要不符，将重新下载", "The bill is not what its digest says; it is fetched again")
            )
        return await asyncio.to_thread(read_bill, content.decode("utf-8", "replace"), kind), digest

    async def _known(self, request: TransferArguments, number: str) -> TransferOutput | None:
        """What became of a transfer; None when the platform never took it, as a refusal that it signed says. Failing
        to ask leaves that unknown.

        Raises ConflictProblem when the number belongs to another payment, so that this one was never made.
        """
        try:
            answer = await self._query(number)
        except NotFoundProblem:
            return None
        except ProblemError as problem:
            raise still_unknown(problem) from None
        same = (answer.get("openid", request.openid), answer.get("transfer_amount", request.amount_minor))
        if same != (request.openid, request.amount_minor):
            raise ConflictProblem(
                Text(
                    f"商户单号 {number} 已用于另一笔转账（金额或收款人不同），请换一个单号",
                    f"Number {number} was used for another transfer (amount or payee differ); take another one",
                ),
                platform=PLATFORM,
                retryable=False,
                outcome="not_done",
                asked_first=True,
            )
        with leaving_unknown():
            return _read(answer, number)

    async def _query(self, number: str) -> dict[str, Any]:
        return await self.api.get(f"{TRANSFERS}/out-bill-no/{number}")

    def _order(self, request: TransferArguments, number: str) -> dict[str, Any]:
        settings = self.api.settings
        order: dict[str, Any] = {
            "appid": settings.app_id,
            "out_bill_no": number,
            "transfer_scene_id": settings.scene_id,
            "openid": request.openid,
            "transfer_amount": request.amount_minor,
            "transfer_remark": request.remark,
        }
        if request.payee_name is not None:
            order["user_name"] = self.api.keys.seal(request.payee_name)
        if settings.notify_url is not None:
            order["notify_url"] = settings.notify_url
        order["transfer_scene_report_infos"] = [
            {"info_type": kind, "info_content": content}
            for kind, content in {**settings.reports, **request.reports}.items()
        ]
        return order


def bill_number(key: str) -> str:
    """Our number of a transfer, derived from the effect's key: 32 letters and digits, the same for every attempt."""
    return "T" + hashlib.sha256(key.encode()).hexdigest()[:31]


def _read(answer: Mapping[str, Any], number: str) -> TransferOutput:
    told = optional_text(answer, "out_bill_no", limit=32)
    if told is not None and told != number:
        raise anomaly("out_bill_no", Text("属于另一笔转账", "belongs to another transfer"))
    return TransferOutput(
        out_bill_no=number,
        payout_id=optional_text(answer, "transfer_bill_no", limit=64),
        state=STATES.get(str(answer.get("state")), "unknown"),
        amount_minor=optional_minor(answer, "transfer_amount"),
        confirmation=optional_text(answer, "package_info", limit=4096),
        fail_reason=optional_text(answer, "fail_reason", limit=256),
        created_at=rfc3339(answer, "create_time"),
        updated_at=rfc3339(answer, "update_time"),
    )
