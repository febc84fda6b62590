"""From a request of a page to the records it tells of: every field bounded, nobody's identity taken on trust."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from connectors.accounts import Account
from connectors.canonical_records import RECORDS_KIND, parse_records
from connectors.payloads import parse_json_object
from connectors.site.settings import SiteSettings
from connectors.site.visitors import Visitor, read_visitor
from connectors.webhooks import Refusal, Verified, WebhookRequest
from domain.canonical.keys import key
from domain.ids import canonical_json, content_digest, derived_id
from domain.money import HOME_CURRENCY, AmountMinor
from domain.problems import AuthenticationProblem, Text, ValidationProblem
from domain.validation_texts import explain

LARGEST_BODY = 65_536
MOST_EVENTS = 50
MOST_PARAMETERS = 40
_MOST_DIGITS = 18
OLDEST = timedelta(days=1)
"""How long an app may keep an event before it tells it."""
FUTURE_TOLERANCE = timedelta(minutes=5)

Short = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_ATTRIBUTE = re.compile(r"a\.([a-z][a-z0-9_]{0,31})")


class CartLine(BaseModel):
    """One article in a cart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: Short
    sku_id: Short | None = None
    title: str = Field(default="", max_length=200)
    quantity: int = Field(default=1, ge=1, le=10_000)
    price_minor: AmountMinor = Field(default=0, ge=0, le=10**12)


class SiteEvent(BaseModel):
    """One thing that happened. id: the page's own, so that telling it again changes nothing; it counts within the
    device, without one within the signed visitor, and without both not at all. at: when, if not just now.

    visit: `name` (`page_view`, `search` …), with item, category, channel. scan: `code`, with place. cart: its `state`,
    with lines and total in fen, or the smallest unit of its `currency`; `id` is the cart's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["visit", "cart", "scan"] = "visit"
    id: Short | None = None
    at: AwareDatetime | None = None
    name: Word = "page_view"
    item_id: Short | None = None
    category: Short | None = None
    channel: Short | None = None
    code: Short | None = None
    place: Short | None = None
    state: Literal["open", "ordered", "cleared"] = "open"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = HOME_CURRENCY
    total_minor: AmountMinor | None = Field(default=None, ge=0, le=10**12)
    lines: tuple[CartLine, ...] = Field(default=(), max_length=100)
    attributes: dict[Word, Annotated[str, Field(max_length=100)] | int | bool] = Field(default={}, max_length=10)


class Told(BaseModel):
    """A whole body. key: the site's. who: the signed visitor. device: the page's own mark of a browser."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(max_length=64)]
    who: Annotated[str, Field(max_length=2_048)] | None = None
    device: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")] | None = None
    events: tuple[SiteEvent, ...] = Field(min_length=1, max_length=MOST_EVENTS)


def read_events(request: WebhookRequest, account: Account, settings: SiteSettings) -> Verified:
    """The records of a request, as they wait in the inbox.

    :raises AuthenticationProblem: another site's key or page, or a visitor whose signature is not right.
    :raises ValidationProblem: a field is unknown, too long or wrong; `errors` names it.
    """
    told = _told(request)
    if not hmac.compare_digest(told.key.encode(), settings.site_key.encode()):
        raise _refused(Text("站点密钥不正确", "Wrong site key"))
    _check_origin(request, settings)
    visitor = None
    if told.who is not None:
        visitor = read_visitor(settings.signing_secret, account.slug, told.who, request.received_at)
        if visitor.phone is not None and request.method.upper() != "POST":
            raise _refused(Text("手机号不得出现在地址中，请用 POST", "A phone must not stand in an address; use POST"))
    buyer = _buyer(told, visitor, settings)
    whose = told.device or (_mark_of(visitor, settings) if visitor else None)
    records = [
        _record(event, buyer, _own_number(event, whose, place, request), request.received_at)
        for place, event in enumerate(told.events)
    ]
    payload = canonical_json({"records": records})
    parse_records(payload, account, request.received_at)
    known_by = canonical_json([_timeless(record, event) for record, event in zip(records, told.events, strict=True)])
    return Verified(RECORDS_KIND, payload, f"site:{content_digest(known_by)}", request.received_at)


def _timeless(record: dict[str, Any], event: SiteEvent) -> dict[str, Any]:
    """What stays the same when a page tells of one visit again, without having said when it was."""
    if event.at is not None or event.type == "cart":
        return record
    return {name: value for name, value in record["data"].items() if name not in ("occurred_at", "version")}


