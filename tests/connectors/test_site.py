"""The merchant's own site: fields are bounded, nobody can say they are somebody else, and who minds is not tracked."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.accounts import Account
from connectors.site import GIF
from connectors.site.visitors import read_visitor, sign_visitor
from connectors.webhooks import WebhookRequest
from domain.canonical import VisitData, keys_of
from domain.ids import derived_id
from domain.problems import AuthenticationProblem, ConfigurationProblem, ProblemError, ValidationProblem
from simulator.entities import Visit
from simulator.happenings import What
from tests.connectors.harness import Outside, connector
from tests.documents import blocks, read

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
KEY, SECRET = "site-key-0123456789", SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ACCOUNT = Account("site", "main", {"site_key": KEY, "signing_secret": SECRET.get_secret_value()})
SOON = int((NOW + timedelta(hours=1)).timestamp())
SITE = connector("site")


def pixel(**query: str) -> WebhookRequest:
    return WebhookRequest("GET", {"key": KEY, **query}, {}, b"", NOW)


def with_header(name: str, value: str) -> WebhookRequest:
    return replace(pixel(), headers={name: value})


def at(moment: datetime, **query: str) -> WebhookRequest:
    return replace(pixel(**query), received_at=moment)


def collect(*events: Any, **top: Any) -> WebhookRequest:
    body = {"key": KEY, "events": list(events), **top}
    return WebhookRequest("POST", {}, {}, json.dumps(body).encode(), NOW)


def data_of(request: WebhookRequest, account: Account = ACCOUNT) -> list[dict[str, Any]]:
    return [event.data for event in SITE.to_events(SITE.verify(request, account), account)]


def test_an_image_tells_of_a_visit() -> None:
    [data] = data_of(
        pixel(type="visit", name="search", item_id="g1", channel="ad-7", device="d3adb33fd3ad", **{"a.colour": "red"})
    )
    assert (data["name"], data["item_id"], data["channel"], data["attributes"]) == (
        "search",
        "g1",
        "ad-7",
        {"colour": "red"},
    )
    assert [key.kind for key in keys_of(VisitData.model_validate(data))] == ["device"]
    answer = SITE.acknowledge(SITE.verify(pixel(), ACCOUNT), ACCOUNT)
    assert (answer.body[:6], answer.media_type, len(GIF)) == (b"GIF89a", "image/gif", 42)


def test_a_body_tells_of_visits_carts_and_scans() -> None:
    request = collect(
        {
            "type": "cart",
            "id": "c1",
            "lines": [{"item_id": "g1", "quantity": 2, "price_minor": 100}],
            "total_minor": 200,
        },
        {"type": "scan", "code": "counter-3", "place": "hall"},
        {"name": "page_view", "at": "2026-11-22T12:00:00Z"},
    )
    cart, scan, visit = SITE.to_events(SITE.verify(request, ACCOUNT), ACCOUNT)
    assert [event.type for event in (cart, scan, visit)] == [
        "tandem.cart.updated",
        "tandem.scan.made",
        "tandem.visit.made",
    ]
    assert cart.data["lines"][0]["total_minor"] == 200
    assert visit.data["occurred_at"] == "2026-11-22T12:00:00Z"


def test_the_server_says_who_somebody_is() -> None:
    who = sign_visitor(SECRET, "main", {"member_id": "M1", "phone": "13800138000", "exp": SOON})
    [data] = data_of(collect({}, who=who, device="d3adb33fd3ad"))
    assert [(key.kind, key.scope) for key in keys_of(VisitData.model_validate(data))] == [
        ("member", "site/main"),
        ("phone", ""),
        ("device", ""),
    ]
    crm = Account("site", "main", {**ACCOUNT.settings, "members_of": "generic/crm"})
    [data] = data_of(collect({}, who=who), crm)
    assert data["buyer"]["member_scope"] == "generic/crm"


OTHER = SecretStr("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")


@pytest.mark.parametrize(
    "who",
    [
        sign_visitor(OTHER, "main", {"member_id": "M1", "exp": SOON}),
        sign_visitor(SECRET, "other", {"member_id": "M1", "exp": SOON}),
        sign_visitor(SECRET, "main", {"member_id": "M1", "exp": int(NOW.timestamp()) - 1}),
        sign_visitor(SECRET, "main", {"member_id": "M1", "exp": SOON + 40 * 86_400}),
        sign_visitor(SECRET, "main", {"member_id": "M1"}),
        sign_visitor(SECRET, "main", {"member": "M1", "exp": SOON}),
        sign_visitor(SECRET, "main", {"member_id": "M1", "exp": SOON}).replace(".", "A."),
        "e30.e30",
        "M1",
        ".",
        "é.é",
    ],
)
def test_nobody_forges_another_persons_number(who: str) -> None:
    with pytest.raises(AuthenticationProblem):
        SITE.verify(collect({}, who=who), ACCOUNT)


@pytest.mark.parametrize("field", ["member_id", "phone", "buyer", "unionid"])
def test_a_number_without_a_signature_is_no_field_at_all(field: str) -> None:
    with pytest.raises(ValidationProblem, match=field):
        SITE.verify(pixel(**{field: "13800138000"}), ACCOUNT)


def test_a_phone_never_stands_in_an_address() -> None:
    who = sign_visitor(SECRET, "main", {"phone": "13800138000", "exp": SOON})
    with pytest.raises(AuthenticationProblem, match="POST"):
        SITE.verify(pixel(who=who), ACCOUNT)


@pytest.mark.parametrize("header", ["dnt", "sec-gpc"])
def test_who_does_not_want_to_be_tracked_is_not(header: str) -> None:
    verified = SITE.verify(with_header(header, "1"), ACCOUNT)
    assert verified.echo == GIF
    assert SITE.verify(with_header(header, "0"), ACCOUNT).echo is None


def test_only_pages_of_the_site_may_tell() -> None:
    own = Account("site", "main", {**ACCOUNT.settings, "origins": ["https://shop.example"]})
    assert SITE.verify(with_header("referer", "https://shop.example/a?b"), own)
    assert SITE.verify(pixel(), own), "an app names no page"
    for page in ("https://shop.example.evil/", "http://shop.example/", "null"):
        with pytest.raises(AuthenticationProblem):
            SITE.verify(with_header("origin", page), own)
    with pytest.raises(AuthenticationProblem):
        SITE.verify(replace(pixel(), query={"key": "another-key-0123456789"}), ACCOUNT)


def test_telling_again_changes_nothing_and_two_views_are_two() -> None:
    later = NOW + timedelta(seconds=5)
    same = [SITE.verify(at(moment, id="v1", device="d3adb33fd3ad"), ACCOUNT) for moment in (NOW, later)]
    assert len({verified.dedupe_key for verified in same}) == 1
    two = [SITE.verify(at(moment), ACCOUNT) for moment in (NOW, later)]
    assert len({verified.dedupe_key for verified in two}) == 2
    nobodys = [SITE.verify(at(moment, id="v1"), ACCOUNT) for moment in (NOW, later)]
    assert len({verified.dedupe_key for verified in nobodys}) == 2, "an id of nobody's names nothing"
    others = [SITE.verify(pixel(id="v1", device=device), ACCOUNT) for device in ("d3adb33fd3ad", "cafecafecafe")]
    assert len({verified.dedupe_key for verified in others}) == 2, "nobody names another's event"


def cart_of(request: WebhookRequest, account: Account = ACCOUNT) -> str:
    [data] = data_of(request, account)
    return str(data["cart_id"])


def signed(**claims: str) -> str:
    return sign_visitor(SECRET, "main", {**claims, "exp": SOON})


CART = {"type": "cart", "id": "c1"}


def test_a_signed_visitors_cart_is_theirs_without_a_device_too() -> None:
    first, second = signed(member_id="M1"), signed(member_id="M2")
    theirs = {cart_of(collect(CART, who=who)) for who in (first, second)}
    assert len(theirs) == 2, "the same id of two members"
    assert cart_of(replace(collect(CART, who=first), received_at=NOW + timedelta(minutes=9))) in theirs
    renewed = sign_visitor(SECRET, "main", {"member_id": "M1", "exp": SOON + 60})
    assert cart_of(collect({**CART, "state": "ordered"}, who=renewed)) == cart_of(collect(CART, who=first))
    other_claims = {signed(member_id="13800138000"), signed(phone="13800138000"), signed(unionid="13800138000")}
    assert len({cart_of(collect(CART, who=who)) for who in other_claims}) == 3
    assert cart_of(collect(CART, who=signed(phone="+86 138-0013-8000"))) == cart_of(
        collect(CART, who=signed(phone="13800138000"))
    )
    all_claims = signed(member_id="M1", phone="13800138000")
    assert cart_of(collect(CART, who=all_claims)) == cart_of(collect(CART, who=first)), "the best claim names it"


def test_who_names_neither_a_device_nor_themselves_touches_nobodys_cart() -> None:
    members = cart_of(collect(CART, who=signed(member_id="M1")))
    on_device = cart_of(collect(CART, device="d3adb33fd3ad"))
    later = [replace(collect(CART), received_at=NOW + timedelta(seconds=number)) for number in range(2)]
    assert len({members, on_device, *map(cart_of, later)}) == 4, "not one another's either"
    other = Account("site", "main", {**ACCOUNT.settings, "signing_secret": OTHER.get_secret_value()})
    elsewhere = sign_visitor(OTHER, "main", {"member_id": "M1", "exp": SOON})
    assert cart_of(collect(CART, who=elsewhere), other) != members, "nobody without the secret works it out"


def test_the_ids_of_a_devices_events_stay_as_they_were_published() -> None:
    on_device = [collect(CART, device="d3adb33fd3ad", **who) for who in ({}, {"who": signed(member_id="M1")})]
    assert {cart_of(each) for each in on_device} == {derived_id("cart", "d3adb33fd3ad", "c1")}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"type": "order"}, "type"),
        ({"name": "Page View"}, "name"),
        ({"item_id": "x" * 65}, "item_id"),
        ({"device": "short"}, "device"),
        ({"total_minor": "-1"}, "total_minor"),
        ({"type": "cart", "total_minor": "9" * 5_000}, "total_minor"),
        ({"a.b": "x" * 101}, "attributes"),
        ({"at": "2026-11-20T00:00:00Z"}, "at"),
        ({"at": "2026-11-24T00:00:00Z"}, "at"),
        ({"nonsense": "1"}, "nonsense"),
        ({"item_id": "a\x00"}, "item_id"),
    ],
)
def test_every_field_is_bounded_and_named(query: dict[str, str], path: str) -> None:
    with pytest.raises(ValidationProblem) as error:
        SITE.verify(pixel(**query), ACCOUNT)
    assert path in error.value.problem.as_dict()["errors"][0]["path"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"{" * 99,
        b'{"key":"' + KEY.encode() + b'","events":[]}',
        b" " * 70_000,
        b'{"key":"' + KEY.encode() + b'","events":[{"type":"cart","total_minor":1e8000000}]}',
    ],
    ids=lambda body: body[:99],
)
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationProblem):
        SITE.verify(replace(collect({}), body=body), ACCOUNT)
    with pytest.raises(ValidationProblem):
        SITE.verify(collect(*[{}] * 51), ACCOUNT)


@given(
    query=st.dictionaries(st.text(max_size=10) | st.sampled_from(["type", "at", "who", "code"]), st.text(max_size=30))
)
def test_any_address_is_an_event_or_a_refusal(query: dict[str, str]) -> None:
    try:
        SITE.to_events(SITE.verify(replace(pixel(), query={**query, "key": KEY}), ACCOUNT), ACCOUNT)
    except ProblemError as refused:
        status = refused.problem.status
    else:
        return
    assert status in (400, 401)


@pytest.mark.parametrize("change", [{"site_key": "short"}, {"signing_secret": "x"}, {"origins": ["shop.example"]}])
async def test_settings_that_are_none_are_named(world: Outside, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationProblem, match=next(iter(change))):
        SITE.open(Account("site", "main", {**ACCOUNT.settings, **change}), world.link)


async def test_the_simulated_site_tells_what_is_understood(world: Outside) -> None:
    simulated = world.sim.app.state.world
    account = await world.account("site")
    someone = next(customer for customer in simulated.customers if customer.device and customer.member_number)
    visit = Visit(
        id="visit-1",
        account="demo-site",
        customer_id=someone.id,
        device=someone.device,
        name="page_view",
        item_id="2001000000",
        category="上衣",
        known=True,
        at=datetime.now(UTC),
    )
    simulated.tell(What.VISITED, "demo-site", visit)
    [request] = await world.pushes("site", 1)
    [event] = SITE.to_events(SITE.verify(request, account), account)
    keys = keys_of(VisitData.model_validate(event.data))
    assert {(key.kind, key.scope) for key in keys} == {("phone", ""), ("member", "site/demo-site"), ("device", "")}
    assert someone.member_number in {key.value for key in keys}


def test_the_example_of_the_documents_signs_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNING_SECRET", SECRET.get_secret_value())
    names: dict[str, Any] = {}
    exec(blocks(read("docs/sources.md"), "python")[1], names)
    signed = names["who"]("main", "M1")
    assert read_visitor(SECRET, "main", signed, datetime.now(UTC)).member_id == "M1"
