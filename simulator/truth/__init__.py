"""The true answers, by which a reader of the platforms can be measured; no platform shows them."""

from simulator.truth.identities import identities
from simulator.truth.page import Page
from simulator.truth.trade import orders, refunds, summary

__all__ = ["Page", "identities", "orders", "refunds", "summary"]
