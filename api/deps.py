"""What the API is made of: given once by whoever starts it, reached by every route, no globals."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from api.limits import Rates
from connectors.registry import ConnectorRegistry
from domain.calls import Catalog
from domain.privacy import Masking
from services.access import Access
from services.accounts import PlatformAccounts
from services.audit import AuditTrail
from services.bank_answers import BankAnswers
from services.bank_payouts import BankPayouts
from services.bill_corrections import BillCorrections
from services.bill_terms import BillTermsService
from services.bills import BillService
from services.breaks import BreakService
from services.calculation_comparisons import CalculationComparer
from services.calculation_payees import GivenPayees
from services.connection_tests import ConnectionTests
from services.connections import Connections
from services.consents import ConsentService
from services.customer_search import CustomerSearch
from services.customer_tags import CustomerTagService
from services.customers import CustomerService
from services.definitions import DefinitionService
from services.due_settlements import DueSettlements
from services.erasure import ErasureService
from services.events import EventService
from services.exchange_rates import ExchangeRateService
from services.export import ExportService
from services.fact_imports import FactImports
from services.failed_lookups import FailedLookupService
from services.given_files import GivenFiles
from services.grade_previews import GradePreviews
from services.human_tasks import HumanTaskService
from services.imports import Imports
from services.inbox import InboxService
from services.invitations import InvitationService
from services.life_events import LifeEventService
from services.organisation import OrganisationTree
from services.payee_accounts import PayeeAccounts
from services.payee_statements import PayeeStatements
from services.payees import PayeeRegister
from services.payout_call_offs import PayoutCallOffs
from services.payout_confirmations import PayoutConfirmations
from services.payout_starts import PayoutStarts
from services.payouts import PayoutService
from services.people import People
from services.profiles import ProfileService
from services.pull_reports import PullReports
from services.quarantine import QuarantineService
from services.reconciliation import ReconciliationService
from services.releases import ReleaseService
from services.repeated_requests import RepeatedRequests
from services.report_files import ReportFiles
from services.runs import RunService
from services.sale_corrections import SaleCorrectionService
from services.secrets import SecretStore
from services.settlement_reports import ReportService
from services.settlement_runs import SettlementRunService
from services.settlement_views import SettlementViews
from services.settlements import SettlementService
from services.stream_readings import StreamReadings
from services.subscriptions import SubscriptionService
from services.suppressions import SuppressionService
from services.tag_trials import TagTrials
from services.unreconciled import Unreconciled
from services.vitals import Vitals
from storage.engine import Database


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Values from the settings. metrics_token: opens `/metrics` to others than this machine."""

    metrics_token: str | None = field(default=None, repr=False)
    rates: Rates = field(default_factory=Rates)


@dataclass(frozen=True, slots=True)
class ApiDependencies:
    """The use cases that routes call, and what they work on; servers behind them may be away for a while."""

    database: Database
    connectors: ConnectorRegistry
    catalog: Catalog
    masking: Masking
    access: Access
    people: People
    accounts: PlatformAccounts
    customers: CustomerService
    customer_search: CustomerSearch
    profiles: ProfileService
    exports: ExportService
    erasure: ErasureService
    secrets: SecretStore
    organisation: OrganisationTree
    audit: AuditTrail
    definitions: DefinitionService
    releases: ReleaseService
    runs: RunService
    human_tasks: HumanTaskService
    events: EventService
    customer_tags: CustomerTagService
    grade_previews: GradePreviews
    tag_trials: TagTrials
    suppressions: SuppressionService
    consents: ConsentService
    life_events: LifeEventService
    invitations: InvitationService
    subscriptions: SubscriptionService
    inbox: InboxService
    quarantine: QuarantineService
    failed_lookups: FailedLookupService
    pull_reports: PullReports
    stream_readings: StreamReadings
    imports: Imports
    payees: PayeeRegister
    fact_imports: FactImports
    sale_corrections: SaleCorrectionService
    exchange_rates: ExchangeRateService
    settlements: SettlementService
    settlement_views: SettlementViews
    given_payees: GivenPayees
    given_files: GivenFiles
    calculation_comparer: CalculationComparer
    settlement_runs: SettlementRunService
    due_settlements: DueSettlements
    payouts: PayoutService
    payee_accounts: PayeeAccounts
    payout_starts: PayoutStarts
    payout_confirmations: PayoutConfirmations
    payout_call_offs: PayoutCallOffs
    bank_payouts: BankPayouts
    bank_answers: BankAnswers
    bills: BillService
    bill_terms: BillTermsService
    bill_corrections: BillCorrections
    reconciliation: ReconciliationService
    unreconciled: Unreconciled
    breaks: BreakService
    reports: ReportService
    report_files: ReportFiles
    payee_statements: PayeeStatements
    connections: Connections
    connection_tests: ConnectionTests
    repeated_requests: RepeatedRequests
    vitals: Vitals
    settings: ApiSettings = field(default_factory=ApiSettings)


def dependencies_of(request: Request) -> ApiDependencies:
    """What the application that serves this request was made with."""
    deps: ApiDependencies = request.app.state.dependencies
    return deps


Deps = Annotated[ApiDependencies, Depends(dependencies_of)]
