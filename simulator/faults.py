"""Switchable faults: rules that say what goes wrong, where, how often; the same every time for one seed.

The n-th request that a rule matches is hit or spared by a number drawn from (seed, rule, n), so a run with
the same rules and the same number of requests meets the same number of faults.
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field


class Fault(StrEnum):
    """What can go wrong."""

    HTTP_429 = "429"
    """HTTP 429 with Retry-After, as a gateway in front of the platform answers."""
    HTTP_5XX = "5xx"
    """HTTP 502; nothing was done."""
    QUOTA = "quota"
    """The platform's own answer for too many calls (WeCom 45009, Youzan 4101)."""
    CONCURRENCY = "concurrency"
    """The platform's own answer for too many calls at once (WeCom 45033, Youzan 4101)."""
    BUSY = "busy"
    """The platform's own "try later" (WeCom -1, Youzan 5001)."""
    FORBIDDEN = "forbidden"
    """The platform's own answer for an application without the permission (WeCom 48002, Youzan 4301)."""
    UNTRUSTED_IP = "untrusted_ip"
    """The platform's own answer for a caller's address that is not on its list (WeCom 60020)."""
    TIMEOUT_BEFORE = "timeout_before"
    """Nothing is done and nothing is answered."""
    TIMEOUT_AFTER = "timeout_after"
    """The work is done, but nothing is answered."""
    SLOW = "slow"
    """Answers right, but late."""
    KILLED_ACCESS = "token_dies"
    """The token of the request is killed before its time."""
    DUPLICATE_PUSH = "duplicate_push"
    REORDER_PUSH = "reorder_push"
    DROP_PUSH = "drop_push"
    FORGE_PUSH = "forge_push"
    """An extra copy of the push with a wrong signature, as an attacker would send it."""


PUSH_FAULTS = frozenset({Fault.DUPLICATE_PUSH, Fault.REORDER_PUSH, Fault.DROP_PUSH, Fault.FORGE_PUSH})
SPELLINGS: dict[str, str] = {"busy -1": Fault.BUSY, "-1": Fault.BUSY, "500": Fault.HTTP_5XX, "502": Fault.HTTP_5XX}


class Match(BaseModel):
    """Which requests or pushes; every part is a glob."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    platform: str = "*"
    account: str = "*"
    api: str = Field(default="*", validation_alias=AliasChoices("api", "path"))
    """API name (youzan.trade.refund.agree, externalcontact/get) or, for pushes, the event type."""
    kind: str = "*"
    """request or push; follows from the fault, so it is rarely needed."""


class FaultRule(BaseModel):
    """One rule."""

    model_config = ConfigDict(extra="forbid")

    id: str = ""
    match: Match = Field(default_factory=Match)
    fault: Annotated[Fault, BeforeValidator(lambda word: SPELLINGS.get(str(word), word))]
    probability: float = Field(default=1.0, ge=0, le=1)
    times: int | None = Field(default=None, ge=1)
    """How often it hits at most; without it, as long as the rule stands."""
    seconds: float | None = Field(default=None, ge=0, le=3600)
    """How long to hang, to be slow, to delay a push, or what Retry-After says."""
    copies: int = Field(default=1, ge=1, le=20)
    """How many extra copies duplicate_push and forge_push deliver."""

    seen: int = 0
    hit: int = 0

    @property
    def is_for_pushes(self) -> bool:
        """Whether the rule is about pushes rather than requests."""
        return self.fault in PUSH_FAULTS


class FaultBook:
    """The rules in force."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rules: list[FaultRule] = []
        self._made = 0

    def rules(self) -> list[FaultRule]:
        """The rules with how often they matched and hit."""
        return list(self._rules)

    def replace(self, rules: list[FaultRule]) -> None:
        """Puts other rules in force."""
        self._rules = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: FaultRule) -> FaultRule:
        """Adds one rule; gives it an id if it has none."""
        self._made += 1
        kept = rule.model_copy(update={"id": rule.id or f"rule-{self._made}", "seen": 0, "hit": 0})
        self._rules = [other for other in self._rules if other.id != kept.id] + [kept]
        return kept

    def remove(self, rule_id: str) -> bool:
        """Takes one rule away; False if there is none."""
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if rule.id != rule_id]
        return len(self._rules) < before

    def for_request(self, platform: str, account: str, api: str) -> FaultRule | None:
        """The first request rule that hits, if any."""
        for rule in self._rules:
            if not rule.is_for_pushes and self._hits(rule, platform, account, api, "request"):
                return rule
        return None

    def for_push(self, platform: str, account: str, event: str) -> list[FaultRule]:
        """All push rules that hit."""
        return [
            rule for rule in self._rules if rule.is_for_pushes and self._hits(rule, platform, account, event, "push")
        ]

    def _hits(self, rule: FaultRule, platform: str, account: str, api: str, kind: str) -> bool:
        match = rule.match
        pairs = ((platform, match.platform), (account, match.account), (api, match.api), (kind, match.kind))
        if not all(fnmatchcase(value, pattern) for value, pattern in pairs):
            return False
        if rule.times is not None and rule.hit >= rule.times:
            return False
        rule.seen += 1
        draw = sha256(f"{self._seed}:{rule.id}:{rule.seen}".encode()).digest()
        if int.from_bytes(draw[:8], "big") / 2**64 >= rule.probability:
            return False
        rule.hit += 1
        return True
