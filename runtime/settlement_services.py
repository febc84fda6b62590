"""The services of settlement, made when they are first asked for."""

from functools import cached_property

from temporalio.client import Client

from connectors.http import Link
from connectors.registry import ConnectorRegistry
from domain.settlement.payouts import Rail
from runtime.settings import Settings
from services.attribution_book import AttributionBook
from services.bank_answers import BankAnswers
from services.bank_payouts import BankPayouts
from services.bill_corrections import BillCorrections
from services.bill_schedules import BillSchedules
from services.bill_terms import BillTermsService
from services.bills import BillReader, BillService
from services.breaks import BreakService
from services.calculation_comparisons import CalculationComparer
from services.calculation_payees import GivenPayees
from services.calculations import CalculationSteps
from services.connections import Connections
from services.due_settlements import DueSettlements
from services.exchange_rates import ExchangeRateService
from services.fact_imports import FactImports
from services.flow_facts import FlowFacts
from services.given_files import GivenFiles
from services.orchestrator import Orchestrator
from services.payee_accounts import PayeeAccounts
from services.payee_statements import PayeeStatements
from services.payees import PayeeRegister
from services.paying import Paying
from services.payout_call_offs import PayoutCallOffs
from services.payout_confirmations import PayoutConfirmations
from services.payout_planning import PayoutPlanning
from services.payout_rails import PayoutRail
from services.payout_starts import PayoutStarts
from services.payouts import PayoutService
from services.profit_sharing_rail import ProfitSharingRail
from services.reconciliation import ReconciliationService
from services.report_files import ReportFiles
from services.sale_corrections import SaleCorrectionService
from services.selling import Selling
from services.settlement_reports import ReportService
from services.settlement_runs import SettlementRunService
from services.settlement_views import SettlementViews
from services.settlements import SettlementService
from services.shareable_sums import ShareableSums
from services.trade_bills import TradeBills
from services.unreconciled import Unreconciled
from services.wechat_pay_rail import WechatPayRail
from storage.engine import Database


class SettlementServices:
    """The part of the composition root that settlement is made in."""

    settings: Settings
    database: Database
    client: Client
    connectors: ConnectorRegistry

    @cached_property
    def orchestrator(self) -> Orchestrator:
        return Orchestrator(self.client)

    @cached_property
    def connections(self) -> Connections:
        return Connections(self.database)

    @cached_property
    def attribution_book(self) -> AttributionBook:
        return AttributionBook()

    @cached_property
    def selling(self) -> Selling:
        return Selling(self.database, self.attribution_book)

    @cached_property
    def payees(self) -> PayeeRegister:
        return PayeeRegister(self.database, self.attribution_book)

    @cached_property
    def fact_imports(self) -> FactImports:
        return FactImports(self.database)

    @cached_property
    def flow_facts(self) -> FlowFacts:
        return FlowFacts(self.database)

    @cached_property
    def sale_corrections(self) -> SaleCorrectionService:
        return SaleCorrectionService(self.database)

    @cached_property
    def calculation_steps(self) -> CalculationSteps:
        return CalculationSteps(self.database, self.attribution_book)

    @cached_property
    def settlements(self) -> SettlementService:
        return SettlementService(self.database, self.orchestrator, self.calculation_steps, self.settlement_runs)

    @cached_property
    def due_settlements(self) -> DueSettlements:
        by_itself = self.settings.settle_due
        return DueSettlements(self.database, self.settlements.settle_due, by_itself=by_itself)

    @cached_property
    def settlement_runs(self) -> SettlementRunService:
        approvals = self.settings.settlement_approvals
        return SettlementRunService(self.database, self.calculation_steps, self.connectors, approvals)

    @cached_property
    def reports(self) -> ReportService:
        return ReportService(self.database)

    @cached_property
    def report_files(self) -> ReportFiles:
        return ReportFiles(self.database, self.reports)

    @cached_property
    def payee_statements(self) -> PayeeStatements:
        return PayeeStatements(self.database, self.reports)

    @cached_property
    def settlement_views(self) -> SettlementViews:
        return SettlementViews(self.database)

    @cached_property
    def given_payees(self) -> GivenPayees:
        return GivenPayees(self.database)

    @cached_property
    def given_files(self) -> GivenFiles:
        return GivenFiles(self.database)

    @cached_property
    def calculation_comparer(self) -> CalculationComparer:
        return CalculationComparer(self.database)

    @cached_property
    def bank_payouts(self) -> BankPayouts:
        return BankPayouts(self.database)

    @cached_property
    def bank_answers(self) -> BankAnswers:
        return BankAnswers(self.database)

    @cached_property
    def exchange_rates(self) -> ExchangeRateService:
        return ExchangeRateService(self.database)

    @cached_property
    def payee_accounts(self) -> PayeeAccounts:
        return PayeeAccounts(self.database)

    @cached_property
    def payouts(self) -> PayoutService:
        settings = self.settings
        return PayoutService(
            self.database, self.calculation_steps, settings.payout_quotas, settings.settlement_approvals
        )

    @cached_property
    def payout_starts(self) -> PayoutStarts:
        return PayoutStarts(self.database, self.orchestrator, self.payouts)

    @cached_property
    def payout_confirmations(self) -> PayoutConfirmations:
        return PayoutConfirmations(self.database)

    @cached_property
    def payout_call_offs(self) -> PayoutCallOffs:
        return PayoutCallOffs(self.database)

    def payout_planning(self, link: Link) -> PayoutPlanning:
        """Planning payouts, with trade bills read over a link of the caller's."""
        sharing = ShareableSums(TradeBills(self.database, self.connections, link))
        return PayoutPlanning(self.database, self.settings.settlement_approvals, sharing)

    def paying(self, link: Link) -> Paying:
        """Paying by rails over a link of the caller's."""
        rails: dict[Rail, PayoutRail] = {
            "wechat-pay": WechatPayRail(self.connections, link),
            "profit-sharing": ProfitSharingRail(self.database, self.connections, link),
        }
        longest_pause_s = self.settings.payout_longest_pause_s
        return Paying(self.database, rails, self.bills.payout_word, longest_pause_s=longest_pause_s)

    @cached_property
    def bills(self) -> BillService:
        return BillService(self.database, self.connectors)

    @cached_property
    def bill_terms(self) -> BillTermsService:
        return BillTermsService(self.database)

    def bill_reader(self, link: Link) -> BillReader:
        """Fetching bills over a link of the caller's."""
        return BillReader(self.database, self.connectors, self.connections, link)

    @cached_property
    def bill_schedules(self) -> BillSchedules:
        return BillSchedules(self.database, self.client, self.connectors)

    @cached_property
    def reconciliation(self) -> ReconciliationService:
        return ReconciliationService(self.database)

    @cached_property
    def bill_corrections(self) -> BillCorrections:
        return BillCorrections(self.database, self.reconciliation)

    @cached_property
    def unreconciled(self) -> Unreconciled:
        return Unreconciled(self.database, self.connectors)

    @cached_property
    def breaks(self) -> BreakService:
        return BreakService(self.database, self.settings.settlement_approvals)
