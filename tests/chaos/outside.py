"""The world outside: the simulator's shops, their buyers, the faults of their platforms, and what was done there."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from tests.chaos.plan import Plan

SHOP = "demo-apparel"
RETURNED = "trade_refund_RefundBuyerReturnGoods"

# Platforms on a bad day. A request that hangs is given up after ten seconds.
FAULTS: tuple[dict[str, Any], ...] = (
    {
        "match": {"platform": "youzan", "api": "trade_refund_*"},
        "fault": "duplicate_push",
        "probability": 0.6,
        "copies": 2,
    },
    {
        "match": {"platform": "youzan", "api": "trade_refund_*"},
        "fault": "reorder_push",
        "probability": 0.4,
        "seconds": 6,
    },
    {"match": {"platform": "youzan", "api": "trade_refund_*"}, "fault": "forge_push", "probability": 0.05},
    {
        "match": {"platform": "youzan", "api": "youzan.trade.refund.agree"},
        "fault": "timeout_after",
        "probability": 0.3,
        "seconds": 14,
    },
    {
        "match": {"platform": "wecom", "api": "externalcontact/add_msg_template"},
        "fault": "timeout_after",
        "probability": 0.3,
        "seconds": 14,
    },
    {
        "match": {"platform": "youzan", "api": "youzan.trade.refund.refuse"},
        "fault": "timeout_after",
        "probability": 0.3,
        "seconds": 14,
    },
    {"match": {"platform": "youzan", "api": "youzan.*"}, "fault": "5xx", "probability": 0.04},
    {"match": {"platform": "youzan", "api": "youzan.*"}, "fault": "busy", "probability": 0.04},
    {"match": {"platform": "wecom", "api": "externalcontact/*"}, "fault": "429", "probability": 0.04, "seconds": 1},
    {"match": {"platform": "wecom", "api": "externalcontact/*"}, "fault": "busy", "probability": 0.04},
)


@dataclass
class Refund:
    """A refund request as it was made. withdrawn: the platform took the buyer's withdrawal."""

    id: str
    plan: Plan
    external_userid: str | None
    made_at: float
    withdrawn: bool = False


@dataclass(frozen=True)
class Truth:
    """What the outside knows in the end.

    status: by refund. paid, refused, told: effects by refund. attempts: calls that changed nothing, by ledger kind.
    """

    status: Mapping[str, str]
    paid: Counter[str]
    paid_minor: Counter[str]
    refused: Counter[str]
    told: Counter[str]
    attempts: Counter[str] = field(default_factory=Counter)


class Outside:
    """The simulator's admin side; it is never killed."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=f"{base_url}/_sim", timeout=30, trust_env=False)
        self._buyers: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        self.refunds: dict[str, Refund] = {}

    async def __aenter__(self) -> Self:
        found = await self._call("GET", "/customers", params={"limit": 1000})
        for customer in found["customers"]:
            self._buyers[customer["external_userid"] is not None].append(customer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def break_things(self) -> None:
        await self._call("PUT", "/faults", json={"rules": list(FAULTS)})

    async def hits(self) -> Counter[str]:
        """How often each fault struck, by what and where."""
        rules = (await self._call("GET", "/faults"))["rules"]
        return Counter({f"{rule['fault']} {rule['match']['api']}": rule["hit"] for rule in rules})

    async def ask_for_refund(self, plan: Plan) -> Refund:
        """A buyer asks for their money; the shop pushes it."""
        buyers = self._buyers[plan.known_in_chat]
        buyer = buyers[len(self.refunds) % len(buyers)]
        wanted = {
            "shop": SHOP,
            "amount_minor": plan.amount_minor,
            "customer_id": buyer["id"],
            "returns_goods": plan.returns_goods,
            "parcel": "signed" if plan.travels_s is None else "normal",
            "transit_s": plan.travels_s,
        }
        made = (await self._call("POST", "/refunds", json=wanted))["refunds"][0]
        refund = Refund(made["id"], plan, buyer["external_userid"], time.monotonic())
        self.refunds[refund.id] = refund
        return refund

    async def tell_parcel_arrived(self, refund: Refund) -> None:
        """The platform's push about the parcel, sent when it has arrived."""
        event = {"account": SHOP, "event": RETURNED, "subjects": {"refund_id": refund.id}}
        await self._call("POST", "/push", json=event)

    async def withdraw(self, refund: Refund) -> None:
        """The buyer takes the request back, unless the platform says that it is too late."""
        answer = await self._http.post(f"/refunds/{refund.id}/withdraw")
        refund.withdrawn = answer.is_success

    async def pushes(self) -> Counter[str]:
        """Deliveries so far: attempts, delivered, failed, waiting."""
        counted: dict[str, int] = (await self._call("GET", "/state"))["pushes"]
        return Counter(counted)

    async def truth(self) -> Truth:
        """What was really done, from the ledger."""
        statuses = await asyncio.gather(*(self._call("GET", f"/refunds/{refund_id}") for refund_id in self.refunds))
        paid, paid_minor, refused, told, attempts = (Counter[str]() for _ in range(5))
        for entry in await self._ledger():
            if not entry["effect"]:
                attempts[entry["kind"]] += 1
            elif entry["kind"] == "refund_agreed":
                paid[entry["refund_id"]] += 1
                paid_minor[entry["refund_id"]] += entry["amount_minor"]
            elif entry["kind"] == "refund_refused":
                refused[entry["refund_id"]] += 1
            elif entry["kind"] == "message":
                told[self._told_about(entry)] += 1
        return Truth({row["id"]: row["status"] for row in statuses}, paid, paid_minor, refused, told, attempts)

    def _told_about(self, entry: Mapping[str, Any]) -> str:
        """The refund that a customer message is about, if it went to that refund's buyer."""
        text = entry["request"]["text"]["content"]
        for refund in self.refunds.values():
            if refund.id in text and refund.external_userid == entry["external_userid"]:
                return refund.id
        return f"somebody else: {text[:60]}"

    async def _ledger(self) -> Sequence[Mapping[str, Any]]:
        entries: list[Mapping[str, Any]] = []
        after = 0
        while True:
            page = await self._call("GET", "/ledger", params={"after": after})
            entries += page["entries"]
            if page["next_after"] is None:
                return entries
            after = page["next_after"]

    async def _call(self, method: str, path: str, **content: Any) -> Any:
        answer = await self._http.request(method, path, **content)
        answer.raise_for_status()
        return answer.json()
