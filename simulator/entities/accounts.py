"""Accounts on platforms: shops, corps, their applications, tokens and where their pushes go."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import AwareDatetime

from simulator.entities.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop(Row):
    """A shop, public account or merchant on a platform; `id` is the account's slug.

    number: what the platform calls it (kdt_id, shop_id, mchid, vender id). client_id: the application's id (client_id,
    app_key, appid). data_key: hex AES-128 key of the shop's personal data. callback_token and encoding_aes_key: for
    platforms whose pushes are encrypted. more: what one platform alone needs.
    """

    platform: str
    name: str
    number: int
    client_id: str
    client_secret: str
    client_name: str
    data_key: str
    refresh_token: str = ""
    callback_token: str = ""
    encoding_aes_key: str = ""
    more: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An application of a corp; each has its own secret and token."""

    agent_id: int
    name: str
    secret: str
    reaches_customers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """An employee who may have customers. in_scope: whether the corp's applications may act for them."""

    userid: str
    name: str
    in_scope: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Corp(Row):
    """A WeCom corp; `id` is the account's slug."""

    name: str
    corp_id: str
    apps: tuple[App, ...]
    callback_token: str
    encoding_aes_key: str
    staff: tuple[Staff, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Row):
    """An access token; `id` is the token itself."""

    platform: str
    account: str
    app: str
    issued_at: AwareDatetime
    expires_at: AwareDatetime
    killed: bool = False
    refresh_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Row):
    """Where an account's pushes go; `id` is platform/account."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter(Row):
    """A number that only grows, so that ids never repeat."""

    value: float
