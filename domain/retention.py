"""How long what is over is kept before it is deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.problems import Text


class Kind(StrEnum):
    """What is deleted some time after it is over. A run takes its human tasks with it, an event its trigger matches.

    `payments` are effects that move money (`domain.calls`), `effects` are all others.
    """

    INBOX = "inbox"
    EVENTS = "events"
    RUNS = "runs"
    HUMAN_TASKS = "human_tasks"
    EFFECTS = "effects"
    PAYMENTS = "payments"
    TOKENS = "tokens"
    LOGIN_ATTEMPTS = "login_attempts"
    IDEMPOTENCY_KEYS = "idempotency_keys"
    COMPARISONS = "comparisons"
    CALCULATIONS = "calculations"


TITLES: Mapping[Kind, Text] = {
    Kind.INBOX: Text("已读取的推送", "pushes that were read"),
    Kind.EVENTS: Text("已分发的事件", "dispatched events"),
    Kind.RUNS: Text("已结束的运行", "ended runs"),
    Kind.HUMAN_TASKS: Text("其人工任务", "their human tasks"),
    Kind.EFFECTS: Text("外部操作记录", "effects on the outside"),
    Kind.PAYMENTS: Text("资金操作记录", "effects that moved money"),
    Kind.TOKENS: Text("过期的会话与令牌", "expired sessions and tokens"),
    Kind.LOGIN_ATTEMPTS: Text("登录尝试计数", "counters of login attempts"),
    Kind.IDEMPOTENCY_KEYS: Text("过期的幂等键", "expired idempotency keys"),
    Kind.COMPARISONS: Text("每夜的比对结果", "nightly comparisons"),
    Kind.CALCULATIONS: Text("结算试算", "settlements that were tried"),
}

# Longer than any window that attempts are counted in.
_LOGIN_ATTEMPTS_DAYS = 1
_COMPARISONS_DAYS = 400
_CALCULATIONS_DAYS = 90


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Days that each kind is kept after it is over: read, dispatched, ended, last changed, expired.

    An effect stays at least as long as runs do, whatever its own days: a run that is taken up again must find it.
    """

    inbox_days: int = 30
    events_days: int = 400
    runs_days: int = 400
    effects_days: int = 90
    payments_days: int = 1095
    tokens_days: int = 90

    def days(self, kind: Kind) -> int:
        """Days that a kind is kept; 0 for what carries its own end."""
        effects = max(self.effects_days, self.runs_days)
        return {
            Kind.INBOX: self.inbox_days,
            Kind.EVENTS: self.events_days,
            Kind.RUNS: self.runs_days,
            Kind.HUMAN_TASKS: self.runs_days,
            Kind.EFFECTS: effects,
            Kind.PAYMENTS: max(self.payments_days, effects),
            Kind.TOKENS: self.tokens_days,
            Kind.LOGIN_ATTEMPTS: _LOGIN_ATTEMPTS_DAYS,
            Kind.IDEMPOTENCY_KEYS: 0,
            Kind.COMPARISONS: _COMPARISONS_DAYS,
            Kind.CALCULATIONS: _CALCULATIONS_DAYS,
        }[kind]

    def cutoff(self, kind: Kind, now: datetime) -> datetime:
        """What was over before this instant may go."""
        return now - timedelta(days=self.days(kind))
