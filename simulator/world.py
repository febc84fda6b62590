"""The whole simulated world: rows by kind, the clock and the ledger, rebuilt from seed and journal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic import AwareDatetime, TypeAdapter

from simulator import seeding
from simulator.clock import Clock
from simulator.collection import Collection
from simulator.entities import (
    Contact,
    Corp,
    Counter,
    Customer,
    GroupMessage,
    Order,
    Push,
    Refund,
    RefundStatus,
    Shop,
    TagGroup,
    Target,
    Token,
    Waybill,
)
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
        folder = settings.state
        self._journal = Journal(folder / "world.jsonl" if folder else None)
        self.ledger = Ledger(Journal(folder / "ledger.jsonl" if folder else None), self.clock)
        append = self._journal.append
        self.shops = Collection("shop", Shop, append)
        self.corps = Collection("corp", Corp, append)
        self.customers = Collection("customer", Customer, append)
        self.orders = Collection("order", Order, append, index=lambda order: order.shop)
        self.refunds = Collection("refund", Refund, append, index=lambda refund: refund.tid)
        self.waybills = Collection("waybill", Waybill, append)
        self.tag_groups = Collection("tag_group", TagGroup, append)
        self.contacts = Collection("contact", Contact, append, index=lambda contact: contact.userid)
        self.group_messages = Collection("group_message", GroupMessage, append)
        self.tokens = Collection("token", Token, append, index=lambda token: token.platform)
        self.pushes = Collection("push", Push, append)
        self.targets = Collection("target", Target, append)
        self.counters = Collection("counter", Counter, append)
        self.epoch = self.clock.wall()
        self._load()

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

    def customer_of_contact(self, external_userid: str) -> Customer | None:
        """The person behind an external contact."""
        contact = self.contacts.get(external_userid)
        return self.customers.get(contact.customer_id) if contact else None

    def reset(self) -> None:
        """Back to the seed: forgets orders, refunds, messages, tokens, pushes and the ledger."""
        for rows in self._collections():
            rows.clear()
        self.ledger.clear()
        self.clock.offset_s = 0.0
        self.epoch = self.settings.started_at(self.clock.wall())
        seeding.seed_world(self)
        self._journal.rewrite([self._header()])

    def close(self) -> None:
        """Lets go of the files."""
        self._journal.close()
        self.ledger.close()

    def _collections(self) -> tuple[Collection[Any], ...]:
        return (
            self.shops,
            self.corps,
            self.customers,
            self.orders,
            self.refunds,
            self.waybills,
            self.tag_groups,
            self.contacts,
            self.group_messages,
            self.tokens,
            self.pushes,
            self.targets,
            self.counters,
        )

    def _header(self) -> dict[str, Any]:
        return {
            "kind": "world",
            "seed": self.settings.seed,
            "customers": self.settings.customers,
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
        wanted = (self.settings.seed, self.settings.customers)
        found = (header.get("seed"), header.get("customers"))
        if found != wanted:
            raise JournalMismatch(
                f"the state folder was made with seed, customers = {found}, not {wanted}: "
                "start with those, or with another --state folder"
            )
        self.epoch = _INSTANT.validate_python(header["epoch"])
        seeding.seed_world(self)
        by_kind = {rows.kind: rows for rows in self._collections()}
        for line in lines:
            rows = by_kind.get(line.get("kind", ""))
            if rows is not None:
                rows.replay(line)
        offset = self.counters.get("clock_offset")
        self.clock.offset_s = offset.value if offset else 0.0
        self._journal.rewrite(self._snapshot())
        self._mend_ledger()

    def _mend_ledger(self) -> None:
        """Writes down refunds that were paid back just before a kill, between the journal and the ledger."""
        known = {entry.subjects["refund_id"] for entry in self.ledger.find(effect=True, kind="refund_agreed")}
        for refund in self.refunds:
            if refund.status is RefundStatus.SUCCESS and refund.id not in known:
                self.ledger.record(
                    "refund_agreed",
                    "youzan",
                    refund.shop,
                    request={},
                    subjects={"refund_id": refund.id, "tid": refund.tid},
                    amount_minor=refund.amount_minor,
                )

    def _snapshot(self) -> Iterator[dict[str, Any]]:
        yield self._header()
        for rows in self._collections():
            yield from rows.changed()
