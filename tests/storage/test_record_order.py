"""Records end the same whatever the order and the batches in which their tellings come, through the real tables."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise, permutations
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from domain.customers.folding import fold
from domain.customers.records import Record, record_of
from domain.events import Event
from storage.engine import Database
from storage.goods import GoodsRow, StockRow
from storage.identities import IdentityRow
from storage.interactions import InteractionRow
from storage.orders import OrderLineRow, OrderRow, RefundRow, ShipmentRow
from storage.records import Records
from storage.unit_of_work import UnitOfWork
from tests.people import add_customers

AT = datetime(2026, 11, 11, tzinfo=UTC)
Telling = tuple[str, int, Mapping[str, Any]]
"""Family, version and what is said."""

accounts = (f"shop-{number}" for number in count())


def saying(family: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Telling]:
    """Tellings of a family; each field may be left out."""
    optional = {name: st.none() | values for name, values in fields.items()}
    said = st.fixed_dictionaries(optional).map(
        lambda given: {name: value for name, value in given.items() if value is not None}
    )
    return st.tuples(st.just(family), st.integers(1, 4), said)


AMOUNTS = st.sampled_from([0, 100, 9900])
WORDS = st.sampled_from(["a", "b"])
BUYERS = st.sampled_from([{"buyer_id": "B1"}, {"buyer_id": "B2", "nickname": "云"}, {"nickname": "雨"}])
LINES = st.lists(
    st.builds(
        lambda line_id, title: {
            "line_id": line_id, "title": title, "quantity": 1, "price_minor": 100, "total_minor": 100,
        },
        st.sampled_from(["1", "2"]),
        WORDS,
    ),
    max_size=2,
    unique_by=lambda line: line["line_id"],
)  # fmt: skip
ORDERS = saying(
    "order",
    status=st.sampled_from(["unpaid", "paid", "closed"]),
    paid_minor=AMOUNTS,
    channel=WORDS,
    influencer_id=WORDS,
    says_who_sold=st.booleans(),
    close_reason=WORDS,
    paid_at=st.just(AT.isoformat()),
    coupon_ids=st.lists(WORDS, max_size=2),
    delivery=st.sampled_from([{"city": "杭州市"}, {"name_ciphertext": "$n$1$"}]),
    buyer=BUYERS,
    lines=LINES,
)
REFUNDS = saying(
    "refund",
    status=st.sampled_from(["requested", "refunded", "closed"]),
    amount_minor=AMOUNTS,
    reason=WORDS,
    returns_goods=st.booleans(),
    buyer=BUYERS,
)
SHIPMENTS = saying(
    "shipment",
    order_account=st.sampled_from(["douyin/a", "douyin/b"]),
    company=WORDS,
    state=st.sampled_from(["in_transit", "signed"]),
)
MEMBERS = saying("member", grade=WORDS, name=WORDS, birthday=st.just("2000-01-01"), attributes=st.just({"pet": "cat"}))
GOODS = saying("goods", category=WORDS, price_minor=AMOUNTS, merchant_code=WORDS, video_ids=st.lists(WORDS, max_size=2))
STOCK = st.tuples(st.just("stock"), st.integers(1, 4), st.fixed_dictionaries({"available": st.integers(0, 3)}))
TELLINGS = st.lists(st.one_of(ORDERS, REFUNDS, SHIPMENTS, MEMBERS, GOODS, STOCK), min_size=2, max_size=7)
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "order": {"order_id": "E1", "status": "unknown"},
    "refund": {"refund_id": "R1", "order_id": "E1", "status": "unknown"},
    "shipment": {"order_id": "E1", "waybill": "W1"},
    "member": {"buyer_id": "B1"},
    "goods": {"item_id": "I1", "title": "猫粮"},
    "stock": {"item_id": "I1"},
}


def of(account: str, telling: Telling) -> Record:
    family, version, said = telling
    at = AT + timedelta(minutes=version)
    origin = {"platform": "youzan", "account": account, "version": version, "occurred_at": at.isoformat()}
    data = {**NEEDED[family], **origin, **said}
    record = record_of(Event(id="1", source="/test", type=f"tandem.{family}.updated", time=at, data=data), at)
    assert record is not None
    return record


async def known(database: Database) -> Mapping[str, int]:
    """The identities of the buyers, by the buyer's number."""
    async with UnitOfWork(database) as work:
        found = (await work.session.scalars(select(IdentityRow).order_by(col(IdentityRow.id)))).all()
        numbers = [row.id for row in found] or [identity for _, identity in await add_customers(work, 2)]
    return dict(zip(("B1", "B2"), numbers, strict=True))


async def after(database: Database, batches: Sequence[Sequence[Telling]]) -> list[dict[str, Any]]:
    """All that is stored of an account of its own when the tellings came in these batches."""
    account, identities = next(accounts), await known(database)
    for batch in batches:
        records = fold([of(account, telling) for telling in batch])
        owners = [identities[record.people[0].value] if record.people else None for record in records]
        async with UnitOfWork(database) as work:
            await Records(work).write(records, owners, {})
    return await stored(database, f"youzan/{account}")


