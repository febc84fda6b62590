"""Switchable faults: rules that say what goes wrong, where, how often; the same every time for one seed.

The n-th request that a rule matches is hit or spared by a number drawn from (seed, rule, n), so a run with
the same rules and the same number of requests meets the same number of faults.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Annotated, Self

from pydantic import AliasChoices, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from simulator.clock import Clock


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
    DOWN = "down"
    """The platform is away: requests are answered 503, open channels are cut, pushes wait until it is back."""
    SHIFT_PAGE = "shift_page"
    """After the answer an order of the account is placed and another moves on, so that the next page has shifted. It
    strikes accounts that sell goods."""
    CLOCK_SKEW = "clock_skew"
    """The platform's clock is `seconds` ahead (or, negative, behind), as long as the rule stands."""
    KILLED_ACCESS = "token_dies"
    """The token of the request is killed before its time."""
    DUPLICATE_PUSH = "duplicate_push"
    REORDER_PUSH = "reorder_push"
    DROP_PUSH = "drop_push"
    FORGE_PUSH = "forge_push"
    """An extra copy of the push with a wrong signature, as an attacker would send it."""


OPENING_FAULTS = frozenset({Fault.DOWN, Fault.HTTP_5XX, Fault.HTTP_429})
"""Faults that may meet whoever opens a channel."""
STANDING = frozenset({Fault.CLOCK_SKEW})
"""Faults that no single request or push meets; they strike whoever reads the platform's clock."""
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
    after: int = Field(default=0, ge=0)
    """How many requests it spares before it begins: an account's quota that is used up after so many calls."""
    for_s: float | None = Field(default=None, gt=0)
    """How long the rule stands, in simulated seconds since it was put in force; without it, until it is taken away."""
    seconds: float | None = Field(default=None, ge=-86_400, le=86_400)
    """How long to hang, to be slow, to delay a push, what Retry-After says, or how wrong a clock is."""
    copies: int = Field(default=1, ge=1, le=20)
    """How many extra copies duplicate_push and forge_push deliver."""

    seen: int = 0
    hit: int = 0
    since: AwareDatetime | None = None

    @model_validator(mode="after")
    def _seconds_make_sense(self) -> Self:
        if self.fault is Fault.CLOCK_SKEW:
            if not self.seconds:
                raise ValueError("clock_skew needs seconds: how far the platform's clock is ahead, or negative, behind")
            if self.match != Match(platform=self.match.platform):
                raise ValueError("clock_skew matches by platform alone: one platform has one clock for all accounts")
        elif self.seconds is not None and not 0 <= self.seconds <= 3600:
            raise ValueError(f"{self.fault} takes 0 to 3600 seconds")
        return self

    def stands(self, now: datetime) -> bool:
        """Whether its time is not over."""
        return self.for_s is None or self.since is None or now < self.since + timedelta(seconds=self.for_s)


class FaultBook:
    """The rules in force."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self._seed = seed
        self._clock = clock
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
        kept = rule.model_copy(
            update={"id": rule.id or f"rule-{self._made}", "seen": 0, "hit": 0, "since": self._clock.now()}
        )
        self._rules = [other for other in self._rules if other.id != kept.id] + [kept]
        return kept

    def remove(self, rule_id: str) -> bool:
        """Takes one rule away; False if there is none."""
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if rule.id != rule_id]
        return len(self._rules) < before

    def for_request(
        self, platform: str, account: str, api: str, without: frozenset[Fault] = frozenset()
    ) -> FaultRule | None:
        """The first request rule that hits, if any. without: faults that cannot strike this account."""
        spared = PUSH_FAULTS | STANDING | without
        for rule in self._rules:
            if rule.fault not in spared and self._hits(rule, platform, account, api, "request"):
                return rule
        return None

    def for_opening(self, platform: str, account: str, api: str) -> FaultRule | None:
        """The first rule that hits who opens a channel, if any."""
        for rule in self._rules:
            if rule.fault in OPENING_FAULTS and self._hits(rule, platform, account, api, "request"):
                return rule
        return None

    def cuts(self, platform: str, account: str) -> bool:
        """Whether a channel that is open is cut now, because its platform is away."""
        away = self._away(platform, account)
        for rule in away:
            rule.seen += 1
            rule.hit += 1
        return bool(away)

    def for_push(self, platform: str, account: str, event: str) -> list[FaultRule]:
        """All push rules that hit."""
        return [
            rule
            for rule in self._rules
            if rule.fault in PUSH_FAULTS and self._hits(rule, platform, account, event, "push")
        ]

    def skew_s(self, platform: str) -> float:
        """How many seconds a platform's clock is ahead."""
        skews = [rule for rule in self._standing(Fault.CLOCK_SKEW) if fnmatchcase(platform, rule.match.platform)]
        for rule in skews:
            rule.seen += 1
            rule.hit += 1
        return sum(rule.seconds or 0.0 for rule in skews)

    def is_down(self, platform: str, account: str) -> bool:
        """Whether a platform is away for an account, so that it sends no pushes either."""
        return bool(self._away(platform, account))

    def _away(self, platform: str, account: str) -> list[FaultRule]:
        return [
            rule
            for rule in self._standing(Fault.DOWN)
            if fnmatchcase(platform, rule.match.platform) and fnmatchcase(account, rule.match.account)
        ]

    def _standing(self, fault: Fault) -> list[FaultRule]:
        now = self._clock.now()
        return [rule for rule in self._rules if rule.fault is fault and rule.stands(now)]

    def _hits(self, rule: FaultRule, platform: str, account: str, api: str, kind: str) -> bool:
        match = rule.match
        pairs = ((platform, match.platform), (account, match.account), (api, match.api), (kind, match.kind))
        if not all(fnmatchcase(value, pattern) for value, pattern in pairs):
            return False
        if (rule.times is not None and rule.hit >= rule.times) or not rule.stands(self._clock.now()):
            return False
        rule.seen += 1
        if rule.seen <= rule.after:
            return False
        draw = sha256(f"{self._seed}:{rule.id}:{rule.seen}".encode()).digest()
        if int.from_bytes(draw[:8], "big") / 2**64 >= rule.probability:
            return False
        rule.hit += 1
        return True
