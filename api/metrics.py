"""Figures for Prometheus: counted as requests pass, and asked of the database when somebody looks.

Every application has a registry of its own. Labels hold route templates and known platforms only, so that no caller
can make new series.
"""

import asyncio
from datetime import datetime
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from domain.problems import ProblemError
from services.vitals import Vitals
from storage.figures import Backlog

FIGURES_KEPT_S = 5.0
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The series of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("http_requests", "Requests answered", "method", "route", "status")
        self.latency = Histogram(
            "tandem_http_request_duration_seconds",
            "Time until a request was answered",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.webhooks = self._counter("webhooks", "Pushes by platform and what became of them", "platform", "outcome")
        self.webhook_refusals = self._counter(
            "webhook_refusals", "Pushes that were not taken, by platform and reason", "platform", "reason"
        )
        self.webhook_latency = Histogram(
            "tandem_webhook_duration_seconds",
            "Time until a push was acknowledged",
            ("platform",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._figures_up = self._gauge("figures_up", "Whether the figures below could be read")
        self._waiting = self._gauge(
            "backlog_waiting", "Pushes, events, lookups, orders that wait to be worked on", "stage"
        )
        self._lag = self._gauge("backlog_lag_seconds", "How long the oldest of them has waited", "stage")
        self._aside = self._gauge("backlog_aside", "Pushes, events, lookups, orders put aside for somebody", "stage")
        self._inbox_lag = self._gauge(
            "inbox_lag_seconds", "How long the oldest push of a platform waits to be read", "platform"
        )
        self._quarantined = self._gauge("quarantined", "Pushes in quarantine", "platform")
        self._stream_lag = self._gauge("stream_lag_seconds", "How long the oldest event waits for a subscriber's turn")
        self._stream_delivered = self._gauge("stream_delivered", "Events that present subscribers took")
        self._stream_dead = self._gauge("stream_dead_letters", "Events that subscribers did not take")
        self._runs = self._gauge("runs", "Runs by phase; ended ones are those started in the last 24 hours", "phase")
        self._tasks = self._gauge("human_tasks_open", "Open human tasks", "queue", "state")
        self._unsettled = self._gauge(
            "effects_unsettled", "Effects of ended runs that nobody knows the outcome of", "call"
        )
        self._read_lag = self._gauge(
            "stream_read_lag_seconds", "Up to how long ago all streams of a platform were read", "platform"
        )
        self._accuracy = self._gauge(
            "comparison_accuracy", "Share of the platform's records that were here as it has them", "platform"
        )
        self._unfinished = self._gauge("comparisons_unfinished", "Comparisons that came to no end", "platform")
        self._turns = self._gauge("platform_requests", "Turns that requests to accounts took, so far", "platform")
        self._delays = self._gauge("platform_delays", "How often there was no turn yet, so far", "platform")
        self._purged = self._gauge("purged_rows", "Rows deleted after their time, so far", "kind")
        self._oldest = self._gauge("oldest_row_seconds", "How long ago the oldest kept row ended", "kind")
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def expose(self, vitals: Vitals, now: datetime) -> bytes:
        """Everything in Prometheus' text format; the database is asked at most once in five seconds."""
        async with self._reading:
            if self._read_at is None or monotonic() - self._read_at > FIGURES_KEPT_S:
                await self._read_figures(vitals, now)
                self._read_at = monotonic()
        return generate_latest(self.registry)

    async def _read_figures(self, vitals: Vitals, now: datetime) -> None:
        try:
            figures = await vitals.figures()
        except ProblemError:
            self._figures_up.set(0)
            return
        self._figures_up.set(1)
        self._set_backlog("inbox", figures.inbox, now)
        self._set_backlog("events", figures.events, now)
        self._set_backlog("lookups", figures.lookups, now)
        self._set_backlog("sales", figures.sales, now)
        self._inbox_lag.clear()
        for platform, came_at in figures.waiting_since.items():
            self._inbox_lag.labels(platform).set(max(0.0, (now - came_at).total_seconds()))
        self._quarantined.clear()
        for platform, count in figures.quarantined.items():
            self._quarantined.labels(platform).set(count)
        streams = figures.streams
        behind_s = (now - streams.behind_since).total_seconds() if streams.behind_since else 0.0
        self._stream_lag.set(max(0.0, behind_s))
        self._stream_delivered.set(streams.delivered)
        self._stream_dead.set(streams.dead)
        self._runs.clear()
        for phase, count in (figures.open_runs | figures.ended_runs).items():
            self._runs.labels(phase).set(count)
        self._tasks.clear()
        for (queue, state), count in figures.open_tasks.items():
            self._tasks.labels(queue, state).set(count)
        self._unsettled.clear()
        for call, count in figures.unsettled.items():
            self._unsettled.labels(call).set(count)
        self._read_lag.clear()
        for platform, until in figures.read_until.items():
            self._read_lag.labels(platform).set(max(0.0, (now - until).total_seconds()))
        self._accuracy.clear()
        for platform, share in figures.accuracy.items():
            self._accuracy.labels(platform).set(share)
        self._unfinished.clear()
        for platform, count in figures.unfinished.items():
            self._unfinished.labels(platform).set(count)
        for platform, count in figures.requests.items():
            self._turns.labels(platform).set(count)
        for platform, count in figures.delays.items():
            self._delays.labels(platform).set(count)
        for kind, rows in figures.purged.items():
            self._purged.labels(kind.value).set(rows)
        self._oldest.clear()
        for kind, ended_at in figures.kept_since.items():
            self._oldest.labels(kind.value).set(max(0.0, (now - ended_at).total_seconds()))

    def _set_backlog(self, stage: str, backlog: Backlog, now: datetime) -> None:
        waited_s = (now - backlog.oldest_at).total_seconds() if backlog.oldest_at else 0.0
        self._waiting.labels(stage).set(backlog.waiting)
        self._lag.labels(stage).set(max(0.0, waited_s))
        self._aside.labels(stage).set(backlog.aside)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tandem_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"tandem_{name}", text, labels, registry=self.registry)
