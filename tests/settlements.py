"""Settlements as the processes make them."""

from services.calculations import CalculationSteps
from services.due_settlements import DueSettlements
from services.orchestrator import Orchestrator
from services.payout_starts import PayoutStarts
from services.payouts import PayoutService
from services.settlement_runs import SettlementRunService
from services.settlements import SettlementService
from storage.engine import Database
from tests.connectors.harness import CONNECTORS


def settlements_of(database: Database, orchestrator: Orchestrator) -> SettlementService:
    """Over a database of a test."""
    steps = CalculationSteps(database)
    return SettlementService(database, orchestrator, steps, SettlementRunService(database, steps, CONNECTORS))


def due_of(database: Database, orchestrator: Orchestrator) -> DueSettlements:
    """Over a database of a test."""
    return DueSettlements(database, settlements_of(database, orchestrator).settle_due)


def payouts_of(database: Database, orchestrator: Orchestrator) -> PayoutStarts:
    """Over a database of a test."""
    return PayoutStarts(database, orchestrator, PayoutService(database, CalculationSteps(database)))