async def stored(database: Database, account_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with UnitOfWork(database) as work:
        for model in (OrderRow, RefundRow, ShipmentRow, InteractionRow, GoodsRow, StockRow):
            rows: Sequence[Any] = (
                await work.session.scalars(select(model).where(model.account_id == account_id))
            ).all()
            found += [row.model_dump(exclude={"id", "account_id", "recorded_at"}) for row in rows]
        lines = select(OrderLineRow).join(OrderRow, col(OrderRow.id) == col(OrderLineRow.order_key))
        ordered = lines.where(OrderRow.account_id == account_id).order_by(col(OrderLineRow.line_id))
        found += [row.model_dump(exclude={"order_key"}) for row in await work.session.scalars(ordered)]
    return found


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), TELLINGS)
async def test_neither_order_nor_batches_matter(
    database: Database, data: st.DataObject, tellings: list[Telling]
) -> None:
    again = data.draw(st.lists(st.sampled_from(tellings), max_size=2))
    shuffled = data.draw(st.permutations([*tellings, *again]))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(shuffled)))) | {0, len(shuffled)})
    batches = [shuffled[low:high] for low, high in pairwise(cuts)]
    assert await after(database, batches) == await after(database, [tellings])


OLD: Telling = ("order", 1, {"status": "paid", "paid_minor": 1, "channel": "a", "buyer": {"buyer_id": "B1"}})
NEWER: Telling = ("order", 2, {"status": "paid", "paid_minor": 1, "channel": "b", "buyer": {"buyer_id": "B2"}})
NEWEST: Telling = ("order", 3, {"status": "shipped", "paid_minor": 1})


async def test_of_what_the_newest_leaves_out_the_newer_word_counts(database: Database) -> None:
    for tellings in permutations((OLD, NEWER, NEWEST)):
        (order,) = await after(database, [[each] for each in tellings])
        assert (order["channel"], order["status"], order["version"]) == ("b", "shipped", 3)
        assert order["identity_id"] == (await known(database))["B2"]
        assert set(order["gap_versions"]) == {"channel", "buyer", "identity_id", "paid_at"}


BY_SOMEBODY: Mapping[str, Any] = {"channel": "live", "influencer_id": "f1", "video_id": "7301"}


async def test_who_sold_an_order_is_taken_back_by_a_newer_telling_that_says_so(database: Database) -> None:
    told: Telling = ("order", 1, {"paid_minor": 1, **BY_SOMEBODY, "says_who_sold": True})
    nobodys: Telling = ("order", 2, {"paid_minor": 1, "channel": "live", "says_who_sold": True})
    short: Telling = ("order", 3, {"status": "shipped", "paid_minor": 1})
    for tellings in permutations((told, nobodys, short)):
        (order,) = await after(database, [[each] for each in tellings])
        assert (order["channel"], order["influencer_id"], order["video_id"]) == ("live", None, None)
    for tellings in permutations((told, short)):
        (order,) = await after(database, [[each] for each in tellings])
        assert {name: order[name] for name in BY_SOMEBODY} == BY_SOMEBODY, "an amount alone takes nothing back"


async def test_an_order_whose_newest_telling_says_all_notes_nothing(database: Database) -> None:
    for tellings in permutations((OLD, NEWER)):
        (order,) = await after(database, [[each] for each in tellings])
        assert (order["channel"], order["gap_versions"]) == ("b", None)


async def test_articles_are_those_of_the_newest_telling_that_has_any(database: Database) -> None:
    def listing(version: int, *titles: str) -> Telling:
        lines = [
            {"line_id": title, "title": title, "quantity": 1, "price_minor": 1, "total_minor": 1} for title in titles
        ]
        return ("order", version, {"paid_minor": 1, "lines": lines})

    for tellings in permutations((listing(1, "帽子", "大衣"), listing(2, "大衣", "围巾"), listing(3))):
        _, *lines = await after(database, [[each] for each in tellings])
        assert [line["title"] for line in lines] == ["围巾", "大衣"]


async def test_a_refund_that_names_nobody_is_its_order_s_until_it_names_somebody(database: Database) -> None:
    refunds: list[Telling] = [
        ("refund", 1, {"amount_minor": 1, "buyer": {"buyer_id": "B1"}}),
        ("refund", 2, {"amount_minor": 1}),
    ]
    identities = await known(database)
    for tellings in permutations((*refunds, NEWER)):
        found = await after(database, [[each] for each in tellings])
        assert [row["identity_id"] for row in found] == [identities["B2"], identities["B1"]]
    for tellings in permutations((refunds[1], OLD, NEWER)):
        found = await after(database, [[each] for each in tellings])
        assert [row["identity_id"] for row in found] == [identities["B2"], identities["B2"]]