def _told(request: WebhookRequest) -> Told:
    if len(request.body) > LARGEST_BODY or len(request.query) > MOST_PARAMETERS:
        raise ValidationProblem(
            Text(f"请求超过 {LARGEST_BODY} 字节", f"The request is larger than {LARGEST_BODY} bytes"), errors=[]
        )
    data = parse_json_object(request.body) if request.method.upper() == "POST" else _from_query(request.query)
    try:
        return Told.model_validate(data)
    except ValidationError as error:
        errors = [
            {"path": "/".join(map(str, item["loc"])), **explain(item).as_dict()}
            for item in error.errors(include_url=False, include_input=False)[:20]
        ]
        first = errors[0]
        raise ValidationProblem(
            Text(f"{first['path']}：{first['zh']}", f"{first['path']}: {first['en']}"), errors=errors, retryable=False
        ) from None


def _from_query(query: Mapping[str, str]) -> dict[str, Any]:
    """An image's address has room for one event; its attributes are written `a.colour=red`."""
    event: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    for name, value in query.items():
        if name in ("key", "who", "device"):
            continue
        if match := _ATTRIBUTE.fullmatch(name):
            attributes[match[1]] = value
        elif name != "nocache":
            is_amount = name == "total_minor" and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
            event[name] = int(value) if is_amount else value
    if attributes:
        event["attributes"] = attributes
    top = {name: query[name] for name in ("key", "who", "device") if query.get(name)}
    return {**top, "events": [event]}


def _check_origin(request: WebhookRequest, settings: SiteSettings) -> None:
    """A browser says which page asks; what says nothing (an app, a mail) is taken by its key alone."""
    page = request.headers.get("origin") or request.headers.get("referer")
    if not settings.origins or not page:
        return
    try:
        parts = urlsplit(page)
    except ValueError:
        is_ours = False  # an address that is none, such as `http://[`
    else:
        is_ours = f"{parts.scheme}://{parts.netloc}" in settings.origins
    if not is_ours:
        raise _refused(Text("来源页面不属于该站点", "The page is not one of this site's"))


def _buyer(told: Told, visitor: Visitor | None, settings: SiteSettings) -> dict[str, Any]:
    claims = visitor.model_dump(exclude={"exp"}, exclude_none=True) if visitor else {}
    if "member_id" in claims and settings.members_of:
        claims["member_scope"] = settings.members_of
    return {**claims, **({"device": told.device} if told.device else {})}


def _mark_of(visitor: Visitor, settings: SiteSettings) -> str | None:
    """What stands for a signed visitor where a device's mark would: no device is called so, and nobody makes it up.

    Keyed, as ids are told to many and a phone has few digits.
    """
    claims = (key("unionid", visitor.unionid), key("member", visitor.member_id), key("phone", visitor.phone))
    best = next((each for each in claims if each is not None), None)
    secret = settings.signing_secret.get_secret_value().encode()
    return best and f"who:{hmac.new(secret, f'{best.kind}:{best.value}'.encode(), hashlib.sha256).hexdigest()}"


def _own_number(event: SiteEvent, whose: str | None, place: int, request: WebhookRequest) -> str:
    """What names the event: the page's id for it within whose it is, else the moment at which it came.

    An id that is nobody's would be everybody's to overwrite.
    """
    if event.id is not None and whose is not None:
        return derived_id(event.type, whose, event.id)
    return derived_id(request.received_at.isoformat(), str(place), content_digest(request.body), str(request.query))


def _record(event: SiteEvent, buyer: dict[str, Any], number: str, received_at: datetime) -> dict[str, Any]:
    at = event.at or received_at
    if not received_at - OLDEST <= at <= received_at + FUTURE_TOLERANCE:
        raise ValidationProblem(
            Text("at 应在过去 24 小时之内", "`at` must be within the last 24 hours"),
            errors=[{"path": "at", "zh": "应在过去 24 小时之内", "en": "must be within the last 24 hours"}],
            retryable=False,
        )
    data: dict[str, Any] = {"buyer": buyer, "occurred_at": at.isoformat(), "version": int(at.timestamp() * 1000)}
    if event.type == "scan":
        data |= {"scan_id": number, "code": event.code or "", "place": event.place}
    elif event.type == "cart":
        lines = [
            {
                **line.model_dump(exclude_none=True),
                "line_id": str(place),
                "total_minor": line.price_minor * line.quantity,
            }
            for place, line in enumerate(event.lines, 1)
        ]
        data |= {"cart_id": number, "state": event.state, "lines": lines, "total_minor": event.total_minor}
        if event.currency != HOME_CURRENCY:
            data["currency"] = event.currency
    else:
        data |= {
            "visit_id": number,
            "name": event.name,
            "item_id": event.item_id,
            "category": event.category,
            "channel": event.channel,
            "attributes": dict(event.attributes),
        }
    return {"type": event.type, "data": {name: value for name, value in data.items() if value is not None}}


def _refused(text: Text) -> AuthenticationProblem:
    return AuthenticationProblem(text, reason=Refusal.SIGNATURE, retryable=False)
