"""The whole simulated world: rows by kind, the clock and the ledger, rebuilt from seed and journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic import AwareDatetime, TypeAdapter

from simulator import seeding
from simulator.clock import Clock
from simulator.collection import Collection, Key, Moment, R
from simulator.entities import (
    Buyer,
    Cart,
    Chat,
    Contact,
    Corp,
    Counter,
    Coupon,
    Customer,
    Follower,
    Goods,
    GroupMessage,
    Order,
    Push,
    Refund,
    RefundStatus,
    Row,
    Scan,
    Shop,
    TagGroup,
    Target,
    Token,
    Visit,
    Waybill,
)
from simulator.faults import FaultBook
from simulator.happenings import Bulletin, Happening, What
from simulator.journal import Journal, JournalMismatch
from simulator.ledger import Ledger
from simulator.settings import Settings

_INSTANT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class World:
    """Everything that the platforms show, in one place.

    Raises JournalMismatch when the state folder was made with another seed or size.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.faults = FaultBook(settings.seed, self.clock)
        self.bulletin = Bulletin()
        folder = settings.state
        self._journal = Journal(folder / "world.jsonl" if folder else None)
        self.ledger = Ledger(Journal(folder / "ledger.jsonl" if folder else None), self.clock)
        self._shelves: dict[str, Collection[Any]] = {}
        self._strays: dict[str, list[dict[str, Any]]] = {}
        self._seeders: list[Callable[[], None]] = []
        self._add_accounts()
        self._add_trade()
        self._add_interactions()
        self.epoch = self.clock.wall()
        self._load()

    def _add_accounts(self) -> None:
        shelf = self.shelf
        self.shops = shelf("shop", Shop, by={"platform": lambda row: row.platform, "client_id": lambda r: r.client_id})
        self.corps = shelf("corp", Corp)
        self.customers = shelf(
            "customer",
            Customer,
            by={
                "unionid": lambda row: row.unionid,
                "phone": lambda row: row.phone,
                "device": lambda row: row.device,
                "household": lambda row: row.household,
            },
        )
        self.buyers = shelf(
            "buyer",
            Buyer,
            by={
                "customer": lambda row: row.customer_id,
                "platform": lambda row: row.platform,
                "openid": lambda row: row.openid,
                "phone": lambda row: row.phone,
            },
        )
        self.followers = shelf(
            "follower",
            Follower,
            by={"account": lambda row: row.account, "customer": lambda row: row.customer_id},
            at={"followed": lambda row: row.followed_at},
        )
        self.contacts = shelf(
            "contact",
            Contact,
            by={"userid": lambda row: row.userid, "external_userid": lambda row: row.external_userid},
        )
        self.tag_groups = shelf("tag_group", TagGroup)
        self.group_messages = shelf("group_message", GroupMessage)
        self.tokens = shelf("token", Token, by={"platform": lambda row: row.platform})
        self.pushes = shelf("push", Push)
        self.targets = shelf("target", Target)
        self.counters = shelf("counter", Counter)

    def _add_trade(self) -> None:
        shelf = self.shelf
        self.goods = shelf(
            "goods", Goods, by={"shop": lambda row: row.shop}, at={"updated": lambda row: row.updated_at}
        )
        self.orders = shelf(
            "order",
            Order,
            by={
                "shop": lambda row: row.shop,
                "buyer": lambda row: row.buyer,
                "customer": lambda row: row.customer_id,
                "parent": lambda row: row.parent_id,
            },
            at={
                "created": lambda row: row.created_at,
                "updated": lambda row: row.updated_at,
                "paid": lambda row: row.paid_at,
                "finished": lambda row: row.finished_at,
            },
        )
        self.refunds = shelf(
            "refund",
            Refund,
            by={"tid": lambda row: row.tid, "shop": lambda row: row.shop},
            at={"created": lambda row: row.created_at, "modified": lambda row: row.modified_at},
        )
        self.waybills = shelf("waybill", Waybill, by={"tid": lambda row: row.tid, "shop": lambda row: row.shop})

    def _add_interactions(self) -> None:
        shelf = self.shelf
        self.coupons = shelf(
            "coupon",
            Coupon,
            by={"shop": lambda row: row.shop, "customer": lambda row: row.customer_id},
            at={"taken": lambda row: row.taken_at, "updated": lambda row: row.updated_at},
        )
        self.carts = shelf("cart", Cart, by={"shop": lambda row: row.shop}, at={"updated": lambda row: row.updated_at})
        self.chats = shelf("chat", Chat, by={"account": lambda row: row.account}, at={"sent": lambda row: row.sent_at})
        self.scans = shelf(
            "scan", Scan, by={"account": lambda row: row.account}, at={"scanned": lambda row: row.scanned_at}
        )
        self.visits = shelf(
            "visit",
            Visit,
            by={"account": lambda row: row.account, "customer": lambda row: row.customer_id},
            at={"at": lambda row: row.at},
        )

    def shelf(
        self,
        kind: str,
        model: type[R],
        by: Mapping[str, Key[R]] | None = None,
        at: Mapping[str, Moment[R]] | None = None,
    ) -> Collection[R]:
        """The collection of a kind of rows, kept over restarts; made when it is first asked for."""
        if kind not in self._shelves:
            rows = Collection(kind, model, self._journal.append, by, at)
            self._shelves[kind] = rows
            for line in self._strays.pop(kind, ()):
                rows.replay(line)
        return self._shelves[kind]

    def seeder(self, seed: Callable[[], None]) -> None:
        """Runs `seed` now and after each reset: how a platform module adds rows of its own to the seeded world."""
        self._seeders.append(seed)
        seed()

    def tell(self, what: What, account: str, row: Row) -> None:
        """Something happened to a row of an account's, just now; the platforms push what is theirs to push."""
        self.bulletin.tell(Happening(what, account, row, self.clock.now()))

    def buyer(self, customer: Customer, platform: str) -> Buyer:
        """The person's account on a platform; they join when they have none."""
        for buyer in self.buyers.having(customer=customer.id):
            if buyer.platform == platform:
                return buyer
        return self.buyers.put(seeding.buyer_of(self, customer, platform, 0, self.clock.now()))

    def openid(self, customer: Customer, app: str) -> str:
        """The person's id within a WeChat application (an account's slug, or `youzan`)."""
        return "o" + self.token("open", app, customer.id)[:27]

    def next(self, name: str) -> int:
        """The next number of a series; never the same twice, restarts included."""
        row = self.counters.get(name)
        value = int(row.value) + 1 if row else 1
        self.counters.put(Counter(id=name, value=value))
        return value

    def token(self, *parts: object) -> str:
        """A hex string that follows from the seed and `parts`; looks random, is not secret."""
        text = "\x1f".join(str(part) for part in (self.settings.seed, *parts))
        return sha256(text.encode()).hexdigest()

    def advance(self, seconds: float) -> None:
        """Moves simulated time forward, for good."""
        self.clock.advance(seconds)
        self.counters.put(Counter(id="clock_offset", value=self.clock.offset_s))

    def platform_of(self, shop: str) -> str:
        """The platform that a shop or corp is on. LookupError for an unknown one."""
        if shop in self.corps:
            return "wecom"
        row = self.shops.get(shop)
        if row is None:
            raise LookupError(f"no shop {shop!r}")
        return row.platform

    def customer_of_contact(self, external_userid: str) -> Customer | None:
        """The person behind an external contact."""
        contact = self.contacts.get(external_userid)
        return self.customers.get(contact.customer_id) if contact else None

    def reset(self) -> None:
        """Back to the seed: forgets orders, refunds, messages, tokens, pushes and the ledger."""
        for rows in self._shelves.values():
            rows.clear()
        self.ledger.clear()
        self.clock.offset_s = 0.0
        self.epoch = self.settings.started_at(self.clock.wall())
        self._strays.clear()
        seeding.seed_world(self)
        for seed in self._seeders:
            seed()
        self._journal.rewrite([self._header()])

    def close(self) -> None:
        """Lets go of the files."""
        self._journal.close()
        self.ledger.close()

    def _header(self) -> dict[str, Any]:
        return {
            "kind": "world",
            "seed": self.settings.seed,
            "customers": self.settings.customers,
            "years": self.settings.years,
            "epoch": self.epoch.isoformat(),
        }

    def _load(self) -> None:
        lines = self._journal.read()
        header = next(lines, None)
        if header is None:
            self.epoch = self.settings.started_at(self.clock.wall())
            seeding.seed_world(self)
            self._journal.append(self._header())
            return
        wanted = (self.settings.seed, self.settings.customers, self.settings.years)
        found = (header.get("seed"), header.get("customers"), header.get("years"))
        if found != wanted:
            raise JournalMismatch(
                f"the state folder was made with seed, customers, years = {found}, not {wanted}: "
                "start with those or with another --state folder, or remove that one"
            )
        self.epoch = _INSTANT.validate_python(header["epoch"])
        seeding.seed_world(self)
        for line in lines:
            kind = line.get("kind", "")
            if kind in self._shelves:
                self._shelves[kind].replay(line)
            else:
                # A platform module's own rows: it asks for its shelf once the world is there.
                self._strays.setdefault(kind, []).append(line)
        offset = self.counters.get("clock_offset")
        self.clock.offset_s = offset.value if offset else 0.0
        self._journal.rewrite(self._snapshot())
        self._mend_ledger()

    def _mend_ledger(self) -> None:
        """Writes down refunds that were paid back just before a kill, between the journal and the ledger."""
        known = {entry.subjects["refund_id"] for entry in self.ledger.find(effect=True, kind="refund_agreed")}
        for refund in self.refunds.unseeded():
            if refund.status is RefundStatus.REFUNDED and refund.id not in known:
                self.ledger.record(
                    "refund_agreed",
                    self.platform_of(refund.shop),
                    refund.shop,
                    request={},
                    subjects={"refund_id": refund.id, "tid": refund.tid},
                    amount_minor=refund.amount_minor,
                )

    def _snapshot(self) -> Iterator[dict[str, Any]]:
        yield self._header()
        for rows in self._shelves.values():
            yield from rows.changed()
        for lines in self._strays.values():
            yield from lines
