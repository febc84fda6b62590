"""Bodies of canonical records: what the generic webhook sends, and what an import or a site leaves in the inbox.

A body is one record `{"type": "order", "data": {…}}`, a list of them, or `{"records": […]}`; `past: true` beside
`records` says that they are history. Such a push has the kind `tandem.records`, whatever its account's platform.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.payloads import parse_json
from connectors.webhooks import Verified
from domain.canonical import Origin
from domain.canonical.announcing import announce
from domain.canonical.records import MOST_ERRORS, parse_record
from domain.events import Event
from domain.ids import canonical_json, content_digest
from domain.problems import ProblemError, Text, ValidationProblem

RECORDS_KIND = "tandem.records"
MOST_RECORDS = 500
_MEMBERS = {"type", "data"}


def parse_records(
    body: bytes, account: Account, received_at: datetime, accounts: Collection[str] | None = None
) -> tuple[list[Origin], bool]:
    """The records of a body, and whether they are history. accounts: see `parse_record`.

    :raises ValidationProblem: all or nothing; `errors` names each wrong field by its path, as in
        `records/3/data/paid_minor`.
    """
    value = parse_json(body)
    past = False
    if isinstance(value, dict) and "records" in value:
        past = value.get("past") is True
        if extra := sorted(set(value) - {"records", "past"}):
            raise _refused([{"path": extra[0][:64], **_UNKNOWN.as_dict()}])
        value = value["records"]
    items = value if isinstance(value, list) else [value]
    if not 1 <= len(items) <= MOST_RECORDS:
        text = Text(f"一次 1 到 {MOST_RECORDS} 条记录", f"1 to {MOST_RECORDS} records at once")
        raise _refused([{"path": "records", **text.as_dict()}])
    records: list[Origin] = []
    errors: list[dict[str, str]] = []
    for place, item in enumerate(items):
        try:
            records.append(_parse(item, account, received_at, accounts))
        except ProblemError as problem:
            found = problem.problem.as_dict().get("errors", [])
            errors += [{**error, "path": f"records/{place}/{error['path']}".rstrip("/")} for error in found]
    if errors:
        raise _refused(errors)
    return records, past


def record_events(push: Verified, account: Account, accounts: Collection[str] | None = None) -> list[Event]:
    """The canonical events of a push of kind `tandem.records`; raises ValidationProblem as `parse_records` does."""
    records, past = parse_records(push.payload, account, push.received_at, accounts)
    return [announce(record, push.received_at, past=past) for record in records]


def handed_in(kind: str, data: dict[str, Any], received_at: datetime, *, past: bool = False) -> Verified:
    """One record of ours on its way to the inbox: the same record handed in again has the same key.

    What `data` holds was checked before; amounts are integers and instants texts.
    """
    record = {"type": kind, "data": data}
    payload = canonical_json({"records": [record], "past": past})
    key = f"record:{content_digest(canonical_json(record))}"
    return Verified(kind=RECORDS_KIND, payload=payload, dedupe_key=key, received_at=received_at)


def _parse(item: Any, account: Account, received_at: datetime, accounts: Collection[str] | None) -> Origin:
    if not isinstance(item, dict):
        raise _refused([{"path": "", **Text("应为对象", "this must be an object").as_dict()}])
    if extra := sorted(set(item) - _MEMBERS):
        raise _refused([{"path": extra[0][:64], **_UNKNOWN.as_dict()}])
    return parse_record(
        item.get("type"),
        item.get("data"),
        platform=account.platform,
        account=account.slug,
        received_at=received_at,
        accounts=accounts,
    )


_UNKNOWN = Text("没有这个字段，请删除或更正", "there is no such field; remove or correct it")


def _refused(errors: Sequence[dict[str, str]]) -> ValidationProblem:
    first = errors[0]
    return ValidationProblem(
        Text(
            f"{len(errors)} 处不正确，第一处 {first['path']}：{first['zh']}",
            f"{len(errors)} wrong fields, the first is {first['path']}: {first['en']}",
        ),
        errors=list(errors[:MOST_ERRORS]),
        retryable=False,
    )
