"""A Youzan shop: what is read, and when a refund may be settled."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault
from connectors.reading import CHINA
from connectors.tokens import MemoryTokenStore, Token
from connectors.webhooks import Verified
from connectors.youzan.codes import BUSINESS_CODES
from connectors.youzan.pulling import PULLED_ORDER, PULLED_REFUND
from connectors.youzan.return_rules import read_return_rule
from domain.catalog.youzan import RefundArguments
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ProblemError, ValidationProblem
from simulator import trade
from simulator.platforms.youzan import render
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all

COMPLETED, PARCEL = "tandem.order.completed", "tandem.shipment.updated"
LATER = timedelta(minutes=3)


def problem_of(error: pytest.ExceptionInfo[ProblemError]) -> dict[str, Any]:
    return error.value.problem.as_dict()


async def test_a_refund_reads_in_tandems_words(world: Outside) -> None:
    made = await world.sim.refund(amount_minor=60000, reason="尺码不合适")
    refund = await perform(await world.open("youzan"), "youzan.get_refund", refund_id=made["id"])
    assert (refund.status, refund.amount_minor, refund.reason) == ("returned", 60000, "尺码不合适")
    assert (refund.order_id, refund.returns_goods) == (made["tid"], True)
    assert refund.parcel.waybill == made["waybill"]


async def test_a_trade_brings_the_buyers_identities_and_no_plain_personal_data(world: Outside) -> None:
    made = await world.sim.refund()
    trade = await perform(await world.open("youzan"), "youzan.get_trade", order_id=made["tid"])
    customer = next(
        row
        for row in (await world.sim.admin("GET", "/customers", params={"limit": 100}))["customers"]
        if row["id"] == made["customer_id"]
    )
    assert (trade.buyer.unionid, trade.buyer.openid) == (customer["unionid"], customer["openid"])
    assert trade.paid_minor == made["amount_minor"] == sum(line.total_minor for line in trade.lines)
    shown = trade.model_dump_json()
    assert customer["phone"] not in shown
    assert customer["name"] not in shown
    assert customer["street"] not in shown


async def test_a_trade_is_read_without_its_unionid_where_that_may_not_be_asked(world: Outside) -> None:
    made = await world.sim.refund()
    client = await world.open("youzan")
    client.gateway.call = _refusing(client.gateway.call, "youzan.users.info.query")
    trade = await perform(client, "youzan.get_trade", order_id=made["tid"])
    assert (trade.buyer.unionid, trade.buyer.buyer_id is not None) == (None, True)


@pytest.mark.parametrize(
    ("parcel", "transit_s", "state"),
    [("none", 0, "none"), ("normal", 3600, "in_transit"), ("normal", 0, "signed"), ("lost", 3600, "in_transit")],
)
async def test_a_parcel_is_nowhere_on_its_way_or_there(
    world: Outside, parcel: str, transit_s: float, state: str
) -> None:
    made = await world.sim.refund(parcel=parcel, transit_s=transit_s)
    tracked = await perform(await world.open("youzan"), "youzan.track_waybill", refund_id=made["id"])
    assert tracked.state == state
    assert tracked.waybill == made["waybill"]
    assert (tracked.last_trace is None) == (state == "none")


async def test_a_parcel_is_found_whatever_state_its_refund_is_in(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await world.sim.refund(parcel="normal", transit_s=3600)
    whole = render.refund
    monkeypatch.setattr(render, "refund", lambda *asked: {**whole(*asked), "status": "ABDUCTED"})
    tracked = await perform(await world.open("youzan"), "youzan.track_waybill", refund_id=made["id"])
    assert (tracked.state, tracked.waybill) == ("in_transit", made["waybill"])


async def test_a_refund_that_somebody_paid_by_hand_is_a_success(world: Outside) -> None:
    made = await world.sim.refund()
    client = await world.open("youzan")
    first = await perform(client, "youzan.agree_refund", key="a", refund_id=made["id"])
    second = await perform(client, "youzan.agree_refund", key="b", refund_id=made["id"])
    assert (first.already, second.already, second.status) == (False, True, "refunded")
    assert first.amount_minor == made["amount_minor"]
    assert await world.effects(kind="refund_agreed", refund_id=made["id"]) == 1


async def test_a_withdrawn_refund_is_not_paid(world: Outside) -> None:
    made = await world.sim.refund()
    await world.sim.admin("POST", f"/refunds/{made['id']}/withdraw", params={"push": "false"})
    with pytest.raises(ConflictProblem, match="closed"):
        await perform(await world.open("youzan"), "youzan.agree_refund", refund_id=made["id"])


async def test_a_refund_that_changes_between_reading_and_paying_is_read_again(world: Outside) -> None:
    made = await world.sim.refund(stage="asked", returns_goods=False)
    client = await world.open("youzan")
    original, moved = client.gateway.call, False

    async def buyer_sends_goods_first(api: str, *rest: Any, **more: Any) -> Any:
        nonlocal moved
        if api == "youzan.trade.refund.agree" and not moved:
            moved = True
            refund = world.sim.app.state.world.refunds.get(made["id"])
            world.sim.app.state.world.refunds.change(refund, version=refund.version + 1)
        return await original(api, *rest, **more)

    client.gateway.call = buyer_sends_goods_first
    result = await perform(client, "youzan.agree_refund", refund_id=made["id"])
    assert (result.status, result.already) == ("refunded", False)
    assert await world.effects(kind="refund_agreed", refund_id=made["id"]) == 1


async def test_a_refund_is_refused_once_with_the_reason(world: Outside) -> None:
    made = await world.sim.refund(stage="asked")
    client = await world.open("youzan")
    api = {"platform": "youzan", "api": "youzan.trade.refund.refuse"}
    await world.break_things({"match": api, "fault": "timeout_after", "times": 1, "seconds": 3})
    refused = await perform(client, "youzan.refuse_refund", refund_id=made["id"], reason="商品已影响二次销售")
    assert (refused.status, refused.already) == ("refused", True)
    assert await world.effects(kind="refund_refused", refund_id=made["id"]) == 1
    with pytest.raises(ConflictProblem):
        await perform(client, "youzan.agree_refund", key="other", refund_id=made["id"])


async def test_a_number_nobody_gave_out_is_final_and_one_of_now_is_awaited(world: Outside) -> None:
    client = await world.open("youzan")
    with pytest.raises(NotFoundProblem) as old:
        await client.get_refund(_request("202001010000000000000001"))
    assert problem_of(old)["retryable"] is False
    number = f"{datetime.now(CHINA):%Y%m%d%H%M%S}0000000001"
    with pytest.raises(NotFoundProblem) as young:
        await client.get_refund(_request(number))
    assert (problem_of(young)["retryable"], problem_of(young)["retry_after_s"]) == (True, 30.0)


async def test_another_shops_refund_is_out_of_reach(world: Outside) -> None:
    made = await world.sim.refund(shop="demo-beauty")
    with pytest.raises(AuthorizationProblem):
        await perform(await world.open("youzan"), "youzan.agree_refund", refund_id=made["id"])


async def test_a_malformed_number_is_the_authors_mistake(world: Outside) -> None:
    with pytest.raises(ValidationProblem) as error:
        await perform(await world.open("youzan"), "youzan.get_refund", refund_id="R1")
    assert problem_of(error)["platform_code"] == "103010052"
    assert BUSINESS_CODES[103010052].text.zh in problem_of(error)["message"]["zh"]


async def test_tokens_are_renewed_by_the_refresh_token_where_the_application_has_one(world: Outside) -> None:
    granted = (await world.sim.youzan_token())["data"]
    account = await world.account("youzan", refresh_token=granted["refresh_token"])
    report = await connector("youzan").test_connection(account, world.link)
    assert report.ok, report.message
    spent = await connector("youzan").test_connection(
        await world.account("youzan", refresh_token="spent"), (await _without_tokens(world)).link
    )
    assert not spent.ok
    assert "authorise again" in spent.message.en


async def test_a_secret_is_tried_although_calls_do_without_it(world: Outside) -> None:
    granted = (await world.sim.youzan_token())["data"]
    account = await world.account("youzan", refresh_token=granted["refresh_token"])
    youzan, tokens = connector("youzan"), world.sim.app.state.world.tokens
    assert (await youzan.test_connection(account, world.link)).ok
    fetched = len(tokens.having(platform="youzan"))
    mistyped = replace(account, settings={**account.settings, "client_secret": "0" * 32})
    report = await youzan.test_connection(mistyped, world.link)
    assert report.fault is ConnectionFault.CREDENTIALS, "every push would be refused"
    assert "client_secret" in report.message.en
    assert (await youzan.test_connection(account, world.link)).ok, "nothing was spent"
    assert len(tokens.having(platform="youzan")) == fetched, "a secret that was tried is not tried again"


async def test_a_test_spends_no_chain_that_was_begun_before_proofs_were_kept(world: Outside) -> None:
    granted = (await world.sim.youzan_token())["data"]
    account = await world.account("youzan", refresh_token=granted["refresh_token"])
    name = connector("youzan").open(account, world.link).gateway.token_of(account.settings["kdt_id"])
    now = world.link.now()
    known = Token(granted["access_token"], now, now + timedelta(hours=1), granted["refresh_token"])
    await world.link.tokens.save(name, known)
    assert (await connector("youzan").test_connection(account, world.link)).ok
    assert await world.link.tokens.load(name) == known


async def test_a_shop_that_was_authorised_anew_works_with_what_was_entered_then(world: Outside) -> None:
    first = (await world.sim.youzan_token())["data"]
    before = await world.account("youzan", refresh_token=first["refresh_token"])
    assert (await connector("youzan").test_connection(before, world.link)).ok
    second = (await world.sim.youzan_token(refresh=True))["data"]
    after = await world.account("youzan", refresh_token=second["refresh_token"])
    report = await connector("youzan").test_connection(after, world.link)
    assert report.ok, report.message


async def _without_tokens(world: Outside) -> Outside:
    return replace(world, link=replace(world.link, tokens=MemoryTokenStore()))


def _request(refund_id: str) -> Any:
    return RefundArguments(refund_id=refund_id)


def _refusing(original: Any, refused: str) -> Any:
    async def call(api: str, *rest: Any, **more: Any) -> Any:
        if api == refused:
            raise AuthorizationProblem("no permission", retryable=False)
        return await original(api, *rest, **more)

    return call


@pytest.mark.parametrize("stream", ["orders", "refunds"])
async def test_what_is_pulled_is_everything_and_tells_the_same_events_as_pushes(world: Outside, stream: str) -> None:
    made = [await world.sim.refund(push=True, stage="asked") for _ in range(3)]
    pushed = {event.id for event in await _events_of(await world.pushes("youzan", 3))}
    account = await world.account("youzan")
    client = connector("youzan").open(account, replace(world.link, answer_timeout_s=10))
    cursor: dict[str, Any] = {"since": "2026-01-01T00:00:00Z"}
    events: dict[str, Any] = {}
    more = True
    while more:
        page = await client.pull(stream, cursor, client.gateway.now() + timedelta(seconds=1))
        cursor, more = dict(page.cursor), page.more
        for record in page.records:
            events |= {event.id: event for event in connector("youzan").to_events(record, account)}
    if stream == "refunds":
        assert {event.data["refund_id"] for event in events.values()} == {row["id"] for row in made}
        assert pushed <= events.keys()
    else:
        assert {row["tid"] for row in made} <= {event.data["order_id"] for event in events.values()}
        orders = [event for event in events.values() if event.type != PARCEL]
        assert all(event.data["paid_minor"] > 0 and event.data["lines"] for event in orders)


@pytest.mark.parametrize("told_by", ["push", "list", "trade"])
async def test_an_order_tells_its_coupons_its_discount_and_when_it_was_sent_and_ended(
    world: Outside, told_by: str
) -> None:
    account, state = await world.account("youzan"), world.sim.app.state.world
    order = trade.place_order(state, account.slug, coupon_ids=("cp1", "cp2"), discount_minor=1200)
    order = trade.complete(state, trade.ship(state, trade.pay(state, order), "SF1"))
    told: Any
    if told_by == "trade":
        read = await perform(await world.open("youzan"), "youzan.get_trade", order_id=order.id)
        told = read.model_dump(mode="json")
    elif told_by == "push":
        (told,) = (e.data for e in await _events_of(await world.pushes("youzan", 4)) if e.type == COMPLETED)
    else:
        client = connector("youzan").open(account, replace(world.link, now=lambda: order.updated_at + LATER))
        records, _ = await pull_all(client, "orders", order.created_at - LATER, until=order.updated_at + LATER)
        events = events_of(records, account)
        (told,) = (e.data for e in events if e.type == COMPLETED and e.data["order_id"] == order.id)
    assert (told["discount_minor"], told["coupon_ids"]) == (1200, ["cp1", "cp2"])
    for name, moment in (("shipped_at", order.shipped_at), ("completed_at", order.finished_at)):
        assert moment is not None
        assert datetime.fromisoformat(told[name]) == moment.replace(microsecond=0)


async def test_the_parcel_of_an_order_is_one_whether_it_is_pushed_or_listed(world: Outside) -> None:
    account, state = await world.account("youzan"), world.sim.app.state.world
    order = trade.ship(state, trade.pay(state, trade.place_order(state, account.slug)), "SF1")
    trade.complete(state, order)
    pushed = [event for event in await _events_of(await world.pushes("youzan", 4)) if event.type == PARCEL]
    assert len(pushed) == 2, "as it was sent, and as it came"
    client = connector("youzan").open(account, replace(world.link, now=lambda: order.updated_at + LATER))
    records, _ = await pull_all(client, "orders", order.created_at - LATER, until=order.updated_at + LATER)
    listed = [event for event in events_of(records, account) if event.data["order_id"] == order.id]
    (parcel,) = [event for event in listed if event.type == PARCEL]
    assert {(event.id, event.data["version"]) for event in pushed} == {(parcel.id, parcel.data["version"])}
    read = await perform(await world.open("youzan"), "youzan.get_trade", order_id=order.id)
    assert (read.waybills, parcel.data["line_ids"]) == (("SF1",), [line.oid for line in order.lines])


def test_parcels_are_read_as_the_platform_writes_them() -> None:
    express = {"express_id": 7, "express_no": "SF2"}
    sent = [
        {"oids": [{"oid": "1"}], "dists": [{"create_time": "2026-05-01 10:00:00", "express_info": express}]},
        {"oids": ["2"], "dists": [{"express_info": {"express_id": 0, "express_no": ""}}, {"express_info": None}]},
        {"oids": None, "dists": None},
    ]
    about = {"tid": "E1", "status": "WAIT_SELLER_SEND_GOODS", "pay_time": "2026-05-01 08:00:00"}
    row = {"full_order_info": {"order_info": about, "pay_info": {"payment": "1.00"}}, "delivery_order": sent}
    record = Verified(PULLED_ORDER, json.dumps(row).encode(), "k", datetime.now(CHINA))
    order, parcel = connector("youzan").to_events(record, Account("youzan", "demo-apparel", {}))
    assert (order.data["status"], parcel.data["waybill"], parcel.data["line_ids"]) == ("paid", "SF2", ["1"])
    assert parcel.time == datetime(2026, 5, 1, 10, tzinfo=CHINA)


def test_an_order_whose_parcels_and_promotions_are_told_in_an_unknown_way_is_an_order() -> None:
    express = {"express_no": ["SF2"]}
    sent = [{"oids": ["1"], "dists": [{"create_time": 1777600800000, "express_info": express}]}]
    about = {"tid": "E1", "status": "WAIT_SELLER_SEND_GOODS", "consign_time": "2026-05-01 10:00:00.0"}
    promotion = {"order": [{"coupon_id": {"id": 1}}], "order_discount_fee": "-1"}
    order = {"order_info": about, "pay_info": {"payment": "1.00"}}
    row = {"full_order_info": order, "delivery_order": sent, "order_promotion": promotion}
    record = Verified(PULLED_ORDER, json.dumps(row).encode(), "k", datetime.now(CHINA))
    (event,) = connector("youzan").to_events(record, Account("youzan", "demo-apparel", {}))
    assert (event.data["status"], event.data["paid_minor"]) == ("paid", 100)
    assert (event.data["discount_minor"], event.data["coupon_ids"], event.data["shipped_at"]) == (None, [], None)


@pytest.mark.parametrize(
    ("promotion", "discount", "coupons"),
    [
        (None, None, []),
        ({"order": None, "order_discount_fee": None}, None, []),
        ({"order": {"sub_promotion_type": "card", "coupon_id": "3321hu2tv3123"}}, None, ["3321hu2tv3123"]),
        ({"order": [{"coupon_id": ""}, {"coupon_id": 7}, {"coupon_id": 7}], "order_discount_fee": 0.2}, 20, ["7"]),
    ],
)
def test_promotions_are_read_in_every_form_they_are_told_in(promotion: Any, discount: Any, coupons: list[str]) -> None:
    about = {"tid": "E1", "status": "TRADE_CLOSED", "success_time": "2026-05-01 08:00:00"}
    row = {"full_order_info": {"order_info": about, "pay_info": {"payment": "1.00"}}, "order_promotion": promotion}
    record = Verified(PULLED_ORDER, json.dumps(row).encode(), "k", datetime.now(CHINA))
    (event,) = connector("youzan").to_events(record, Account("youzan", "demo-apparel", {}))
    assert (event.data["discount_minor"], event.data["coupon_ids"]) == (discount, coupons)
    assert event.data["completed_at"] is None, "it was closed"


async def _events_of(requests: list[Any]) -> list[Any]:
    account = Account("youzan", "demo-apparel", {})
    records = [Verified(json.loads(each.body)["type"], each.body, "key", each.received_at) for each in requests]
    return [event for record in records for event in connector("youzan").to_events(record, account)]


def test_no_version_is_ahead_of_the_change_it_came_with() -> None:
    """Else nothing that happens later to the refund would ever count."""
    now = datetime.now(CHINA).replace(microsecond=0)
    local, far = f"{now:%Y-%m-%d %H:%M:%S}", 10**17
    about = {"refund_id": "1", "tid": "E1", "refund_fee": "9.90", "status": "WAIT_SELLER_AGREE"}
    later = int((now + timedelta(seconds=1)).timestamp() * 1000)

    def version(kind: str, body: dict[str, Any]) -> int:
        record = Verified(kind, json.dumps(body).encode(), "k", now)
        (event,) = connector("youzan").to_events(record, Account("youzan", "demo-apparel", {}))
        return int(event.data["version"])

    push = "trade_refund_BuyerCreated"
    for told in (far, later - 1):
        assert version(push, {"msg": {**about, "version": told, "update_time": local}}) == later - 1
        assert version(PULLED_REFUND, {**about, "version": told, "modified": local}) == later - 1
    for kind, body in ((push, {"msg": {**about, "version": far}}), (PULLED_REFUND, {**about, "version": far})):
        with pytest.raises(ValidationProblem, match="version"):
            version(kind, body)


@pytest.mark.parametrize(
    ("slug", "title", "comes_back"),
    [("demo-apparel", "羊毛混纺针织开衫", True), ("demo-beauty", "丝绒哑光口红", False)],
)
async def test_the_return_rule_of_an_article_is_its_shop_s(
    world: Outside, slug: str, title: str, comes_back: bool
) -> None:
    shown = next(each for each in (await world.sim.admin("GET", "/accounts"))["accounts"] if each["account"] == slug)
    settings = {name: shown[name] for name in ("base_url", "client_id", "client_secret", "kdt_id")}
    client = connector("youzan").open(Account("youzan", slug, settings), world.link)
    item = next(row.item_id for row in world.sim.app.state.world.goods.having(shop=slug) if row.title == title)
    rule = await perform(client, "youzan.get_return_rule", item_id=item)
    assert (rule.unconditional, rule.days, rule.exchangeable) == (comes_back, 7 if comes_back else None, comes_back)
    with pytest.raises(NotFoundProblem):
        await perform(client, "youzan.get_return_rule", item_id="1")


@pytest.mark.parametrize("mark", [None, "", "no JSON", {}, {"is_support_unconditional_return": "yes"}])
def test_a_rule_that_is_not_told_is_unknown(mark: Any) -> None:
    rule = read_return_rule("1", {"unconditional_return_mark": mark})
    assert (rule.unconditional, rule.days, rule.exchangeable) == (None, None, None)
