"""What the contract tests must be told about one platform; its row stands in `tests/connectors/cases/<platform>.py`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from connectors.connection_report import ConnectionFault
from connectors.webhooks import WebhookRequest
from tests.connectors.harness import Outside

Subject = Callable[[Outside], Awaitable[dict[str, Any]]]
Push = Callable[[Outside], Awaitable[WebhookRequest]]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One call that changes something. api: its name on the wire. ledger_kind: how the outside world counts it.

    more: what it needs beside the subject. query_api: what is asked when its outcome is unknown. spends: whether it can
    be done to one subject only once.
    """

    call: str
    api: str
    ledger_kind: str
    query_api: str
    more: Mapping[str, Any] = field(default_factory=dict)
    spends: bool = True


@dataclass(frozen=True, kw_only=True)
class Pushes:
    """One push over HTTP. send: makes the platform push it, and gives the request as it arrived.

    event: a glob of its name on the wire. stranger: settings of an account that it is not for. window: how old its
    time may be, where the signature covers one. answer: what an acknowledgement must hold.
    useless: kinds that the platform pushes and Tandem has no use for.
    """

    send: Push
    event: str
    stranger: Mapping[str, Any]
    window: timedelta | None = None
    answer: bytes = b"success"
    useless: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One platform. secrets: the settings whose wrong value must be named as a wrong secret. keys: those that are told
    by their own names instead, with a good value of somebody else's.

    tested_api: what the connection test asks, a glob that leaves the token desk out. faults: how the platform words a
    fault otherwise than most do. tokens: whether calls carry a token, or each is signed by itself.
    first_setting: a setting that cannot be missing. read: a call that changes nothing. subject: arguments that name one
    thing of the simulated world, the same for reading and for the effect. pushes: None where the platform only answers.
    lists: what the account is connected for, in Chinese, by the names of the interfaces that tell of it.
    tokens: whether there are access tokens; every request is signed where there are none. readable: what is read, where
    the effect makes the thing that it is about. parcels: whether an order tells the parcels that it went in.
    """

    platform: str
    secrets: tuple[str, ...]
    first_setting: str
    read: str
    subject: Subject
    effect: Effect | None = None
    pushes: Pushes | None = None
    lists: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    tested_api: str = "*"
    faults: Mapping[str, ConnectionFault] = field(default_factory=dict)
    tokens: bool = True
    readable: Subject | None = None
    parcels: bool = False
