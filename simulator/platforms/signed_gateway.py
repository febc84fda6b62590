"""What the gateways in Taobao's manner have in common: one address, signed parameters, a time that must be near.

Sources: open.taobao.com docId=101617, open.pinduoduo.com idStr=8EC06C399636041E, open.jd.com listId=2643.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import parse_qsl

from fastapi import Request

from simulator.entities import Push, Shop
from simulator.platforms.base import Incoming, Json, PlatformBase, PushRequest
from simulator.seeding.numbers import CHINA
from simulator.world import World


@dataclass(frozen=True)
class Call:
    """One call that got through the gateway: the shop whose token it carries and the interface's parameters."""

    world: World
    shop: Shop
    params: Mapping[str, str]


class SignedGateway(PlatformBase):
    """A platform whose interfaces share one address; `method_parameter` names the interface."""

    method_parameter: ClassVar[str] = "method"
    clock_tolerance: ClassVar[timedelta] = timedelta(minutes=10)

    def api_of(self, incoming: Incoming) -> str | None:
        """The interface's name."""
        return incoming.params.get(self.method_parameter)

    def is_near(self, at: datetime) -> bool:
        """Whether a request's time is near enough to the platform's."""
        return abs(at - self.wall()) <= self.clock_tolerance

    def visible_until(self) -> datetime:
        """What changed later than this is not listed yet."""
        return self.now() - timedelta(seconds=self.world.settings.read_lag_s.get(self.name, 0.0))


class MessageGateway(SignedGateway):
    """A gateway whose platform lets messages wait for the application."""

    is_fetched = True

    def sign(self, push: Push) -> PushRequest:
        """What somebody else sends who has seen a message and knows where we listen; the platform itself never does."""
        body = json.dumps(push.payload, ensure_ascii=False).encode()
        return PushRequest(body=body, headers={"Content-Type": "application/json", "Sign": "forged"})


async def sent_params(request: Request) -> dict[str, str]:
    """The query and the form body together."""
    body = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return {**dict(request.query_params), **dict(body)}


def wrapped_md5(secret: str, params: Mapping[str, str]) -> str:
    """Upper-case md5 of names and values, sorted by name, between two secrets."""
    pairs = "".join(name + params[name] for name in sorted(params))
    return hashlib.md5((secret + pairs + secret).encode(), usedforsecurity=False).hexdigest().upper()


def keyed_hash(secret: str, params: Mapping[str, str], algorithm: str) -> str:
    """Upper-case HMAC of names and values, sorted by name."""
    pairs = "".join(name + params[name] for name in sorted(params))
    return hmac.new(secret.encode(), pairs.encode(), algorithm).hexdigest().upper()


def china_time(text: str) -> datetime | None:
    """`yyyy-MM-dd HH:mm:ss` in China; None when it is no such time."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError:
        return None


def local(at: datetime | None) -> str:
    """An instant as `yyyy-MM-dd HH:mm:ss` in China, "" for none."""
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}" if at else ""


def unix(text: str) -> datetime | None:
    """Unix seconds as an instant; None when it is no such number."""
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() and len(text) <= 10 else None


def whole_second(at: datetime) -> datetime:
    """The end of an instant's second: platforms compare by seconds."""
    return at.replace(microsecond=999_999)


def yuan(amount_minor: int) -> str:
    """Fen as a yuan string, "12.90"."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def masked(name: str) -> str:
    """A name as shops may see it."""
    return f"{name[:1]}**"


def only(row: Json, fields: str) -> Json:
    """Of a row, the fields that were asked for, by names with commas between."""
    asked = {name.strip() for name in fields.split(",")}
    return {name: value for name, value in row.items() if name in asked}


def page_of(rows: list[Json], page: int, size: int) -> list[Json]:
    """One page of rows, from 1."""
    return rows[(page - 1) * size : page * size]
